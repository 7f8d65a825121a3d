"""3D Volumetric Modeling with Introspective Neural Networks (Huang et al. 2020)."""

NAME = "3DWINN"
TITLE = "3D Volumetric Modeling with Introspective Neural Networks"
QUESTION = "Does a classifier of volumes that learns from what it synthesises itself resist attacks better?"
TABLES = ("table2", "table3", "table4", "table5", "table6", "table7")
PICTURES = ("figure3", "figure4")
