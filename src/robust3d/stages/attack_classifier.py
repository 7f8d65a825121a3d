"""Attacks a classifier's test images with AutoAttack over a grid of budgets, from which tables and curves are made."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import pandas as pd
import torch

from robust3d.attacks.autoattack import evaluate
from robust3d.attacks.params import AutoAttackParams
from robust3d.data.images import load_images
from robust3d.data.params import SetParams
from robust3d.data.sets import save_set
from robust3d.models.classifier import load_classifier
from robust3d.study.parsing import parse

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context


def run(job: "Context") -> None:
    """Write `outcomes`, one row an image and budget, and `metrics`."""
    params = parse(AutoAttackParams, job.params["attack"])
    image_set = parse(SetParams, job.params["set"])
    info = json.loads(job.input("classifier_info").read_text())
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = load_classifier(job.input("classifier"), len(info["classes"]), info["normalisation"]).to(device)
    files = job.input("set"), job.input("views"), job.optional("textures")
    images, labels, rows = load_images(*files, image_set, "test")
    pixels = images.to(device).float() / 255
    outcomes = evaluate(model, pixels, labels.to(device), params)

    frame = outcomes.to_frame()
    names = rows[["class_name", "instance", "view"]].iloc[frame["image"].to_numpy()].reset_index(drop=True)
    save_set(pd.concat([frame, names], axis=1), job.outputs["outcomes"])
    robust = {
        f"{epsilon:.6g}": {"epsilon": epsilon, "robust": int(column.sum()), "accuracy": float(column.mean())}
        for epsilon, column in zip(outcomes.epsilons, outcomes.robust.T)
    }
    metrics = {
        "images": len(images),
        "clean_accuracy": outcomes.clean_accuracy,
        "robust": robust,
        "sanity": {"epsilon": outcomes.sanity_epsilon, "accuracy": outcomes.sanity_accuracy},
        "flags": asdict(outcomes.flags),
        "passes": {
            name: {"forwards": cost.forwards, "backwards": cost.backwards} for name, cost in outcomes.cost.items()
        },
        "attack": job.params["attack"],
        "classifier": info,
    }
    job.write_json("metrics", metrics)
