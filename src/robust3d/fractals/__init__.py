"""Fractal pictures of iterated function systems, as in FractalDB (Kataoka et al. 2020)."""
