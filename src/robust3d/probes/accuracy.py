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
    import torch

    from robust3d.attacks.agreement import ieee_fp32
    from robust3d.probes import Findings

    frames, metrics = [], {}
    for name in sets:
        images = subject.images(name)
        with torch.inference_mode(), ieee_fp32():
            batches = (batch for batch, _ in images.batches(batch_size))
            answers = [subject.model(batch.to(subject.device).float() / 255).argmax(1).cpu() for batch in batches]
        frame = pd.DataFrame({"images": name, "image": range(len(images)), "label": images.labels.cpu().numpy()})
        frame["prediction"] = torch.cat(answers).numpy()
        frame["correct"] = frame["label"] == frame["prediction"]
        right = int(frame["correct"].sum())
        metrics[name] = {"correct": right, "images": len(frame), "accuracy": float(frame["correct"].mean())}
        frames.append(frame)
    return Findings(metrics, pd.concat(frames, ignore_index=True))
