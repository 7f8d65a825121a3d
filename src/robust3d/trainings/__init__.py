"""Trainings of a classifier, one module or package each: parameters, importable without torch, and the task."""
