"""Accuracy on a set, without attack."""

from typing import TYPE_CHECKING

from pydantic import Field

from robust3d.params import Params as Base

if TYPE_CHECKING:
    from robust3d.probes import Findings, Subject


class Params(Base):
    """Batch size."""

    batch_size: int = Field(250, ge=1)  # images per forward pass; changes speed and memory only


def probe(params: Params, subject: "Subject") -> "Findings":
    """Whether each image is classified correctly."""
    return right_and_wrong(subject, ("set",), params.batch_size)


def right_and_wrong(subject: "Subject", sets: tuple[str, ...], batch_size: int) -> "Findings":
    """What the classifier says of every image of some sets, and for each set how many answers are right."""
    import pandas as pd  # not at the top: planning imports this module

    from robust3d.probes import Findings, answered

    frames, metrics = [], {}
    for name in sets:
        images = subject.images(name)
        frame = answered(name, images, [subject.predictions(batch) for batch, _ in images.batches(batch_size)])
        right = int(frame["correct"].sum())
        metrics[name] = {"correct": right, "images": len(frame), "accuracy": float(frame["correct"].mean())}
        frames.append(frame)
    return Findings(metrics, pd.concat(frames, ignore_index=True))
