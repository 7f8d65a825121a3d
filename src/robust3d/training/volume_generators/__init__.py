"""Generators of volumes that 3DWINN is compared with: 3D-VAE and 3D-GAN (Wu et al. 2016)."""
