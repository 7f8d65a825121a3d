"""The scale that brings exported objects between the planes from which pixelNeRF's loader of a layout samples rays."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from robust3d.data.frame import Frame
from robust3d.data.planes import Surface, outside, scale_between, surface_of

Format = Literal["dvr", "srn"]
FILE = "scale.json"
_IN_A_FACE = 0.505  # a surface in a face of the cube may be outside by rounding


def planes_of(format: Format, class_name: str) -> tuple[float, float]:
    """Near and far distance that the loader of a layout has built in (pixelNeRF, src/data: DVRDataset, SRNDataset).

    Its SRN loader takes a data set for chairs by the word in its name, which is that of the class, and all others for
    cars.
    """
    if format == "dvr":
        return 1.2, 4.0
    return (1.25, 2.75) if "chair" in class_name else (0.8, 1.8)


@dataclass(frozen=True)
class Scale:
    """How the classes of an export that are loaded with the same planes are scaled.

    Attributes:
        classes: names.
        scale: that translations and depths are multiplied by, from sides of the family's cube.
        near: of the loader.
        far: of the loader.
        nearest: distance of the nearest point of a surface from a camera, scaled; None: nothing is known.
        farthest: of the farthest point.
        reach: largest coordinate of the objects, scaled.
        outside: share of the visible surface that is outside of the planes.
    """

    classes: tuple[str, ...]
    scale: float
    near: float
    far: float
    nearest: float | None = None
    farthest: float | None = None
    reach: float | None = None
    outside: float = 0.0

    def text(self) -> str:
        """For README.md."""
        what = (
            f"{', '.join(self.classes)}: pixelNeRF samples rays from {self.near:g} to {self.far:g} away from a camera"
        )
        if self.nearest is None:
            return f"{what}. Nothing is known of the surfaces; lengths are multiplied by {self.scale:g}."
        lies = f"surfaces are {self.nearest:.3f} to {self.farthest:.3f} away and reach out to {self.reach:.3f}"
        return f"{what}. Lengths are multiplied by {self.scale:.9g}; {lies}.{self.warning()}"

    def warning(self) -> str:
        """Problems that remain after scaling, with a leading space."""
        text = ""
        if self.outside > 0:
            text += (
                f" No scale fits: {max(self.outside, 0.0001):.2%} of the surface that cameras see lies outside, where "
                "nothing is learned; pass other planes to the loader."
            )
        if self.reach is not None and self.reach > _IN_A_FACE:
            text += " Objects reach out of the cube [-0.5, 0.5]^3, within which this project's own reader expects them."
        return text


def scales_of(format: Format, objects: Iterable[tuple[str, list[Frame]]]) -> dict[str, Scale]:
    """The scale of every class.

    Args:
        format: of the export.
        objects: class and frames in the unit cube, of all objects.

    Returns:
        By class name; classes that are loaded with the same planes have the same.
    """
    groups: dict[tuple[float, float], dict[str, list[Surface]]] = {}
    for class_name, frames in objects:
        found = surface_of(
            np.stack([frame.mask for frame in frames]),
            np.stack([frame.depth for frame in frames]),
            np.stack([frame.world_to_camera for frame in frames]),
            np.stack([frame.intrinsics for frame in frames]),
        )
        known = groups.setdefault(planes_of(format, class_name), {}).setdefault(class_name, [])
        known += [found] if found else []
    scales = [_scale(format, planes, group) for planes, group in groups.items()]
    return {name: scale for scale in scales for name in scale.classes}


def _scale(format: Format, planes: tuple[float, float], group: dict[str, list[Surface]]) -> Scale:
    surfaces = [surface for known in group.values() for surface in known]
    classes = tuple(group)
    if not surfaces:
        return Scale(classes, 1.0, *planes)
    reach = max(surface.reach for surface in surfaces)
    # DVR samples rays in the cube only, so there objects must not leave it.
    largest = np.inf if format == "srn" else 1.0 if reach <= _IN_A_FACE else 0.5 / reach
    scale = float(scale_between(surfaces, *planes, largest))
    nearest = scale * min(surface.nearest for surface in surfaces)
    farthest = scale * max(surface.farthest for surface in surfaces)
    return Scale(classes, scale, *planes, nearest, farthest, scale * reach, sum(outside(surfaces, *planes, scale)))


def record(scales: Iterable[Scale]) -> dict[str, Any]:
    """For `FILE`: as JSON."""
    return {"format": "robust3d-scale-1", "scales": [asdict(scale) for scale in dict.fromkeys(scales)]}
