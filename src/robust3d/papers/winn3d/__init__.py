"""3D Volumetric Modeling with Introspective Neural Networks (Huang et al. 2020)."""

TABLES = ("table2", "table3", "table4", "table5", "table6", "table7")
PICTURES = ("figure3", "figure4")
