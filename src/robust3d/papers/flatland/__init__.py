"""Beyond Flatland (Gupta et al. 2022): synthetic 2D and 3D pre-training, transfer, brain predictivity."""

NAME = "Flatland"
TITLE = "Beyond Flatland: Pre-training with a Strong 3D Inductive Bias"
QUESTION = (
    "Does pre-training on synthetic 3D objects transfer further than on 2D patterns, and predict the brain better?"
)
TABLES = ("table1", "transfer", "brain", "rsa", "ablation", "hypotheses")
PLOTS = ("curves",)
PICTURES = ("figure1", "figure2", "figure3", "filters")
