"""Accuracy on a set and on any number of further sets that show its classes otherwise: drawn, blurred, in other light.

A further set may have some of the classifier's classes only, in any order; then answers are restricted to these, as the
benchmarks' authors and DINOv2 do (ImageNet-R has 200 of ImageNet's 1000). A set with a list of classes
(`robust3d.imagesets.benchmark`) says which of the classifier's classes are right for each of its own.
"""

import json
from typing import TYPE_CHECKING

from pydantic import Field

from robust3d.errors import UserError
from robust3d.params import Params as Base

if TYPE_CHECKING:
    from collections.abc import Sequence

    from robust3d.data.images import ImageData
    from robust3d.probes import Findings, Subject

OPTIONAL_SETS = "any"  # each a column of tables, by the name that the entry gives it
_SHOWN = 5


class Params(Base):
    """Batch size, and which answers count."""

    restricted: bool = True  # to the classes of each set; false: any class may be answered
    batch_size: int = Field(250, ge=1)  # images per forward pass; changes speed and memory only


def probe(params: Params, subject: "Subject") -> "Findings":
    """What the classifier says of every image of every set, and for each set how many answers are right."""
    import pandas as pd  # not at the top: planning imports this module
    import torch

    from robust3d.attacks.agreement import ieee_fp32
    from robust3d.probes import Findings

    frames, metrics = [], {}
    for name in subject.sets:
        images = subject.images(name)
        accepted = accepted_labels(name, images, subject.classes)
        asked = sorted({label for labels in accepted for label in labels})
        allowed = torch.tensor(asked if params.restricted else range(len(subject.classes)), device=subject.device)
        said = []
        with torch.inference_mode(), ieee_fp32():
            for batch, _ in images.batches(params.batch_size):
                logits = subject.model(batch.to(subject.device).float() / 255)[:, allowed]
                said.append(allowed[logits.argmax(1)].cpu())
        frame = pd.DataFrame({"images": name, "image": range(len(images)), "label": images.labels.cpu().numpy()})
        frame["prediction"] = torch.cat(said).numpy()
        pairs = zip(frame["label"], frame["prediction"], strict=True)
        frame["correct"] = [answer in accepted[label] for label, answer in pairs]
        metrics[name] = {
            "correct": int(frame["correct"].sum()),
            "images": len(frame),
            "accuracy": float(frame["correct"].mean()),
            "classes": len(images.classes),
            "answers": len(allowed),
            "notices": list(images.notices),
        }
        frames.append(frame)
    return Findings({"sets": metrics}, pd.concat(frames, ignore_index=True))


def accepted_labels(name: str, images: "ImageData", classes: "Sequence[str]") -> list[set[int]]:
    """For each class of a set the classifier's labels that are right for it.

    Raises:
        UserError: some are no classes of the classifier; names the set.
    """
    label_of = {one: label for label, one in enumerate(classes)}
    given: dict[str, list[str | int]] = {one: [one] for one in images.classes}
    if "accepted" in images.rows:
        first_rows = images.rows.drop_duplicates("class_name")
        given |= {
            one: json.loads(text) for one, text in zip(first_rows["class_name"], first_rows["accepted"], strict=True)
        }
    found = [[_label(answer, label_of) for answer in given[one]] for one in images.classes]
    unknown = [one for one, labels in zip(images.classes, found, strict=True) if None in labels or not labels]
    if unknown:
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        theirs = ", ".join(map(str, given[unknown[0]]))
        raise UserError(
            f"sets.{name}: {len(unknown)} of its {len(images.classes)} classes are not among the {len(classes)} of the "
            f"classifier: {', '.join(unknown[:_SHOWN])}{more} ({unknown[0]} stands for {theirs}; the classifier has "
            f"{', '.join(classes[:_SHOWN])}, …). Say which they are by `class_list` of the set, or leave them out by "
            "its `label_order`"
        )
    return [{label for label in labels if label is not None} for labels in found]


def _label(answer: str | int, label_of: dict[str, int]) -> int | None:
    """A label from a class's name or from a number, which counts the classifier's classes from 0."""
    if isinstance(answer, str):
        return label_of.get(answer)
    return answer if 0 <= answer < len(label_of) else None
