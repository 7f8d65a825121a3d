"""Trains a classifier, standard or adversarially, from scratch or from an encoder."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robust3d.architectures import architecture
from robust3d.data.images import load_images
from robust3d.data.manifest import Views
from robust3d.data.params import SetParams
from robust3d.models.classifier import Classifier
from robust3d.models.encoder import Normalisation
from robust3d.models.files import load_state, save_state
from robust3d.provenance.files import sha256
from robust3d.study.parsing import parse
from robust3d.training.adversarial import AdversarialTraining
from robust3d.training.loop import train
from robust3d.training.parallel import launch
from robust3d.training.params import ClassifierParams
from robust3d.training.transfer import initialise_classifier

if TYPE_CHECKING:
    from lightning.fabric import Fabric
    from torch import Tensor

    from robust3d.provenance.runner import Context


TOLD = ("architecture", "objective", "selection", "augmentation", "seed")


def run(job: "Context") -> None:
    """Write `classifier` (with the keys of its architecture's network), its `info` and `metrics`."""
    params = parse(ClassifierParams, job.params["classifier"])
    trained = launch(train_classifier, params.devices, params.precision, job.params, job.inputs, job.progress)
    save_state(trained["state"], job.outputs["classifier"])
    job.write_json("info", {"sha256": sha256(job.outputs["classifier"]), **trained["info"]})
    job.write_json("metrics", {"rows": trained["rows"]})


def train_classifier(
    fabric: "Fabric", told: dict[str, Any], inputs: dict[str, list[Path]], progress: Path
) -> dict[str, Any]:
    """Train on this process's device; everything that `run` writes, if this is the first one."""
    params = parse(ClassifierParams, told["classifier"])
    image_set = parse(SetParams, told["set"])
    files = inputs["set"][0], inputs["views"][0], next(iter(inputs.get("textures", [])), None)
    images, labels, rows = load_images(*files, image_set, "train")
    val_images, val_labels, _ = load_images(*files, image_set, "val")
    classes = rows.drop_duplicates("class_index").sort_values("class_index")["class_name"].tolist()

    encoder = next(iter(inputs.get("encoder", [])), None)
    encoder_info = json.loads(inputs["encoder_info"][0].read_text()) if encoder else None
    classifier, start = _start(params, encoder, encoder_info, len(classes), images)
    device = fabric.device
    task = AdversarialTraining(
        classifier.to(device),
        images.to(device),
        labels.to(device),
        val_images.to(device),
        val_labels.to(device),
        params,
    )
    task.share, task.shares = fabric.global_rank, fabric.world_size
    history = train(task, params.loop(len(images)), params.seed, progress, fabric)
    if not fabric.is_global_zero:
        return {}
    info = {
        "classes": classes,
        "resolution_px": images.shape[-1],
        "training_images": len(images),
        "background": image_set.background.kind,
        "devices": fabric.world_size,
        "steps": history.steps,
        "selected_step": history.selected_step,
        "precision": history.precision,
        "collapse": history.collapse,
        "validation": history.selected["validation"],
        **start,
        **{name: told["classifier"][name] for name in TOLD},
        "attack": told["classifier"]["attack"] if params.objective == "pgd" else None,
        "attacked": task.attacked,
        "encoder": encoder_info,
    }
    if notices := Views.read(inputs["views"][0]).notices():
        info["data_notices"] = notices
    state = {name: value.cpu() for name, value in classifier.network.state_dict().items()}
    return {"state": state, "info": info, "rows": history.rows}


def _start(
    params: ClassifierParams,
    encoder_file: Path | None,
    encoder: dict[str, Any] | None,
    classes: int,
    images: "Tensor",
) -> tuple[Classifier, dict[str, Any]]:
    """The untrained classifier and what it starts from."""
    assert params.architecture is not None  # planning names it
    network = architecture(params.architecture)
    network.check_size(images.shape[-1], "the training images")
    source: Normalisation = "imagenet" if encoder is None else encoder["normalisation"]
    normalisation = source if params.normalisation == "source" else params.normalisation
    classifier = Classifier(network, classes, normalisation, params.seed)
    facts = {"start": "random", "normalisation": normalisation, "normalisation_change": None, "batchnorm": None}
    if encoder is None or encoder_file is None:
        return classifier, facts
    initialise_classifier(
        classifier,
        load_state(encoder_file),
        source,
        params.normalisation_change,
        batchnorm=params.batchnorm,
        recalibration=images,
        batch_size=params.batch_size,
    )
    changes = {"normalisation_change": params.normalisation_change, "batchnorm": params.batchnorm}
    return classifier, {**facts, "start": "encoder", **changes}
