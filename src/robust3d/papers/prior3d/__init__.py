"""Enhancing 2D representation learning with a 3D prior (Aygun et al. 2024): frozen backbones before and after."""

TABLES = ("table1", "table2", "table3", "table4")
PLOTS = ("figure5",)  # figure4, the shape bias, needs a probe of cue conflicts in the section
