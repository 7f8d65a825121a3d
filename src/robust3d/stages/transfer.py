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
from robust3d.training.parallel import launch

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context

BATCH = 250  # test images per forward pass; memory only


def run(job: "Context") -> None:
    """Write `outcomes`, a row for each training, number of labels and test image, and `metrics` of each training."""
    tested = open_set(job.params["set"], job.inputs, "test")
    metrics, frames = [], []
    for name, params in job.params["trainings"].items():
        for labels in job.params["labels"]:
            settings = {"set": job.params["set"], "classifier": {**params, "labels_per_class": labels}}
            key = f"{name}-{labels or 'all'}"
            devices, precision = params["devices"], params["precision"]
            trained = launch(train_classifier, devices, precision, settings, job.inputs, job.progress / key)
            frame = _answers(trained, tested, job.progress / key).assign(training=name, labels=labels or 0)
            accuracy = float(frame["correct"].mean())
            cell = {"training": name, "labels": labels, "accuracy": accuracy, "images": len(frame)}
            metrics.append({**cell, "classifier": trained["info"]})
            frames.append(frame)
    save_set(pd.concat(frames, ignore_index=True), job.outputs["outcomes"])
    job.write_json("metrics", {"cells": metrics, "notices": list(tested.notices)})


def _answers(trained: dict[str, Any], tested: ImageData, progress: Path) -> pd.DataFrame:
    """Answers of a trained classifier to all test images; `labels` 0 stands for all of them."""
    info = trained["info"]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = Classifier(architecture(info["architecture"]), len(info["classes"]), info["normalisation"])
    model.network.load_state_dict(trained["state"])
    subject = Subject(model.to(device).eval(), tuple(info["classes"]), device, lambda _: tested, progress)
    answers = [subject.predictions(images) for images, _ in tested.batches(BATCH)]
    return answered("test", tested, answers).drop(columns="images")
