"""Procedural objects of "Beyond Flatland": solids, modifiers, Algorithm 1, quality control, Gaussian-process morphs."""
