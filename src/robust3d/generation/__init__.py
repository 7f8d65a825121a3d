"""Judging generated samples: pure functions on arrays of features and of class probabilities."""
