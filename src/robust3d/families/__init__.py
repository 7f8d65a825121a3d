"""Kinds of families that others published and that lie on the user's disk; those of our own are in robust3d.shapes."""
