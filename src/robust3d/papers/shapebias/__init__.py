"""The shape (and texture) bias of adversarially robust networks (Chen, Agarwal and Nguyen 2020)."""

NAME = "Shape bias"
TITLE = "The shape and simplicity biases of adversarially robust ImageNet-trained CNNs"
QUESTION = "Does adversarial training make a network see shape instead of texture, and which of its units change?"
TABLES = ("table1", "table2", "table3", "table4", "tableA1", "corruptions", "initialisations")
BY_NAME = (
    "initialisations",
)  # needs the classifiers of the main paper's Table 4, so `snakemake shapebias` leaves it out
PLOTS = ("figure3", "figure5", "figure6", "figure8", "figureA3", "figureA12")
PICTURES = ("figure4",)
