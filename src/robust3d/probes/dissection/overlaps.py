"""How much units and concepts have in common over a whole set of images (Bau et al. 2017, "Network dissection")."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from robust3d.data.concepts import Concepts, Labelled


class Overlaps:
    """Pixels that a unit and a concept have in common, and those of each, summed over images.

    Args:
        units: how many.
        concepts: their names and categories.
        device: of the counts.
    """

    def __init__(self, units: int, concepts: Concepts, device: str | torch.device = "cpu") -> None:
        self.kinds = tuple(dict.fromkeys(concepts.categories))
        self.category = torch.tensor([self.kinds.index(name) for name in concepts.categories], device=device)
        count = len(concepts.names)
        self.both = torch.zeros(units, count, dtype=torch.int64, device=device)
        self.concept = torch.zeros(count, dtype=torch.int64, device=device)
        self.unit = torch.zeros(units, len(self.kinds), dtype=torch.int64, device=device)  # on images of a category

    def add(self, on: Tensor, labels: Mapping[str, Sequence[tuple[int, Tensor]]]) -> None:
        """Count one image.

        Args:
            on: where units are active, (units, P) bool.
            labels: for each category that the image is labelled with, the concepts there and where (P,) they are.
        """
        active = on.float()  # sums of zeros and ones are exact in fp32 up to 16 million pixels
        pixels = on.sum(1)
        for kind, found in labels.items():
            self.unit[:, self.kinds.index(kind)] += pixels
            if found:
                numbers = torch.tensor([number for number, _ in found], device=on.device)
                where = torch.stack([mask for _, mask in found])
                self.both[:, numbers] += (active @ where.float().T).round().long()
                self.concept[numbers] += where.sum(1)

    def iou(self) -> Tensor:
        """Intersection over union (units, concepts) float64; a unit's pixels count on images of the category only."""
        either = self.unit[:, self.category] + self.concept - self.both
        return self.both.double() / either.clamp(min=1)


def active(maps: Tensor, thresholds: Tensor, height: int, width: int) -> Tensor:
    """Where units are above their thresholds (C, height * width), of maps (C, h, w) scaled bilinearly to that size."""
    shrinks = maps.shape[1] > height or maps.shape[2] > width
    scaled = F.interpolate(maps[None].float(), (height, width), mode="bilinear", antialias=shrinks)[0]
    return scaled.flatten(1) > thresholds.float()[:, None]


def flat(labelled: Labelled, device: str | torch.device) -> dict[str, list[tuple[int, Tensor]]]:
    """The labels of an image as `Overlaps.add` takes them."""
    pixels = labelled.height * labelled.width
    everywhere = torch.ones(pixels, dtype=torch.bool, device=device)
    return {
        kind: [
            (number, everywhere if mask is None else torch.from_numpy(mask).reshape(pixels).to(device))
            for number, mask in found
        ]
        for kind, found in labelled.labels.items()
    }
