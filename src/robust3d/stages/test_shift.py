"""Tests a classifier, without attack, on its own test images and on the same objects with shifted backgrounds."""

import json
from typing import TYPE_CHECKING

import pandas as pd
import torch

from robust3d.data.images import open_set
from robust3d.data.sets import save_set
from robust3d.models.classifier import load_classifier

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context

BATCH = 250


def run(job: "Context") -> None:
    """Write `outcomes`, one row an image and background, and `metrics`."""
    info = json.loads(job.input("classifier_info").read_text())
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = load_classifier(job.input("classifier"), len(info["classes"]), info["normalisation"]).to(device)
    frames = []
    for name, suffix in (("set", ""), ("shifted", "_shifted")):
        images = open_set(job.params[name], job.inputs, "test", suffix)
        with torch.inference_mode():
            batches = [model(raw.to(device).float() / 255).argmax(1).cpu() for raw, _ in images.batches(BATCH)]
        kept = images.rows[["class_name", "instance", "view", "texture"]]
        labels, predicted = images.labels.numpy(), torch.cat(batches).numpy()
        frames.append(kept.assign(image=range(len(kept)), images=name, label=labels, prediction=predicted))
    outcomes = pd.concat(frames, ignore_index=True)
    outcomes["correct"] = outcomes["label"] == outcomes["prediction"]
    save_set(outcomes, job.outputs["outcomes"])
    correct = outcomes.groupby("images")["correct"]
    metrics = {
        name: {
            "correct": int(correct.sum()[name]),
            "images": int(correct.count()[name]),
            "accuracy": correct.mean()[name],
        }
        for name in ("set", "shifted")
    }
    job.write_json("metrics", {**metrics, "classifier": info})
