"""Introspective networks on voxels (3DWINN, Huang et al. 2020): one network that classifies and generates."""
