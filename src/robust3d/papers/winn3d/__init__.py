"""3D Volumetric Modeling with Introspective Neural Networks (Huang et al. 2020)."""

TABLES = ("table5", "table7")
