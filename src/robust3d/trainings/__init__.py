"""The trainings of a classifier, a module or package each: parameters that need no torch, and the task."""
