"""Probes, one module or package each: per-image tests of a trained classifier.

A probe has a class `Params`, whose import needs no torch, and a function `probe`, which takes these parameters and a
`Subject` and returns `Findings`. `SETS` names the image sets that it reads; without it, a probe reads one set, `set`.
The probe's entry in the configuration maps these to sets; names that it leaves out are the experiment's sets.
`OPTIONAL_SETS` names further ones, which are there only where the entry names them: see `Subject.sets`. With "any" the
entry gives them names of its own.
With `ANY_CLASSES = True` the sets may have other classes than the classifier: it does not compare answers with labels.
`PACKAGES` names further packages that affect its results: their versions become part of its jobs' specs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # not at run time: planning imports this module
    import pandas as pd
    import torch

    from robust3d.data.images import ImageData
    from robust3d.models.classifier import Classifier


def _none(name: str) -> "ImageData":
    raise LookupError(f"no training images of {name}")


@dataclass(frozen=True)
class Subject:
    """The classifier to test, and its images.

    Attributes:
        model: in eval mode on `device`; images in [0, 1] to logits.
        classes: their names, in label order.
        device: `cpu` or `cuda`.
        images: opens the test images of a set, one of the probe's `SETS`, on `device`.
        progress: a folder that outlives a killed job.
        sets: the names that `images` knows.
        training_images: opens the training images of a set, for probes that fit something.
    """

    model: "Classifier"
    classes: tuple[str, ...]
    device: str
    images: Callable[[str], "ImageData"]
    progress: Path
    sets: tuple[str, ...] = ("set",)
    training_images: "Callable[[str], ImageData]" = _none

    def predictions(self, images: "torch.Tensor") -> "torch.Tensor":
        """Predicted labels (N,), on the CPU, of uint8 images or of floating-point ones in [0, 1]."""
        return self.logits(images).argmax(1).cpu()

    def logits(self, images: "torch.Tensor") -> "torch.Tensor":
        """Logits (N, K), on the classifier's device, of uint8 images or of floating-point ones in [0, 1]."""
        import torch

        from robust3d.attacks.agreement import ieee_fp32

        with torch.inference_mode(), ieee_fp32():
            pixels = images.float() / 255 if images.dtype == torch.uint8 else images
            logits: torch.Tensor = self.model(pixels.to(self.device))
            return logits


@dataclass(frozen=True)
class Findings:
    """Results of a probe.

    Attributes:
        metrics: of all images, as plain values for JSON.
        outcomes: one or more rows per image. Columns `images` (the set's name) and `image` (its number in that set,
            from 0) identify the image; other columns are the probe's own.
    """

    metrics: dict[str, Any]
    outcomes: "pd.DataFrame"


def answered(
    name: str, images: "ImageData", predictions: Sequence["torch.Tensor"], **columns: str | int
) -> "pd.DataFrame":
    """Outcomes of all images of a set: label, prediction, and whether it is `correct`.

    Args:
        name: of the set.
        images: of the set.
        predictions: of batches in the order of the images.
        columns: further ones, with one value for all images.
    """
    import pandas as pd
    import torch

    frame = pd.DataFrame({"images": name, "image": range(len(images)), **columns, "label": images.labels.cpu().numpy()})
    frame["prediction"] = torch.cat(list(predictions)).numpy()
    return frame.assign(correct=frame["label"] == frame["prediction"])
