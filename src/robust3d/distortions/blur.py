"""ImageNet-C's blurs, and its elastic transform, which moves pixels too."""

import functools

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from robust3d.distortions.draws import Draws
from robust3d.distortions.fields import filtered, gaussian, motion, zoomed


def gaussian_blur(images: Tensor, sigma: float, draws: Draws) -> Tensor:
    """A Gaussian."""
    return gaussian(images, sigma)


def defocus_blur(images: Tensor, parameters: tuple[float, float], draws: Draws) -> Tensor:
    """A disk, its edge smoothed."""
    return filtered(images, _disk(*parameters))


@functools.cache
def _disk(radius: float, smooth: float) -> np.ndarray:
    reach, taps = (8, 3) if radius <= 8 else (int(radius), 5)
    axis = np.arange(-reach, reach + 1)
    disk = (axis[:, None] ** 2 + axis**2 <= radius**2).astype(float)
    line = np.exp(-0.5 * ((np.arange(taps) - taps // 2) / smooth) ** 2)
    line /= line.sum()
    edge = np.pad(disk / disk.sum(), taps // 2, mode="reflect")
    for axis_number in (0, 1):
        edge = np.apply_along_axis(np.convolve, axis_number, edge, line, mode="valid")
    used = np.flatnonzero(edge.any(0))  # the published kernel of a small disk is mostly zeros
    return edge[used[0] : used[-1] + 1, used[0] : used[-1] + 1]


def motion_blur(images: Tensor, parameters: tuple[int, float], draws: Draws) -> Tensor:
    """Along a line, up to 45 degrees off the horizontal."""
    radius, sigma = parameters
    return motion(images, radius, sigma, draws.uniform(low=-45.0, high=45.0))


def zoom_blur(images: Tensor, factors: tuple[float, ...], draws: Draws) -> Tensor:
    """Mean of the image and of its enlargements."""
    total = images.clone()
    for factor in factors:
        total += zoomed(images, factor)
    return total / (len(factors) + 1)


def glass_blur(images: Tensor, parameters: tuple[float, int, int], draws: Draws) -> Tensor:
    """Each pixel takes the value of a near one, between two Gaussian blurs.

    The published code goes through the pixels from the last to the first. It means to swap two pixels, but copies one
    onto the other, for its right-hand side is a view; here as there.
    """
    sigma, reach, rounds = parameters
    height, width = images.shape[-2:]
    blurred = (gaussian(images, sigma).clamp(0, 1) * 255).floor().flatten(2)
    for _ in range(rounds):
        moves = draws.integers(-reach, reach, 2, height, width)
        source = copied_from(moves, reach).flatten(1)
        blurred = blurred.gather(2, source[:, None].expand_as(blurred))
    return gaussian(blurred.reshape(images.shape) / 255, sigma)


def copied_from(moves: Tensor, reach: int) -> Tensor:
    """Where each pixel's value comes from when all are copied in turn, from the last to the first.

    A pixel copies another that may have been overwritten before, which is followed back: in log2 steps by pointers to
    pointers.

    Args:
        moves: (N, 2, H, W), the offset right and down of the pixel that is copied, -reach … reach - 1.
        reach: of the moves; pixels this near to the border keep their value.

    Returns:
        (N, H, W) int64 places in the flattened image.
    """
    height, width = moves.shape[-2:]
    rows = torch.arange(height, device=moves.device)[:, None]
    columns = torch.arange(width, device=moves.device)
    place = rows * width + columns
    moved = (rows > reach) & (rows <= height - reach) & (columns > reach) & (columns <= width - reach)
    target = torch.where(moved, place + moves[:, 1] * width + moves[:, 0], place)
    pixels = height * width
    is_done = moved.flatten()[target] & (target > place)  # overwritten before it is copied
    pointer = torch.where(is_done, target, target + pixels).flatten(1)  # beyond `pixels`: values as they were
    ends = torch.arange(pixels, 2 * pixels, device=moves.device).expand(len(moves), -1)
    while bool((pointer < pixels).any()):
        pointer = torch.cat([pointer, ends], 1).gather(1, pointer)
    return (pointer - pixels).reshape(len(moves), height, width)


def elastic_transform(images: Tensor, shares: tuple[float, float, float], draws: Draws) -> Tensor:
    """An affine map, then smooth random displacements; lengths are shares of the side."""
    height, width = images.shape[-2:]
    length, smooth, corners = (share * min(height, width) for share in shares)
    warped = F.grid_sample(
        images,
        _affine_grid(draws.uniform(3, 2, low=-corners, high=corners), height, width),
        padding_mode="reflection",
        align_corners=True,
    )
    noise = draws.uniform(2, height, width, low=-1.0)
    if length == 0:
        return warped
    shifts = gaussian(noise, smooth, truncate=3.0, border="symmetric") * length
    rows = torch.arange(height, dtype=torch.float32, device=images.device)[:, None] + shifts[:, 1]
    columns = torch.arange(width, dtype=torch.float32, device=images.device) + shifts[:, 0]
    grid = torch.stack([(2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1], -1)
    return F.grid_sample(warped, grid, padding_mode="reflection", align_corners=False)


def _affine_grid(moves: Tensor, height: int, width: int) -> Tensor:
    """Where each pixel comes from, (N, H, W, 2), when three points of the image move by (N, 3, 2) pixels (x, y)."""
    side, middle = min(height, width) // 3, torch.tensor([height // 2, width // 2], dtype=torch.float64)
    offsets = torch.tensor([[side, side], [side, -side], [-side, -side]], dtype=torch.float64)
    before = (middle + offsets).expand(len(moves), 3, 2)
    after = before + moves.double().cpu()
    ones = torch.ones(len(moves), 3, 1, dtype=torch.float64)
    back = [torch.linalg.solve(torch.cat([to, one], 1), origin) for to, one, origin in zip(after, ones, before)]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = torch.stack([columns, rows, torch.ones_like(rows)], -1).double().reshape(-1, 3)
    found = torch.stack([places @ one for one in back]).reshape(-1, height, width, 2)
    last = torch.tensor([max(width - 1, 1), max(height - 1, 1)], dtype=torch.float64)
    return (2 * found / last - 1).float().to(moves.device)
