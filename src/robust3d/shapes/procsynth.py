"""ProcSynthDB ("Beyond Flatland" §3.1): every class is one mesh of random primitives, after Algorithm 1.

The instances of a class are the mesh stretched along one axis, at random. Class `p0007` is the same for any number of
meshes, but not without those before it: quality control compares it with them, so all are built in one go.
"""

from collections import Counter
from typing import Any

import numpy as np
from pydantic import Field, field_validator

from robust3d.seeds import numpy_generator
from robust3d.shapes.mesh import Mesh
from robust3d.shapes.procedural.quality import QualityParams, generate, in_sphere
from robust3d.shapes.procedural.solids import Floats

Colour = tuple[float, float, float]
SMOOTH_ANGLE_DEG = 35.0  # round surfaces of few faces bend less, edges of cubes and caps more


class Params(QualityParams):
    """How many meshes, and how their instances differ."""

    meshes: int = Field(ge=1, le=10_000)  # classes (paper: 1,000)
    instances: int = Field(1, ge=1, le=10_000)  # of each class, each stretched anew
    stretch: tuple[float, ...] = (1.0, 2.0)  # factors of an instance along one random axis, of which one is drawn; the
    # paper: "change the size of the mesh twice across one single axis"
    colour: Colour = (0.6, 0.6, 0.6)  # linear RGB; one for all (paper: not coloured)

    @field_validator("stretch")
    @classmethod
    def _positive(cls, stretch: tuple[float, ...]) -> tuple[float, ...]:
        if not stretch or min(stretch) <= 0:
            raise ValueError("factors are above 0, and there is one or more")
        return stretch

    @field_validator("colour")
    @classmethod
    def _in_gamut(cls, colour: Colour) -> Colour:
        if not all(0 <= channel <= 1 for channel in colour):
            raise ValueError("the channels of a colour lie in [0, 1]")
        return colour

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, one a mesh."""
        return self.mesh_names

    @property
    def mesh_names(self) -> tuple[str, ...]:
        """Names of the meshes."""
        return tuple(f"p{number:04d}" for number in range(self.meshes))


def instance_ids(params: Params, seed: int) -> tuple[str, ...]:
    """The instance ids ``0000``, ``0001``, …, the same for every class."""
    return tuple(f"{k:04d}" for k in range(params.instances))


def build_all(params: Params, seed: int) -> tuple[dict[str, Mesh], dict[str, Any]]:
    """The meshes of all classes by ``class/instance``, and how many candidates were rejected, by reason.

    Raises:
        UserError: quality control rejects every candidate for a mesh.
    """
    found, rejected = {}, Counter[str]()
    for made, name in zip(generate(params, seed, params.meshes), params.classes, strict=True):
        rejected += made.rejected
        faces = made.faces.astype(np.int32)
        colours = np.tile(np.asarray(params.colour, np.float32), (len(faces), 1))
        for instance in instance_ids(params, seed):
            vertices = stretched(made.vertices, stretch_of(params.stretch, seed, name, instance))
            found[f"{name}/{instance}"] = Mesh(vertices, faces, colours, SMOOTH_ANGLE_DEG)
    return found, {"rejected": dict(rejected)}


def stretch_of(factors: tuple[float, ...], seed: int, class_name: str, instance: str) -> Floats:
    """Factors (3,) along the axes: one of `factors` along one of the three."""
    generator = numpy_generator(seed, "stretch", class_name, instance)
    scale = np.ones(3)
    scale[generator.integers(3)] = factors[generator.integers(len(factors))]
    return scale


def stretched(vertices: Floats, scale: Floats) -> Floats:
    """Vertices stretched along the axes, and scaled back into the sphere of radius 1/2."""
    if (scale == 1).all():
        return vertices.astype(np.float32).astype(np.float64)
    return in_sphere(vertices * scale).astype(np.float32).astype(np.float64)  # the renderer's precision; packs better


def extent(params: Params) -> float:
    """Side of the origin-centred cube that holds every object, in world units."""
    return 1.0


def orbit(params: Params, instance: str) -> str:
    """Key of the near-duplicate group of an instance: itself."""
    return instance
