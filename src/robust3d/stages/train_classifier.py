"""Trains a classifier, standard or adversarially, from scratch, from a pre-trained encoder or from weights on disk."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robust3d.data.images import load_images
from robust3d.data.params import SetParams
from robust3d.models.classifier import Classifier
from robust3d.models.encoder import Normalisation, read_trunk
from robust3d.models.files import load_state, save_state
from robust3d.provenance.files import sha256
from robust3d.study.parsing import parse
from robust3d.training.adversarial import AdversarialTraining
from robust3d.training.loop import make_fabric, train
from robust3d.training.params import ClassifierParams
from robust3d.training.transfer import initialise_classifier

if TYPE_CHECKING:
    from torch import Tensor

    from robust3d.provenance.runner import Context


def run(job: "Context") -> None:
    """Write `classifier` (torchvision ResNet-18 keys), its `info` and `metrics`."""
    params = parse(ClassifierParams, job.params["classifier"])
    image_set = parse(SetParams, job.params["set"])
    fabric = make_fabric(params.precision)
    files = job.input("set"), job.input("views"), job.optional("textures")
    images, labels, rows = load_images(*files, image_set, "train")
    val_images, val_labels, _ = load_images(*files, image_set, "val")
    classes = rows.drop_duplicates("class_index").sort_values("class_index")["class_name"].tolist()

    encoder_info = json.loads(job.input("encoder_info").read_text()) if job.optional("encoder") else None
    classifier, start = _start(job, params, encoder_info, len(classes), images)
    device = fabric.device
    task = AdversarialTraining(
        classifier.to(device),
        images.to(device),
        labels.to(device),
        val_images.to(device),
        val_labels.to(device),
        params,
    )
    history = train(task, params.loop(len(images)), params.seed, job.progress, fabric)

    save_state(classifier.network.state_dict(), job.outputs["classifier"])
    info = {
        "sha256": sha256(job.outputs["classifier"]),
        "classes": classes,
        "resolution_px": images.shape[-1],
        "training_images": len(images),
        "background": image_set.background.kind,
        "steps": history.steps,
        "selected_step": history.selected_step,
        "precision": history.precision,
        "collapse": history.collapse,
        "validation": history.selected["validation"],
        **start,
        **{name: job.params["classifier"][name] for name in ("objective", "selection", "augmentation", "seed")},
        "attack": job.params["classifier"]["attack"] if params.objective == "pgd" else None,
        "encoder": encoder_info,
    }
    job.write_json("info", info)
    job.write_json("metrics", {"rows": history.rows})


def _start(
    job: "Context", params: ClassifierParams, encoder: dict[str, Any] | None, classes: int, images: "Tensor"
) -> tuple[Classifier, dict[str, Any]]:
    """The untrained classifier and what it starts from."""
    weights = job.params["weights"]
    if encoder is None and weights is None:
        normalisation = "imagenet" if params.normalisation == "source" else params.normalisation
        classifier = Classifier(classes, normalisation, params.seed)
        return classifier, {
            "start": "random",
            "normalisation": normalisation,
            "normalisation_change": None,
            "batchnorm": None,
            "weights": None,
        }
    source: Normalisation
    start: dict[str, Any]
    if encoder is None:
        path, source = Path(weights["weights"]), "imagenet"
        trunk = read_trunk(path)
        start = {"start": "imagenet", "weights": {"path": str(path), "sha256": sha256(path)}}
    else:
        trunk, source = load_state(job.input("encoder")), encoder["normalisation"]
        start = {"start": "encoder", "weights": None}
    normalisation = source if params.normalisation == "source" else params.normalisation
    classifier = Classifier(classes, normalisation, params.seed)
    initialise_classifier(
        classifier,
        trunk,
        source,
        params.normalisation_change,
        batchnorm=params.batchnorm,
        recalibration=images,
        batch_size=params.batch_size,
    )
    return classifier, {
        **start,
        "normalisation": normalisation,
        "normalisation_change": params.normalisation_change,
        "batchnorm": params.batchnorm,
    }
