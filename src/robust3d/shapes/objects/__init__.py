"""The thirteen procedural object classes, one module each; `STYLES` lists the builders of a class."""
