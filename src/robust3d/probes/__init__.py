"""The probes, a module or package each: what is asked of a trained classifier, image by image.

A probe has a class `Params`, whose import needs no torch, and a function `probe`, which takes these parameters and a
`Subject` and returns `Findings`. `SETS` names the image sets that it reads; without it, a probe reads one set, `set`.
The probe's entry in the configuration says which sets these are; those that it leaves out are the experiment's.
`OPTIONAL_SETS` names further ones, which are there only where the entry names them: see `Subject.sets`.
`PACKAGES` names packages that shape its answers, beside those of the stage: their versions become part of its jobs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # planning imports this module and needs none of these
    import pandas as pd

    from robust3d.data.images import ImageData
    from robust3d.models.classifier import Classifier


@dataclass(frozen=True)
class Subject:
    """The classifier that is asked, and on which images.

    Attributes:
        model: in eval mode on `device`; takes images in [0, 1], gives logits.
        classes: their names, in label order.
        device: `cpu` or `cuda`.
        images: opens the test images of a set, one of the probe's `SETS`, on `device`.
        progress: a folder that outlives a killed job.
        sets: the names that `images` knows.
    """

    model: "Classifier"
    classes: tuple[str, ...]
    device: str
    images: Callable[[str], "ImageData"]
    progress: Path
    sets: tuple[str, ...] = ("set",)


@dataclass(frozen=True)
class Findings:
    """What came out.

    Attributes:
        metrics: of all images, as plain values for JSON.
        outcomes: one row an image, or several. Columns `images` (the set's name) and `image` (its number in that set,
            from 0) say which image; all others are the probe's own.
    """

    metrics: dict[str, Any]
    outcomes: "pd.DataFrame"
