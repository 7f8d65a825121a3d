"""The papers' initialisations, trainings and probes in one table, beyond each paper; its targets are in `results`."""

NAME = "Comparison"
TITLE = "Every initialisation under the same training and the same probes"
QUESTION = "Does teaching a network the 3D shape of things make it more robust?"
PLOTS = ("comparison",)  # a picture, and its numbers as a table
TABLES = ("claims",)
BY_NAME = ("claims",)  # it needs the tables of all papers
