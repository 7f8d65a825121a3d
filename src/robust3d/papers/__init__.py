"""The papers, a package each: which tables and figures it has, its section of the configuration, a module for each."""
