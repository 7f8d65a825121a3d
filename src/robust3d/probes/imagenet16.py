"""Accuracy of a classifier of ImageNet by Geirhos' sixteen classes, on pictures of one class each.

Geirhos et al. 2019, "ImageNet-trained CNNs are biased towards texture": silhouettes, edges, greyscale and original
pictures, each in a folder that is called like its class.
"""

from typing import TYPE_CHECKING

from pydantic import Field

from robust3d.data.cues import Aggregation
from robust3d.params import Params as Base

if TYPE_CHECKING:
    from robust3d.probes import Findings, Subject

ANY_CLASSES = True  # the sixteen are compared by their names


class Params(Base):
    """What counts as an answer."""

    aggregation: Aggregation = "mean"  # over the probabilities of the members of each of the sixteen
    batch_size: int = Field(100, ge=1)  # images per forward pass; changes speed, memory and rounding only


def probe(params: Params, subject: "Subject") -> "Findings":
    """Which of the sixteen each picture is taken for; metrics of all pictures and of those of each class.

    Raises:
        UserError: a picture's class is not among the sixteen, or the classifier is not one of ImageNet.
    """
    import pandas as pd
    import torch

    from robust3d.data.imagenet16 import CLASSES, probabilities
    from robust3d.errors import UserError
    from robust3d.probes import Findings

    images = subject.images("set")
    wanted = images.rows["class_name"].tolist()
    if unknown := sorted(set(wanted) - set(CLASSES)):
        raise UserError(f"set: {unknown[0]!r} is the class of a picture and not among {', '.join(CLASSES)}")
    batches = [
        probabilities(subject.logits(batch), params.aggregation) for batch, _ in images.batches(params.batch_size)
    ]
    answers = [CLASSES[number] for number in torch.cat(batches).argmax(1).tolist()]
    table = pd.DataFrame({"images": "set", "image": range(len(images)), "label": wanted, "prediction": answers})
    table = table.assign(correct=table["label"] == table["prediction"])
    right = {name: found.tolist() for name, found in table.groupby("label")["correct"]}
    by_class = {name: {"correct": sum(found), "images": len(found)} for name, found in right.items()}
    total = int(table["correct"].sum())
    return Findings(
        {"correct": total, "images": len(table), "accuracy": total / len(table), "by_class": by_class}, table
    )
