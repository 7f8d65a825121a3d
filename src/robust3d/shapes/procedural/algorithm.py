"""Algorithm 1 of "Beyond Flatland": random primitives with random modifiers, and what it leaves open."""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from robust3d.params import Params
from robust3d.shapes.procedural import modifiers, solids
from robust3d.shapes.procedural.solids import Floats, Solid

Range = tuple[float, float]
Modifier = Literal["none", "wireframe", "subdivide", "smooth", "skin"]


class AlgorithmParams(Params):
    """Its inputs, and the random parameters of primitives and modifiers, of which the paper states none."""

    v: int = Field(3, ge=1, le=100)  # rounds, of 1 to v (Algorithm 1)
    w: int = Field(5, ge=1, le=100)  # primitives of each type in a round, 0 to w (Algorithm 1)
    max_size: float = Field(10.0, gt=0)  # longest side of the box around all primitives (Algorithm 1)
    modifiers: Annotated[tuple[Modifier, ...], Field(min_length=1)] = ("none", "wireframe", "subdivide")  # one is drawn
    # for each primitive; the algorithm has these three, the text also names smoothness and skin
    spread: float = Field(2.5, gt=0)  # centres are uniform in [-spread, spread] along each axis
    scale: Range = (0.4, 1.6)  # of a primitive, along each of its axes
    cube_size: Range = (1.0, 2.0)
    sphere_segments: tuple[int, int] = (8, 20)  # half as many rings
    cone_segments: tuple[int, int] = (3, 24)  # of cylinders too
    cone_radius: Range = (0.3, 1.2)  # at the bottom
    cone_top: Range = (0.0, 0.6)  # radius at the top
    depth: Range = (0.5, 3.0)  # of cones and cylinders
    cylinder_radius: Range = (0.2, 1.0)
    torus_segments: tuple[int, int] = (12, 32)  # along the ring
    tube_segments: tuple[int, int] = (5, 12)
    torus_radius: Range = (0.5, 1.5)
    tube_radius: Range = (0.08, 0.45)
    thickness: Range = (0.03, 0.15)  # of struts and tubes, in longest sides of the primitive
    levels: tuple[int, int] = (1, 1)  # of subdivision (Blender's default: 1)
    subdivision: Literal["catmull-clark", "simple"] = "catmull-clark"

    @model_validator(mode="after")
    def _ranges(self) -> "AlgorithmParams":
        for name in AlgorithmParams.model_fields:
            value = getattr(self, name)
            if isinstance(value, tuple) and not isinstance(value[0], str):
                lowest = {"cone_top": 0, "levels": 1, "sphere_segments": 4}.get(name, 3 if "segments" in name else 1e-6)
                if not lowest <= value[0] <= value[1]:
                    raise ValueError(f"{name}: {list(value)} is no range from low to high, {lowest:g} or above")
        return self


KINDS = ("cube", "sphere", "cone", "cylinder", "torus")


def draw_kinds(params: AlgorithmParams, generator: np.random.Generator) -> list[str]:
    """The types of the primitives of one mesh; there may be none."""
    rounds = range(generator.integers(1, params.v, endpoint=True))
    return [kind for _ in rounds for kind in KINDS for _ in range(generator.integers(0, params.w, endpoint=True))]


def draw_parts(params: AlgorithmParams, generator: np.random.Generator) -> list[Solid]:
    """The primitives of one mesh, modified and placed."""
    parts = []
    for kind in draw_kinds(params, generator):
        modified = _modified(_primitive(kind, params, generator), params, generator)
        parts.append(modified.moved(_pose(params, generator), generator.uniform(-1, 1, 3) * params.spread))
    return parts


def _primitive(kind: str, params: AlgorithmParams, generator: np.random.Generator) -> Solid:
    if kind == "cube":
        return solids.cube(generator.uniform(*params.cube_size))
    if kind == "sphere":
        segments = int(generator.integers(*params.sphere_segments, endpoint=True))
        return solids.sphere(segments, max(segments // 2, 3))
    if kind == "torus":
        around, tube = (
            int(generator.integers(*r, endpoint=True)) for r in (params.torus_segments, params.tube_segments)
        )
        radius = generator.uniform(*params.torus_radius)
        return solids.torus(around, tube, radius, generator.uniform(*params.tube_radius))
    segments = int(generator.integers(*params.cone_segments, endpoint=True))
    radius = generator.uniform(*(params.cone_radius if kind == "cone" else params.cylinder_radius))
    top = generator.uniform(*params.cone_top) if kind == "cone" else radius
    return solids.cone(segments, radius, max(top, 1e-3), generator.uniform(*params.depth))


def _modified(solid: Solid, params: AlgorithmParams, generator: np.random.Generator) -> Solid:
    """With one of the modifiers, which act before the primitive is scaled, as in Blender."""
    chosen = params.modifiers[generator.integers(len(params.modifiers))]
    if chosen == "subdivide":
        for _ in range(generator.integers(*params.levels, endpoint=True)):
            solid = modifiers.subdivide(solid, params.subdivision == "simple")
    elif chosen == "smooth":
        solid = modifiers.smooth(solid)
    elif chosen in ("wireframe", "skin"):
        thickness = generator.uniform(*params.thickness) * float(np.ptp(solid.vertices, axis=0).max())
        made = modifiers.wireframe if chosen == "wireframe" else modifiers.skin
        solid = made(solid, thickness if chosen == "wireframe" else thickness / 2)
    return solid


def _pose(params: AlgorithmParams, generator: np.random.Generator) -> Floats:
    """A random scale of each axis and a rotation that is uniform over all."""
    w, x, y, z = (q := generator.normal(size=4)) / np.linalg.norm(q)
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    return np.asarray(rotation * generator.uniform(*params.scale, 3), np.float64)


def united(parts: list[Solid]) -> tuple[Floats, np.ndarray]:
    """Vertices (V, 3) and triangles (T, 3) of all parts, which may run into each other."""
    firsts = np.cumsum([0, *(len(part.vertices) for part in parts)])
    faces = [part.triangles() + first for part, first in zip(parts, firsts[:-1], strict=True)]
    return np.concatenate([part.vertices for part in parts]), np.concatenate(faces)
