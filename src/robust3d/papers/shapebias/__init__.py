"""The shape (and texture) bias of adversarially robust networks (Chen, Agarwal and Nguyen 2020)."""

TABLES = ("table3", "tableA1", "corruptions")
