"""Transfers one initialisation to one image set: trainings on few to all labels, each with its test answers."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from robust3d.architectures import architecture
from robust3d.data.images import ImageData, open_set
from robust3d.data.sets import save_set
from robust3d.models.classifier import Classifier
from robust3d.probes import Subject, answered
from robust3d.stages.train_classifier import train_classifier
from robust3d.training.multilabel import judged
from robust3d.training.parallel import launch

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context

BATCH = 250  # test images per forward pass; memory only


def run(job: "Context") -> None:
    """Write `outcomes` and `metrics` of each training and number of labels.

    Outcomes have a row for each test image; where images show several classes each, one for each image and class that
    is asked, with `shown` and `score`.
    """
    tested = open_set(job.params["set"], job.inputs, "test", several_labels=True)
    metrics, frames = [], []
    for name, params in job.params["trainings"].items():
        for labels in job.params["labels"]:
            settings = {"set": job.params["set"], "classifier": {**params, "labels_per_class": labels}}
            key = f"{name}-{labels or 'all'}"
            devices, precision = params["devices"], params["precision"]
            trained = launch(train_classifier, devices, precision, settings, job.inputs, job.progress / key)
            frame, measured = _answers(trained, tested, job.progress / key)
            frames.append(frame.assign(training=name, labels=labels or 0))
            metrics.append(
                {"training": name, "labels": labels, **measured, "images": len(tested), "classifier": trained["info"]}
            )
    save_set(pd.concat(frames, ignore_index=True), job.outputs["outcomes"])
    job.write_json("metrics", {"cells": metrics, "notices": list(tested.notices)})


def _answers(trained: dict[str, Any], tested: ImageData, progress: Path) -> tuple[pd.DataFrame, dict[str, float]]:
    """Answers of a trained classifier to all test images, and what they are worth."""
    info = trained["info"]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = Classifier(architecture(info["architecture"]), len(info["classes"]), info["normalisation"])
    model.network.load_state_dict(trained["state"])
    subject = Subject(model.to(device).eval(), tuple(info["classes"]), device, lambda _: tested, progress)
    if tested.shown is not None:
        logits = torch.cat([subject.logits(images).cpu() for images, _ in tested.batches(BATCH)])
        return _scores(logits, tested.shown, info["classes"]), judged(logits, tested.shown)
    answers = [subject.predictions(images) for images, _ in tested.batches(BATCH)]
    frame = answered("test", tested, answers).drop(columns="images")
    return frame, {"accuracy": float(frame["correct"].mean())}


def _scores(logits: torch.Tensor, shown: torch.Tensor, classes: list[str]) -> pd.DataFrame:
    image, label = (~shown.isnan()).nonzero(as_tuple=True)
    columns = {"image": image, "label": label, "shown": shown[image, label] == 1, "score": logits[image, label]}
    frame = pd.DataFrame({name: values.numpy() for name, values in columns.items()})
    return frame.assign(class_name=[classes[place] for place in label.tolist()])
