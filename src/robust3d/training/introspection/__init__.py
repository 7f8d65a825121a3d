"""Reclassification by synthesis, and the trainings that it is compared with (3DWINN, Huang et al. 2020)."""
