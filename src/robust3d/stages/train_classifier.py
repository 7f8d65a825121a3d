"""Trains a classifier with a module of `robust3d.trainings`, from scratch or from an encoder."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from robust3d import registry
from robust3d.architectures import architecture
from robust3d.data.images import ImageData, open_set
from robust3d.files import sha256
from robust3d.models.classifier import Classifier
from robust3d.models.files import load_state, save_state
from robust3d.models.normalisation import Normalisation
from robust3d.parsing import parse
from robust3d.training.loop import History, train
from robust3d.training.parallel import launch
from robust3d.training.params import ClassifierParams
from robust3d.training.search import choose
from robust3d.training.transfer import RECALIBRATION_BATCHES, initialise_classifier

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from torch import Tensor

    from robust3d.provenance.runner import Context


INFO_KEYS = ("architecture", "objective", "selection", "augmentation", "seed")  # parameters that `info` repeats


def run(job: "Context") -> None:
    """Write `classifier` (state dict with the architecture's keys), its `info` and `metrics`."""
    params = _training(job.params)
    trained = launch(train_classifier, params.devices, params.precision, job.params, job.inputs, job.progress)
    save_state(trained["state"], job.outputs["classifier"])
    job.write_json("info", {"sha256": sha256(job.outputs["classifier"]), **trained["info"]})
    job.write_json("metrics", {"rows": trained["rows"]})


def _training(job_params: dict[str, Any]) -> ClassifierParams:
    """The parameters, parsed by the training's own class."""
    module = registry.load("training", job_params["classifier"]["objective"])
    params: ClassifierParams = parse(module.Params, job_params["classifier"])
    return params


class Trained(NamedTuple):
    """A training that is done.

    Attributes:
        classifier: trained.
        start: facts on its start, for `info`.
        task: as the training's module made it.
        history: of the loop.
    """

    classifier: Classifier
    start: dict[str, Any]
    task: Any
    history: History


def train_classifier(
    fabric: "Fabric", job_params: dict[str, Any], inputs: dict[str, list[Path]], progress: Path
) -> dict[str, Any]:
    """Train on this process's device. Returns all that `run` writes, in the first process only."""
    params = _training(job_params)
    images, held_out = (open_set(job_params["set"], inputs, split, several_labels=True) for split in ("train", "val"))
    classes = list(images.classes)
    encoder = next(iter(inputs.get("encoder", [])), None)
    encoder_info = json.loads(inputs["encoder_info"][0].read_text()) if encoder else None

    def trained(params: ClassifierParams, fit: ImageData, test: ImageData, folder: Path) -> Trained:
        """A training on some of the images; it has the same number of steps whatever part they are."""
        classifier, start = _start(params, encoder, encoder_info, len(classes), fit)
        device = fabric.device
        training = registry.load("training", params.objective)
        task = training.make_task(classifier.to(device), fit.to(device), test.to(device), params)
        task.share, task.shares = fabric.global_rank, fabric.world_size
        return Trained(classifier, start, task, train(task, params.loop(len(images)), params.seed, folder, fabric))

    def score(params: ClassifierParams, fit: ImageData, test: ImageData, name: str) -> float:
        one = trained(params, fit, test, progress / name)
        return float(one.task.score(one.history.selected["validation"]))

    search = getattr(params, "search", None)
    if search is not None:
        params, search = choose(params, search.grid, search.folds, images, score)
    classifier, start, task, history = trained(params, images, held_out, progress)
    if not fabric.is_global_zero:
        return {}
    info = {
        "classes": classes,
        "resolution_px": images.resolution_px,
        "training_images": task.count,
        "background": images.background,
        "devices": fabric.world_size,
        "steps": history.steps,
        "selected_step": history.selected_step,
        "precision": history.precision,
        "collapse": history.collapse,
        "validation": history.selected["validation"],
        **start,
        **{name: job_params["classifier"][name] for name in INFO_KEYS},
        "attack": job_params["classifier"]["attack"] if params.trained_against else None,
        "attacked": task.attacked,
        "encoder": encoder_info,
    }
    if search is not None:
        info["search"] = search
    if notices := list(dict.fromkeys([*images.notices, *held_out.notices])):
        info["data_notices"] = notices
    state = {name: value.cpu() for name, value in classifier.network.state_dict().items()}
    return {"state": state, "info": info, "rows": history.rows}


def _start(
    params: ClassifierParams,
    encoder_file: Path | None,
    encoder: dict[str, Any] | None,
    classes: int,
    images: ImageData,
) -> tuple[Classifier, dict[str, Any]]:
    """The initial classifier, and facts on its start for `info`."""
    assert params.architecture is not None  # planning names it
    network = architecture(params.architecture)
    network.check_size(images.resolution_px, "the training images")
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
        recalibration=_first(images, params) if params.batchnorm == "recalibrate" else None,
        batch_size=params.batch_size,
    )
    changes = {"normalisation_change": params.normalisation_change, "batchnorm": params.batchnorm}
    return classifier, {**facts, "start": "encoder", **changes}


def _first(images: ImageData, params: ClassifierParams) -> "Tensor":
    """The images for recalibrating batch norms: the first `RECALIBRATION_BATCHES` batches."""
    return images.batch(range(min(len(images), RECALIBRATION_BATCHES * params.batch_size)))
