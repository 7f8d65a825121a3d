"""Cameras that look at the origin, built from cross products and nothing of ours."""

import numpy as np


def look_from(eye: np.ndarray) -> np.ndarray:
    """World-to-camera (4, 4) with OpenCV axes, y up in the world, of a camera at `eye` (3,)."""
    z = -eye / np.linalg.norm(eye)
    x = np.cross(z, [0.0, 1.0, 0.0])
    x /= np.linalg.norm(x)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([x, np.cross(z, x), z])
    pose[:3, 3] = -pose[:3, :3] @ eye
    return pose
