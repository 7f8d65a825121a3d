"""Enhancing 2D representation learning with a 3D prior (Aygun et al. 2024): frozen backbones before and after."""

NAME = "3D-Prior"
TITLE = "Enhancing 2D Representation Learning with a 3D Prior"
QUESTION = "Does reconstructing objects from single images make a frozen, self-supervised representation more robust?"
TABLES = ("table1", "table2", "table3", "table4")
PLOTS = ("figure5",)  # figure4, the shape bias, needs a probe of cue conflicts in the section
