"""Adversarial attacks on classifiers: PGD for training, AutoAttack over a grid of budgets for evaluation."""
