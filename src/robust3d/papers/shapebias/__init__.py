"""The shape (and texture) bias of adversarially robust networks (Chen, Agarwal and Nguyen 2020)."""

TABLES = ("table1", "table2", "table3", "table4", "tableA1", "corruptions", "initialisations")
BY_NAME = (
    "initialisations",
)  # needs the classifiers of the main paper's Table 4, so `snakemake shapebias` leaves it out
PLOTS = ("figure3", "figure5", "figure6", "figure8", "figureA3", "figureA12")
PICTURES = ("figure4",)
