"""The shape (and texture) bias of adversarially robust networks (Chen, Agarwal and Nguyen 2020)."""

TABLES = ("table1", "table3", "table4", "tableA1", "corruptions")
PLOTS = ("figure3", "figure5", "figure6", "figureA3", "figureA12")
PICTURES = ("figure4",)
