"""Square attack (Andriushchenko et al. 2020): random search with squares on the margin, no gradients."""

import math
from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor

from robust3d.attacks import noise
from robust3d.attacks.norms import per_image, radii, size, unit
from robust3d.attacks.params import Norm
from robust3d.attacks.victim import Victim

P_INIT = 0.8  # share of the pixels in the first squares
HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)  # queries after which that share is halved


class Draws(Protocol):
    """Source of the attack's random numbers."""

    def __call__(self, query: int, rows: Tensor, count: int) -> Tensor:
        """(len(rows),count) uniform numbers in [0,1) for images `rows` of the batch; query 0 is the start."""
        ...


class KeyedDraws:
    """Numbers that depend on an image's key and the query only; every image has its own squares.

    The official code shares positions (and for Linf the signs) within a batch; each image's distribution is equal.
    """

    PER_QUERY = 64  # numbers reserved per query; channels + 5 are used

    def __init__(self, keys: Tensor) -> None:
        self.keys = keys

    def __call__(self, query: int, rows: Tensor, count: int) -> Tensor:
        """See `Draws`; the start's numbers come after those of all queries."""
        first = (1 << 40) if query == 0 else query * self.PER_QUERY
        return noise.uniform(self.keys[rows], first, count)


def side(query: int, height: int, width: int, norm: Norm) -> int:
    """Side in px of the square of query 0, 1, …: sqrt(p h w), odd and at least 3 for L2, within the image."""
    p = P_INIT / 2 ** sum(query > limit for limit in HALVINGS)
    length = round(math.sqrt(p * height * width))
    if norm == "L2":
        length = max(length, 3) // 2 * 2 + 1
    return min(max(length, 1), height, width)


def square(
    victim: Victim,
    images: Tensor,
    labels: Tensor,
    epsilon: float | Tensor,
    norm: Norm,
    draws: Draws,
    queries: int = 5000,
) -> tuple[Tensor, Tensor]:
    """Random search for the smallest margin, one square per query; images stop at a margin of 0 or less.

    Args:
        victim: the frozen model.
        images: (N,C,H,W) in [0,1].
        labels: (N,) int64.
        epsilon: radius of the balls, one for all or (N,).
        norm: their norm.
        draws: random numbers.
        queries: proposals per image after the start.

    Returns:
        Best images (N,C,H,W) and their margins (N,): logit of the label minus the largest other one.
    """
    rows = torch.arange(len(labels), device=labels.device)
    propose = _propose_linf if norm == "Linf" else _propose_l2
    budget = per_image(radii(epsilon, images))
    start = _stripes if norm == "Linf" else _tiles
    with torch.no_grad():  # not inference_mode: a defence may compute gradients in its forward pass
        found = start(images, budget, draws, rows)
        margins = _margin(victim, found, labels)
        x, clean, label, margin = found.clone(), images, labels, margins.clone()
        for query in range(queries):
            live = margin > 0
            if not bool(live.all()):
                found[rows], margins[rows] = x, margin
                rows, x, clean, label, margin, budget = (v[live] for v in (rows, x, clean, label, margin, budget))
                if len(rows) == 0:
                    break
            length = side(query, images.shape[2], images.shape[3], norm)
            proposal = propose(x, clean, budget, length, draws, query + 1, rows)
            new = _margin(victim, proposal, label)
            better = (new < margin) | (new <= 0)
            x = torch.where(per_image(better), proposal, x)
            margin = torch.where(better, new, margin)
        found[rows], margins[rows] = x, margin
    return found, margins


def _margin(victim: Victim, x: Tensor, labels: Tensor) -> Tensor:
    logits = victim(x)
    own = logits.gather(1, labels[:, None]).squeeze(1)
    margin = own - logits.scatter(1, labels[:, None], -torch.inf).amax(1)
    return torch.where(logits.isfinite().all(1), margin, -torch.inf)


def _sign(u: Tensor) -> Tensor:
    return torch.where(u < 0.5, -1.0, 1.0).to(u.dtype)  # for any default type of torch


def _offset(u: Tensor, room: int) -> Tensor:
    """Integers 0 … room - 1 (0 if there is no room): the official code never uses the last offset."""
    return (u * room).long()


def _stripes(images: Tensor, epsilon: Tensor, draws: Draws, rows: Tensor) -> Tensor:
    n, channels, _, width = images.shape
    signs = _sign(draws(0, rows, channels * width)).reshape(n, channels, 1, width)
    return (images + epsilon * signs).clamp(0, 1)


