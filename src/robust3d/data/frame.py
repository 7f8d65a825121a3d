"""One rendered view; imports no Blender, so the process that starts the workers can use it."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Frame:
    """One rendered view.

    Attributes:
        instance: id of the object.
        view: number of the view.
        rgba: (H, W, 4) uint8, sRGB, straight alpha.
        mask: (H, W) bool, whether the ray through the pixel's centre hits the object.
        depth: (H, W) float32 camera z of that hit, inf elsewhere.
        world_to_camera: (4, 4).
        intrinsics: (3, 3) px.
    """

    instance: str
    view: int
    rgba: np.ndarray
    mask: np.ndarray
    depth: np.ndarray
    world_to_camera: np.ndarray
    intrinsics: np.ndarray
