"""ImageNet-C's noises."""

from torch import Tensor

from robust3d.distortions.draws import Draws


def gaussian_noise(images: Tensor, sigma: float, draws: Draws) -> Tensor:
    """The same normal noise everywhere."""
    return draws.normal(*images.shape[1:]).mul_(sigma).add_(images)


def shot_noise(images: Tensor, photons: float, draws: Draws) -> Tensor:
    """A white pixel counts so many photons on average."""
    return draws.poisson(images * photons) / photons


def impulse_noise(images: Tensor, share: float, draws: Draws) -> Tensor:
    """A share of all values becomes 0 or 1, with equal chances."""
    drawn = draws.uniform(*images.shape[1:])
    return images.masked_fill(drawn < share / 2, 0).masked_fill_(drawn >= 1 - share / 2, 1)


def speckle_noise(images: Tensor, sigma: float, draws: Draws) -> Tensor:
    """Normal noise in proportion to a pixel's value."""
    return draws.normal(*images.shape[1:]).mul_(sigma).add_(1).mul_(images)
