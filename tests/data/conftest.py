"""Views of a ball in the middle of the world: depth and mask in closed form."""

from types import SimpleNamespace

import numpy as np
import pytest

from robust3d.cameras import look_at
from robust3d.data.frame import Frame

# Directions to opposite cameras, and others.
FROM = np.array([[0, 0, 1], [0, 0, -1], [1, 0, 0], [-1, 0, 0], [0.6, 0.8, 0], [-0.6, -0.8, 0]])


def ball(radius, distance, side=64, views=6, focal=1.2, instance="a"):
    """Frames of a ball seen from so far; `focal` in sides of the picture."""
    intrinsics = np.array([[focal * side, 0, side / 2], [0, focal * side, side / 2], [0, 0, 1]])
    rows, columns = np.mgrid[:side, :side] + 0.5
    rays = np.stack([columns, rows, np.ones_like(rows)], -1) @ np.linalg.inv(intrinsics).T
    along = 1 / (rays**2).sum(-1)  # of a ray with unit z, where it is nearest to the centre (0, 0, distance)
    gap = radius**2 - distance**2 * (1 - along)
    mask = gap > 0
    depth = np.where(mask, distance * along - np.sqrt(np.maximum(gap, 0) * along), np.inf).astype(np.float32)
    rgba = np.full((side, side, 4), 255, np.uint8) * mask[..., None]
    rgba[mask, 0] = 7
    return [
        Frame(instance, view, rgba, mask, depth, pose, intrinsics)
        for view, pose in enumerate(look_at(distance * FROM[:views]))
    ]


def share_before(near, radius, distance):
    """Share of the ball's picture on which its surface is nearer than `near`.

    The picture is a disc; the ray at an angle t to its axis meets the ball at d cos t - sqrt(r^2 - d^2 sin^2 t), which
    rises with t, and a pixel lies tan t away from the middle.
    """
    cosine = (near**2 + distance**2 - radius**2) / (2 * near * distance)
    tangent = radius**2 / (distance**2 - radius**2)  # squared, of the rim
    return np.clip((1 / cosine**2 - 1) / tangent, 0, 1) if cosine < 1 else 0.0


def stacked(frames):
    """Masks, depth, poses and intrinsics as arrays."""
    fields = ("mask", "depth", "world_to_camera", "intrinsics")
    return [np.stack([getattr(frame, name) for frame in frames]) for name in fields]


@pytest.fixture
def balls():
    """The functions above."""
    return SimpleNamespace(ball=ball, share_before=share_before, stacked=stacked)
