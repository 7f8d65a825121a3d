"""The mesh that every shape family makes and the renderer draws."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh with one flat base colour a face.

    Attributes:
        vertices: (V, 3) float64, object space, y up, centred at the origin.
        faces: (F, 3) int32 vertex indices, counter-clockwise seen from outside.
        colours: (F, 3) float32 linear RGB base colour in [0, 1].
        smooth_angle_deg: edges that bend more than this are drawn sharp, others smooth.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int32]
    colours: NDArray[np.float32]
    smooth_angle_deg: float = 30.0

    def scaled(self, scale: tuple[float, float, float]) -> "Mesh":
        """This mesh stretched along x, y and z."""
        vertices = self.vertices * np.asarray(scale, dtype=np.float64)
        return Mesh(vertices, self.faces, self.colours, self.smooth_angle_deg)
