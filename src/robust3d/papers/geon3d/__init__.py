"""Geon3D: Benchmarking 3D Shape Bias towards Building Robust Machine Vision; the main paper.

Its targets are in `results`, those of other papers in `results/<paper>`.
"""

NAME = "Geon3D"
TITLE = "On 3D Reconstruction Pre-training to Improve Adversarial Robustness"
QUESTION = "Do networks that first learned to reconstruct 3D shapes withstand attacks and changed backgrounds better?"
TABLES = ("table1", "table2", "table3", "table4")
PLOTS = ("figure4", "figure5", "figure6", "figure7", "figure9")  # drawn from numbers, which have their own cells.json
PICTURES = ("figure2", "figure3", "figure8", "figure10")
