"""Geon3D: geons by name or code, varied by stretching along x, y and z (paper: section 3, appendix A).

Instances of a class differ in their stretch only: ``0.5_1.0_1.5`` is half as wide, as high and 1.5 times as
deep as the normalised geon, ``1.0_1.0_1.0``. Nothing here is random: the seed of a family is not used.
"""

from itertools import product
from typing import Any, Literal

import numpy as np
from pydantic import Field, ValidationError, field_validator, model_validator

from robust3d.shapes.codes import NAMES, code_of, parse
from robust3d.shapes.mesh import Mesh
from robust3d.shapes.sweep import Sweep, solid

PAPER_SCALINGS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5)
# Under the strongest stretch of the paper (3 to 1) an edge of a truncated end bends by 18.3 degrees only;
# drawn smooth it would look like a curved-surface end. Round surfaces stay below this almost everywhere.
SMOOTH_ANGLE_DEG = 18.0


class Params(Sweep):
    """Which geons to build, how they vary, and the shape that all share unless a class overrides it."""

    classes: tuple[str, ...] = Field(tuple(NAMES), min_length=1)  # in label order; paper names or codes
    # Factors of each axis; each triple of them is an instance.
    scalings: tuple[float, ...] = Field(PAPER_SCALINGS, min_length=1)
    # Appendix A: "normalize the object bounding box to a unit cube". Literally each side becomes 1 (box);
    # the other reading keeps the proportions and makes the longest side 1 (longest).
    normalise: Literal["box", "longest"] = "box"
    # Linear RGB; one for all geons, so that it tells nothing about the class.
    colour: tuple[float, float, float] = (0.6, 0.6, 0.6)
    # Class -> keys of `Sweep` that differ for this class alone.
    overrides: dict[str, dict[str, float | int]] = Field({})

    @field_validator("classes")
    @classmethod
    def _known_and_distinct(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        codes: dict[str, str] = {}
        for name in classes:
            other = codes.setdefault(code_of(name), name)
            if other is not name or classes.count(name) > 1:
                raise ValueError(f"{other!r} and {name!r} are the same geon: name each class once")
        return classes

    @field_validator("scalings")
    @classmethod
    def _positive_and_distinct(cls, scalings: tuple[float, ...]) -> tuple[float, ...]:
        if min(scalings) <= 0:
            raise ValueError(f"a scaling of {min(scalings):g} leaves no solid: scalings are above 0")
        if len(set(scalings)) < len(scalings):
            raise ValueError("a scaling is named twice: two instances would have one id")
        return scalings

    @field_validator("colour")
    @classmethod
    def _in_gamut(cls, colour: tuple[float, float, float]) -> tuple[float, float, float]:
        if not all(0 <= channel <= 1 for channel in colour):
            raise ValueError("the channels of a colour lie in [0, 1]")
        return colour

    @model_validator(mode="after")
    def _no_overlap(self) -> "Params":
        for name in self.overrides:
            if name not in self.classes:
                raise ValueError(f"overrides.{name}: not one of the classes {', '.join(self.classes)}")
        for name in self.classes:
            shape = sweep_of(self, name)
            if parse(name).axis == "c" and shape.half_width >= shape.bend_radius:
                raise ValueError(
                    f"{name} would pass through itself: at bend_deg {shape.bend_deg:g} its axis has radius "
                    f"{shape.bend_radius:.3f}; half_width has to be below that, not {shape.half_width:g}"
                )
        return self


def sweep_of(params: Params, class_name: str) -> Sweep:
    """The shape of one class: the shared values with the class's own laid over them.

    Raises:
        ValueError: if the class overrides a key that `Sweep` lacks or with a value that it refuses.
    """
    shared: dict[str, Any] = {key: getattr(params, key) for key in Sweep.model_fields}
    try:
        return Sweep.model_validate(shared | params.overrides.get(class_name, {}))
    except ValidationError as error:
        key, message = error.errors()[0]["loc"][0], error.errors()[0]["msg"]
        if key not in Sweep.model_fields:
            message = f"not one of {', '.join(Sweep.model_fields)}"
        raise ValueError(f"overrides.{class_name}.{key}: {message}") from None


def only(params: Params, class_name: str) -> Params:
    """The parameters that one class's meshes depend on: no other class, no overrides, no label order.

    A change elsewhere in `params` leaves this value equal, so it can stand in the identity of that class's
    files. `build` makes the same meshes of the class from it as from `params`.
    """
    own = sweep_of(params, class_name).model_dump()
    return params.model_copy(update={**own, "classes": (class_name,), "overrides": {}})


def instance_ids(params: Params, seed: int) -> tuple[str, ...]:
    """The ids of all scaling triples, x slowest: the paper's folder names, the same for every class."""
    return tuple("_".join(str(factor) for factor in triple) for triple in product(params.scalings, repeat=3))


def scaling(instance: str) -> tuple[float, float, float]:
    """The factors along x, y and z that an instance id names."""
    x, y, z = (float(factor) for factor in instance.split("_"))
    return x, y, z


def build(params: Params, seed: int, class_name: str, instance: str) -> Mesh:
    """One geon, closed, wound outwards and centred; with ``normalise: box`` its box has the sides of its id.

    Args:
        params: the family's parameters.
        seed: not used.
        class_name: one of ``params.classes``.
        instance: an id such as ``0.5_1.0_1.5``.

    Raises:
        ValueError: if the class or the instance is not one of `params`.
    """
    factors = scaling(instance)
    if class_name not in params.classes or not set(factors) <= set(params.scalings):
        raise ValueError(f"no instance {instance!r} of {class_name!r}")
    vertices, faces = solid(parse(class_name), sweep_of(params, class_name))
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    side = high - low if params.normalise == "box" else (high - low).max()
    colours = np.tile(np.asarray(params.colour, dtype=np.float32), (len(faces), 1))
    return Mesh((vertices - (low + high) / 2) / side, faces, colours, SMOOTH_ANGLE_DEG).scaled(factors)


def extent(params: Params) -> float:
    """Side of the origin-centred cube that holds every object, in world units."""
    return max(params.scalings)


def orbit(params: Params, instance: str) -> str:
    """Key of the near-duplicate group of an instance: its scaling triple up to the order of the axes.

    A cuboid with permuted sides is the same cuboid turned; for a cone this holds for two of the axes.
    """
    return "_".join(str(factor) for factor in sorted(scaling(instance)))
