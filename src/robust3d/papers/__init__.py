"""One package per paper: lists of tables and figures, a section of the configuration, a module per table or figure."""
