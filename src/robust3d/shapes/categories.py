"""Thirteen procedural categories that stand in for ShapeNet's thirteen: seeded assemblies of simple parts.

The y axis is up and the front of an object looks along +z. Each class has several structural styles;
consecutive instances run through all of them in an order that is drawn again for each round.
"""

from collections.abc import Callable

import numpy as np
from pydantic import Field, field_validator

from robust3d.params import Params as Base
from robust3d.seeds import numpy_generator
from robust3d.shapes.mesh import Mesh
from robust3d.shapes.objects import (
    airplane,
    bench,
    cabinet,
    car,
    chair,
    display,
    lamp,
    loudspeaker,
    rifle,
    sofa,
    table,
    telephone,
    vessel,
)
from robust3d.shapes.objects.assembly import Assembly, Colours, draw_colours

Style = Callable[[np.random.Generator, Colours], Assembly]

STYLES: dict[str, tuple[Style, ...]] = {
    "airplane": airplane.STYLES,
    "bench": bench.STYLES,
    "cabinet": cabinet.STYLES,
    "car": car.STYLES,
    "chair": chair.STYLES,
    "display": display.STYLES,
    "lamp": lamp.STYLES,
    "loudspeaker": loudspeaker.STYLES,
    "rifle": rifle.STYLES,
    "sofa": sofa.STYLES,
    "table": table.STYLES,
    "telephone": telephone.STYLES,
    "vessel": vessel.STYLES,
}
MAX_INSTANCES = 10_000


class Params(Base):
    """Which of the thirteen categories to build and how many instances of each."""

    classes: tuple[str, ...] = Field(tuple(STYLES), min_length=1)  # in label order
    instances: int = Field(60, ge=1, le=MAX_INSTANCES)  # a class
    whiteness: float = Field(0.45, ge=0, le=0.9)  # of all colours: 0 bold, 0.9 nearly the white of a background

    @field_validator("classes")
    @classmethod
    def _known_and_distinct(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        unknown = sorted(set(classes) - set(STYLES))
        if unknown:
            raise ValueError(f"no such category: {', '.join(unknown)}; there are {', '.join(STYLES)}")
        if len(set(classes)) < len(classes):
            raise ValueError("a category is named twice")
        return classes


def instance_ids(params: Params, seed: int) -> tuple[str, ...]:
    """The instance ids ``0000``, ``0001``, …, the same for every class."""
    return tuple(f"{k:04d}" for k in range(params.instances))


def style_index(seed: int, class_name: str, instance: str) -> int:
    """Which of the class's styles an instance has; every run of as many instances holds each style once."""
    count = len(STYLES[class_name])
    turn, place = divmod(int(instance), count)
    return int(numpy_generator(seed, "categories", class_name, "styles", turn).permutation(count)[place])


def build(params: Params, seed: int, class_name: str, instance: str) -> Mesh:
    """The mesh of one instance; it depends on the seed, its names and the whiteness only.

    Args:
        params: the family's parameters; the class has to be one of its classes.
        seed: the family's seed.
        class_name: name of a category.
        instance: an id such as ``0007``.

    Returns:
        A mesh of closed, outward wound parts that may run into each other, centred, with the longest side of
        its bounding box at most 1 and the diagonal at most 1.4, so that the NMR camera sees all of it.

    Raises:
        ValueError: if the class or the id is not one of `params`.
    """
    if class_name not in params.classes or not (instance.isdecimal() and f"{int(instance):04d}" == instance):
        raise ValueError(f"no instance {instance!r} of {class_name!r}")
    rng = numpy_generator(seed, "categories", class_name, instance)
    colours = draw_colours(rng, params.whiteness)
    return STYLES[class_name][style_index(seed, class_name, instance)](rng, colours).mesh()


def extent(params: Params) -> float:
    """Side of the origin-centred cube that holds every object, in world units."""
    return 1.0


def orbit(params: Params, instance: str) -> str:
    """Key of the near-duplicate group of an instance: itself, for instances are drawn independently."""
    return instance


def only(params: Params, class_name: str) -> Params:
    """The parameters that one class's meshes depend on."""
    return params.model_copy(update={"classes": (class_name,)})
