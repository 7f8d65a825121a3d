"""Beyond Flatland (Gupta et al. 2022): synthetic 2D and 3D pre-training, transfer, brain predictivity."""

TABLES = ("table1", "transfer", "brain", "rsa", "ablation", "hypotheses")
PLOTS = ("curves",)
PICTURES = ("figure1", "figure2", "figure3", "filters")
