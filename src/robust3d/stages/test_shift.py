"""Tests a classifier, without attack, on its own test images and on the same objects with shifted backgrounds."""

import json
from typing import TYPE_CHECKING

import pandas as pd
import torch

from robust3d.architectures import architecture
from robust3d.data.images import load_images
from robust3d.data.params import SetParams
from robust3d.data.sets import save_set
from robust3d.models.classifier import load_classifier
from robust3d.study.parsing import parse

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context

BATCH = 250


def run(job: "Context") -> None:
    """Write `outcomes`, one row an image and background, and `metrics`."""
    info = json.loads(job.input("classifier_info").read_text())
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = load_classifier(
        job.input("classifier"), architecture(info["architecture"]), len(info["classes"]), info["normalisation"]
    ).to(device)
    frames = []
    for name, table in (("set", "set"), ("shifted", "shifted")):
        image_set = parse(SetParams, job.params[name])
        files = job.input(table), job.input("views"), job.optional("textures")
        images, labels, rows = load_images(*files, image_set, "test")
        with torch.inference_mode():
            batches = [model(batch.to(device).float() / 255).argmax(1).cpu() for batch in images.split(BATCH)]
        kept = rows[["class_name", "instance", "view", "texture"]]
        predicted = torch.cat(batches).numpy()
        frames.append(kept.assign(image=range(len(kept)), images=name, label=labels.numpy(), prediction=predicted))
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
