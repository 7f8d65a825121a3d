"""The mesh that every shape family makes and the renderer draws."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Material:
    """What the faces of one material share.

    Attributes:
        alpha: how much of the light behind it a surface stops, in [0, 1]; what is below `Paint.HOLE` is not there.
        picture: its place in `Paint.pictures`; None: the mesh's colours alone.
        clamp: whether the picture's border goes on outside of it; otherwise the picture is repeated.
    """

    alpha: float = 1.0
    picture: int | None = None
    clamp: bool = False


@dataclass(frozen=True)
class Paint:
    """Pictures and transparency on a mesh.

    A surface's base colour is the mesh's colour times its picture's. Where the picture's alpha is below `CUT` there is
    a hole: neither mask nor depth nor colour. Elsewhere the surface counts as there, glass (`Material.alpha`) too.

    Attributes:
        materials: of the mesh.
        of_face: (F,) int32 places in `materials`.
        uv: (F, 3, 2) float32, place in the picture of each face's corners: (0, 0) is its lower left corner, (1, 1) its
            upper right one; any finite numbers.
        pictures: each a PNG, sRGB with 8 bits a channel, with or without alpha.
    """

    CUT = 0.5
    HOLE = 0.004  # 1 / 255, and a little

    materials: tuple[Material, ...]
    of_face: NDArray[np.int32]
    uv: NDArray[np.float32]
    pictures: tuple[bytes, ...] = ()

    def has_alpha(self, picture: int) -> bool:
        """Whether a picture has alpha."""
        return self.pictures[picture][25] == 6  # PNG's kind of colours: RGBA

    @property
    def see_through(self) -> bool:
        """Whether light may pass some of its surfaces."""
        holes = any(material.picture is not None and self.has_alpha(material.picture) for material in self.materials)
        return holes or any(material.alpha < 1 for material in self.materials)


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh with base colours.

    Attributes:
        vertices: (V, 3) float64, object space, y up, centred at the origin.
        faces: (F, 3) int32 vertex indices, counter-clockwise seen from outside.
        colours: float32 linear RGB base colour in [0, 1]: (F, 3), one a face, or (F, 3, 3), one a corner of a face.
        smooth_angle_deg: edges that bend more than this are drawn sharp, others smooth.
        paint: pictures and transparency; None: matt and opaque in its colours.
        faults: what of its materials could not be read, in words.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int32]
    colours: NDArray[np.float32]
    smooth_angle_deg: float = 30.0
    paint: Paint | None = None
    faults: tuple[str, ...] = ()

    def scaled(self, scale: tuple[float, float, float]) -> "Mesh":
        """This mesh stretched along x, y and z."""
        return replace(self, vertices=self.vertices * np.asarray(scale, dtype=np.float64))
