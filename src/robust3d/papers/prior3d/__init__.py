"""Enhancing 2D representation learning with a 3D prior (Aygun et al. 2024): frozen backbones before and after."""

TABLES = ("table1", "table2", "table3", "table4")
PLOTS = ("figure4", "figure5")
