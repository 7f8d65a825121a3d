"""Tests a classifier on image sets with a module of `robust3d.probes`."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pandas as pd
import torch

from robust3d import registry
from robust3d.architectures import architecture
from robust3d.data.images import ImageData, open_set
from robust3d.data.sets import save_set
from robust3d.errors import UserError
from robust3d.models.classifier import load_classifier
from robust3d.parsing import parse
from robust3d.probes import Subject

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context

FACTS = ("class_name", "instance", "view", "texture")  # columns of an image, copied to each of its outcomes


def run(job: "Context") -> None:
    """Write `outcomes`, one or more rows per image, and `metrics`."""
    module = registry.load("probe", job.params["probe"])
    info = json.loads(job.input("classifier_info").read_text())
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = load_classifier(
        job.input("classifier"), architecture(info["architecture"]), len(info["classes"]), info["normalisation"]
    ).to(device)
    facts: dict[str, pd.DataFrame] = {}
    opener = _opener(job, device, facts, tuple(info["classes"]))
    sets = tuple(job.params["sets"])

    def training_images(name: str) -> ImageData:
        return open_set(job.params["sets"][name], job.inputs, "train", name).to(device)

    subject = Subject(model, tuple(info["classes"]), device, opener, job.progress, sets, training_images)
    found = module.probe(parse(module.Params, job.params["params"]), subject)
    save_set(_with_facts(found.outcomes, facts), job.outputs["outcomes"])
    job.write_json("metrics", {**found.metrics, "classifier": info})


def _opener(
    job: "Context", device: str, facts: dict[str, pd.DataFrame], classes: tuple[str, ...]
) -> Callable[[str], ImageData]:
    """A function that opens the test images of a named set, and adds the columns `FACTS` of its images to `facts`."""
    module = registry.load("probe", job.params["probe"])
    tested = () if getattr(module, "ANY_CLASSES", False) else registry.probe_sets(job.params["probe"])

    def open_named(name: str) -> ImageData:
        images = open_set(job.params["sets"][name], job.inputs, "test", name)
        if name in tested and images.classes != classes:
            raise UserError(
                f"sets.{name}: its classes are {', '.join(images.classes)}, those of the classifier "
                f"{', '.join(classes)}; name a set of the same classes in the same order"
            )
        facts[name] = images.rows[[fact for fact in FACTS if fact in images.rows]]
        return images.to(device)

    return open_named


def _with_facts(outcomes: pd.DataFrame, facts: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The outcomes with the columns of their images; a probe's own column of the same name stays.

    Raises:
        ValueError: an outcome belongs to no image that the probe was given.
    """
    known = pd.concat([rows.assign(images=name, image=range(len(rows))) for name, rows in facts.items()])
    known = known[["images", "image", *(fact for fact in FACTS if fact in known and fact not in outcomes)]]
    merged = outcomes.merge(known, on=["images", "image"], how="left", validate="many_to_one", indicator="found")
    if (merged["found"] != "both").any():
        raise ValueError(
            "outcomes of images that the probe was not given; `images` and `image` say of which one each is"
        )
    return merged.drop(columns="found")
