"""What is where in images, for comparing it with what units of a network see: concepts, and those of renders."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from robust3d.errors import UserError

if TYPE_CHECKING:
    from robust3d.data.images import ImageData

Mask = npt.NDArray[np.bool_]
COLOURS = ("black", "blue", "brown", "grey", "green", "orange", "pink", "purple", "red", "white", "yellow")
_HUES = ((15, "red"), (45, "orange"), (70, "yellow"), (170, "green"), (260, "blue"), (300, "purple"), (340, "pink"))


@dataclass(frozen=True)
class Labelled:
    """What is where in one image.

    Attributes:
        height: of the masks.
        width: likewise.
        labels: for each category that the image is labelled with, numbers of concepts and where they are, (height,
            width); None: everywhere.
    """

    height: int
    width: int
    labels: dict[str, list[tuple[int, Mask | None]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Concepts:
    """The concepts of a set of images.

    Attributes:
        names: of the concepts.
        categories: of each: object, part, scene, texture, color or material, as Broden spells them.
        read: what is where in images, by their numbers in the set.
        absent: categories that the images are not labelled with, and why.
    """

    names: tuple[str, ...]
    categories: tuple[str, ...]
    read: Callable[[Sequence[int]], list[Labelled]]
    absent: dict[str, str] = field(default_factory=dict)


def concepts_of(images: "ImageData") -> Concepts:
    """The concepts that come with a set, or that renders give: classes, textures behind or on objects, and colours.

    Raises:
        UserError: there are neither.
    """
    if images.concepts is not None:
        return images.concepts
    if images.read_masks is None:
        raise UserError(
            "set: its images come without masks, so there are no concepts to compare units with; choose a set of "
            "rendered views, or Broden's images (kind: broden)"
        )
    rows = images.rows
    classes = sorted(set(rows["class_name"]))
    # Of painted objects the texture is on the object, and the column `texture` has the class that it speaks for.
    column, on_objects = ("painted", True) if "painted" in rows else ("texture", False)
    textures = sorted(set(rows[column]) - {""}) if column in rows else []
    names = (*classes, *textures, *COLOURS)
    numbers = {name: i for i, name in enumerate(classes)}
    shown = {name: len(classes) + i for i, name in enumerate(textures)}
    first_colour = len(classes) + len(textures)

    def read(places: Sequence[int]) -> list[Labelled]:
        pixels = images.batch(list(places)).cpu().numpy()
        objects = images.masks(places).cpu().numpy()
        if objects.shape != (len(places), *pixels.shape[2:]):
            raise UserError(f"set: masks of {objects.shape[1:]} px do not match images of {pixels.shape[2:]} px")
        found = []
        for place, picture, mask in zip(places, pixels, objects, strict=True):
            row = rows.iloc[place]
            colours = colour_names(picture.transpose(1, 2, 0))
            labels: dict[str, list[tuple[int, Mask | None]]] = {"object": [(numbers[row["class_name"]], mask)]}
            if textures and row[column]:
                labels["texture"] = [(shown[row[column]], mask if on_objects else ~mask)]
            labels["color"] = [(first_colour + int(n), colours == n) for n in np.unique(colours)]
            found.append(Labelled(mask.shape[0], mask.shape[1], labels))
        return found

    why = "the renders carry no such masks"
    absent = {"part": why, "scene": why, "material": why}
    if not textures:
        absent["texture"] = "there are none on objects or behind them"
    kinds = ("object",) * len(classes) + ("texture",) * len(textures) + ("color",) * len(COLOURS)
    return Concepts(names, kinds, read, absent)


def colour_names(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Numbers among `COLOURS` of pixels (..., 3): eleven names of colours by hue, saturation and value.

    The bounds are our own and plain; Broden's names come from a table that was learnt from pictures.
    """
    rgb = pixels.astype(np.float64) / 255
    value, spread = rgb.max(-1), rgb.max(-1) - rgb.min(-1)
    saturation = np.divide(spread, value, out=np.zeros_like(value), where=value > 0)
    safe = np.where(spread > 0, spread, 1)
    red, green, blue = np.moveaxis(rgb, -1, 0)
    sector = np.where(
        value == red,
        (green - blue) / safe % 6,
        np.where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    bounds = np.array([bound for bound, _ in _HUES])
    by_hue = np.array([COLOURS.index(name) for _, name in _HUES] + [COLOURS.index("red")])
    found = by_hue[np.searchsorted(bounds, 60 * sector, side="right")]
    number = {name: COLOURS.index(name) for name in COLOURS}
    found = np.where((found == number["orange"]) & (value < 0.7), number["brown"], found)
    found = np.where((found == number["red"]) & (value > 0.8) & (saturation < 0.5), number["pink"], found)
    plain = np.where(value > 0.85, number["white"], number["grey"])
    found = np.where(saturation < 0.15, plain, found)
    return np.where(value < 0.15, number["black"], found)
