"""How much units and concepts have in common over a whole set of images (Bau et al. 2017, "Network dissection")."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from robust3d.data.concepts import Concepts, Labelled


class Reading(NamedTuple):
    """What is where in an image.

    Attributes:
        kinds: numbers of the categories that it is labelled with.
        concepts: (M,) numbers of the concepts there.
        masks: (M, h, w) float, where they are.
    """

    kinds: tuple[int, ...]
    concepts: Tensor
    masks: Tensor


class Readings(NamedTuple):
    """Several readings of one image as `Overlaps.add` takes them: its own, then those of other images.

    Attributes:
        kinds: number of the reading and of the category.
        places: (M, 2), number of the reading and of the concept.
        masks: (M, P) float, where they are.
    """

    kinds: Sequence[tuple[int, int]]
    places: Tensor
    masks: Tensor


class Overlaps:
    """Pixels that a unit and a concept have in common, and those of each, summed over images.

    Args:
        units: how many.
        concepts: their names and categories.
        device: of the counts.
        readings: how many there are of each image.
    """

    def __init__(self, units: int, concepts: Concepts, device: str | torch.device = "cpu", readings: int = 1) -> None:
        self.kinds = tuple(dict.fromkeys(concepts.categories))
        self.category = torch.tensor([self.kinds.index(name) for name in concepts.categories], device=device)
        count = len(concepts.names)
        self.both = torch.zeros(readings, count, units, dtype=torch.int64, device=device)
        self.concept = torch.zeros(readings, count, dtype=torch.int64, device=device)
        # On images of a category.
        self.unit = torch.zeros(readings, len(self.kinds), units, dtype=torch.int64, device=device)
        self.images = torch.zeros(units, dtype=torch.int64, device=device)  # on which a unit is on anywhere

    def add(self, on: Tensor, labels: Readings) -> None:
        """Count one image; `on` says where units are active, (units, P) bool."""
        active = on.float()  # sums of zeros and ones are exact in fp32 up to 16 million pixels
        pixels = active.sum(1).round().long()
        self.images += pixels > 0
        for reading, kind in labels.kinds:
            self.unit[reading, kind] += pixels
        reading, concept = labels.places.T
        self.both[reading, concept] += (labels.masks @ active.T).round().long()
        self.concept[reading, concept] += labels.masks.sum(1).round().long()

    def iou(self) -> Tensor:
        """Intersection over union (readings, units, concepts) float64.

        A unit's pixels count on images of the category only.
        """
        either = self.unit[:, self.category] + self.concept[..., None] - self.both
        return (self.both.double() / either.clamp(min=1)).transpose(1, 2)


def active(maps: Tensor, thresholds: Tensor, height: int, width: int) -> Tensor:
    """Where units are above their thresholds (C, height * width), of maps (C, h, w) scaled bilinearly to that size."""
    shrinks = maps.shape[1] > height or maps.shape[2] > width
    scaled = F.interpolate(maps[None].float(), (height, width), mode="bilinear", antialias=shrinks)[0]
    return scaled.flatten(1) > thresholds.float()[:, None]


def read_labels(labelled: Labelled, categories: Sequence[str], device: str | torch.device = "cpu") -> Reading:
    """The labels of an image; `categories` are those of all concepts."""
    kinds, size = tuple(dict.fromkeys(categories)), (labelled.height, labelled.width)
    found = [one for here in labelled.labels.values() for one in here]
    masks = [torch.ones(size) if mask is None else torch.from_numpy(mask).float() for _, mask in found]
    stacked = torch.stack(masks) if masks else torch.zeros(0, *size)
    concepts = torch.tensor([concept for concept, _ in found], dtype=torch.int64, device=device)
    return Reading(tuple(kinds.index(kind) for kind in labelled.labels), concepts, stacked.to(device))


def together(readings: Sequence[Reading]) -> Readings:
    """Readings of one image, the others at the size of the first: each pixel from the nearest one."""
    size = readings[0].masks.shape[1:]
    masks = [
        one.masks if one.masks.shape[1:] == size else F.interpolate(one.masks[None], size, mode="nearest-exact")[0]
        for one in readings
    ]
    numbers = [torch.full_like(one.concepts, number) for number, one in enumerate(readings)]
    places = torch.stack([torch.cat(numbers), torch.cat([one.concepts for one in readings])], 1)
    kinds = [(number, kind) for number, one in enumerate(readings) for kind in one.kinds]
    return Readings(kinds, places, torch.cat(masks).flatten(1))