def _propose_linf(
    x: Tensor, clean: Tensor, epsilon: Tensor, length: int, draws: Draws, query: int, rows: Tensor
) -> Tensor:
    channels, height, width = x.shape[1:]
    u = draws(query, rows, 2 + channels)
    in_rows = _window_mask(_offset(u[:, 0], height - length), length, height)
    in_columns = _window_mask(_offset(u[:, 1], width - length), length, width)
    inside = in_rows[:, None, :, None] & in_columns[:, None, None, :]
    moved = x + 2 * epsilon * _sign(u[:, 2:])[:, :, None, None]
    moved = moved.clamp(clean - epsilon, clean + epsilon).clamp(0, 1)
    return torch.where(inside, moved, x)


def _window_mask(first: Tensor, length: int, total: int) -> Tensor:
    places = torch.arange(total, device=first.device)
    return (places >= first[:, None]) & (places < first[:, None] + length)


def _bump(height: int, width: int) -> Tensor:
    """Pyramid of nested rectangles with heights 1/k^2, of L2 norm 1, (height,width)."""
    bump = torch.zeros(height, width, dtype=torch.float32)
    top, left = height // 2, width // 2
    for k in range(max(height, width) // 2 + 1):
        reach = 2 * k + 1
        rows, columns = slice(max(top - k, 0), top - k + reach), slice(max(left - k, 0), left - k + reach)
        bump[rows, columns] += 1 / (k + 1) ** 2
    return bump / bump.norm()


def _two_lobes(length: int, turned: Tensor) -> Tensor:
    """A positive bump over a negative one, (N,length,length) of norm 1, transposed where `turned` (N,)."""
    lobes = _lobes(length).to(turned.device)
    return torch.where(turned[:, None, None], lobes.T, lobes)


@lru_cache
def _lobes(length: int) -> Tensor:
    half = length // 2
    lobes = torch.cat((_bump(half, length), -_bump(length - half, length)))
    return lobes / lobes.norm()


def _tiles(images: Tensor, epsilon: Tensor, draws: Draws, rows: Tensor) -> Tensor:
    n, channels, height, width = images.shape
    length = max(height // 5, 1)
    margin = (height - 5 * length) // 2
    places = [
        (margin + i * length, margin + j * length) for i in range(height // length) for j in range(width // length)
    ]
    u = draws(0, rows, len(places) * (1 + channels)).reshape(n, len(places), 1 + channels)
    delta = torch.zeros_like(images)
    for k, (top, left) in enumerate(places):
        window = delta[:, :, top : top + length, left : left + length]
        lobes = _two_lobes(length, u[:, k, 0] > 0.5)[:, None] * _sign(u[:, k, 1:])[:, :, None, None]
        window += lobes[:, :, : window.shape[2], : window.shape[3]]
    return (images + epsilon * unit(delta, "L2")).clamp(0, 1)


def _propose_l2(
    x: Tensor, clean: Tensor, epsilon: Tensor, length: int, draws: Draws, query: int, rows: Tensor
) -> Tensor:
    """Set a second window to zero and use its budget, with the rest of epsilon, for a new bump in the first."""
    channels, height, width = x.shape[1:]
    u = draws(query, rows, 5 + channels)
    delta = x - clean
    tops, lefts = (_offset(u[:, [i, i + 2]], room - length) for i, room in ((0, height), (1, width)))
    first = _window_index(tops[:, 0], lefts[:, 0], length, channels)
    second = _window_index(tops[:, 1], lefts[:, 1], length, channels)
    emptied = delta.clone()
    emptied[first] = 0
    emptied[second] = 0
    budget = (delta - emptied).square().sum((2, 3), keepdim=True)  # (N,C,1,1), squared
    unspent = (epsilon**2 - per_image(size(delta, "L2")).square()).clamp(min=0) / channels
    old = delta[first]
    bump = _two_lobes(length, u[:, 4] > 0.5)[:, None] * _sign(u[:, 5:])[:, :, None, None]
    bump = bump + old / (1e-12 + old.square().sum((2, 3), keepdim=True).sqrt())
    bump = bump / (1e-12 + bump.square().sum((2, 3), keepdim=True).sqrt())
    emptied[first] = bump * (unspent + budget).sqrt()
    return (clean + epsilon * unit(emptied, "L2")).clamp(0, 1)


def _window_index(top: Tensor, left: Tensor, length: int, channels: int) -> tuple[Tensor, ...]:
    """Index of the windows (N,C,length,length) in a batch of images."""
    places = torch.arange(length, device=top.device)
    return (
        torch.arange(len(top), device=top.device)[:, None, None, None],
        torch.arange(channels, device=top.device)[:, None, None],
        (top[:, None] + places)[:, None, :, None],
        (left[:, None] + places)[:, None, None, :],
    )
