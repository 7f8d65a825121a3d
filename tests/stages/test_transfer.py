"""Transfer of one start to one set: what is trained on which labels, and whose answers are counted."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from voc_folder import make, opened

from robust3d.architectures import architecture
from robust3d.data.images import ImageData
from robust3d.errors import UserError
from robust3d.models.classifier import Classifier
from robust3d.parsing import parse
from robust3d.provenance.runner import Context
from robust3d.seeds import torch_generator
from robust3d.stages import draw_set, pack_images, transfer
from robust3d.training.loop import train
from robust3d.training.metrics import accuracy
from robust3d.training.precision import average_precision
from robust3d.trainings import finetune, linear, standard

torch.set_num_threads(1)
SET = {"kind": "glyphs", "resolution_px": 16, "characters": 3, "writers": 20, "ratio": [6, 2, 2]}
RESNET = {"name": "resnet18", "params": {"stem": "imagenet"}}
SHARED = {"architecture": RESNET, "epochs": 1, "batch_size": 12, "validate_epochs": 1, "seed": 0}
FINETUNE = SHARED | {"objective": "finetune", "decay_epochs": [], "learning_rate": 0.01}
LINEAR = SHARED | {"objective": "linear", "standardise": True}


@pytest.fixture(scope="module")
def glyphs(tmp_path_factory):
    """Parameters and files of a set of characters."""
    from robust3d.imagesets.glyphs import Params

    folder = tmp_path_factory.mktemp("glyphs")
    told = {"set": parse(Params, SET).model_dump(mode="json"), "seed": 0}
    table = folder / "set.parquet"
    draw_set.run(Context(told, {}, {"table": table}, folder, 1))
    names = {"images": "images.npy", "manifest": "manifest.json", "sources": "sources.sha256"}
    made = {name: folder / file for name, file in names.items()}
    pack_images.run(Context(told | {"block": [0, 1]}, {"set": [table]}, made, folder, 1))
    return told["set"], {"set": [table], "images": [made["manifest"]]}


def transferred(folder, glyphs, trainings, labels, inputs=None):
    """Metrics and outcomes."""
    told, files = glyphs
    modules = {"finetune": finetune, "linear": linear, "standard": standard}
    dumped = {
        name: parse(modules[params["objective"]].Params, params).model_dump(mode="json")
        for name, params in trainings.items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    outputs = {"metrics": folder / "metrics.json", "outcomes": folder / "outcomes.parquet"}
    job_params = {"set": told, "trainings": dumped, "labels": labels}
    transfer.run(Context(job_params, {**files, **(inputs or {})}, outputs, folder, 1))
    return json.loads(outputs["metrics"].read_text()), pd.read_parquet(outputs["outcomes"])


def test_each_training_answers_every_test_image_for_each_number_of_labels(tmp_path, glyphs):
    metrics, outcomes = transferred(tmp_path, glyphs, {"all layers": FINETUNE, "head": LINEAR}, [2, None])
    assert [(cell["training"], cell["labels"]) for cell in metrics["cells"]] == [
        ("all layers", 2),
        ("all layers", None),
        ("head", 2),
        ("head", None),
    ]
    for cell in metrics["cells"]:
        rows = outcomes[(outcomes["training"] == cell["training"]) & (outcomes["labels"] == (cell["labels"] or 0))]
        assert sorted(rows["image"]) == list(range(12)) and cell["images"] == 12
        assert cell["accuracy"] == rows["correct"].mean() == (rows["label"] == rows["prediction"]).mean()
        assert cell["classifier"]["training_images"] == (6 if cell["labels"] else 36)
        assert cell["classifier"]["start"] == "random" and "accuracy" in cell["classifier"]["validation"]
    again, _ = transferred(tmp_path / "again", glyphs, {"all layers": FINETUNE}, [2])
    assert again["cells"][0] == metrics["cells"][0]


def test_it_starts_from_the_encoder_which_the_linear_probe_leaves_alone(tmp_path, glyphs):
    """Features of an encoder whose last block is set to zero are all zero, so a head on them answers one class."""
    from safetensors.torch import save_file

    trunk = architecture(RESNET).trunk().state_dict()
    flat = {key: torch.zeros_like(value) if key.startswith("layer4") else value for key, value in trunk.items()}
    save_file(flat, tmp_path / "encoder.safetensors")
    (tmp_path / "encoder.json").write_text(json.dumps({"normalisation": "half", "method": "test"}))
    inputs = {"encoder": [tmp_path / "encoder.safetensors"], "encoder_info": [tmp_path / "encoder.json"]}
    trainings = {"head": LINEAR | {"normalisation": "source"}}
    metrics, outcomes = transferred(tmp_path / "out", glyphs, trainings, [None], inputs)
    assert outcomes["prediction"].nunique() == 1
    assert metrics["cells"][0]["classifier"]["normalisation"] == "half"


def images_of(count, seed):
    generator = torch.Generator().manual_seed(seed)
    return ImageData.of(
        torch.randint(0, 256, (count, 3, 16, 16), generator=generator).to(torch.uint8), torch.arange(count) % 3
    )


@pytest.mark.parametrize("module", [finetune, standard])
def test_few_labels_are_the_only_images_that_are_seen(module):
    params = module.Params(epochs=1, batch_size=4, labels_per_class=2, decay_epochs=(), validate_epochs=1)
    images = images_of(30, 0)
    task = module.make_task(Classifier(architecture("resnet18"), 3), images, images_of(6, 1), params)
    expected = []
    for label in range(3):
        places = (images.labels == label).nonzero()[:, 0]
        expected += places[torch.randperm(10, generator=torch_generator(0, "labels", label))[:2]].tolist()
    assert task.labelled.tolist() == sorted(expected) and task.count == 6
    chosen = {tuple(images.batch([place])[0].flatten()[:9].tolist()) for place in expected}
    seen = set()
    for step in range(3):
        batch, labels = task.clean_batch(step, torch.Generator())
        seen |= {tuple((one.flatten()[:9] * 255).round().long().tolist()) for one in batch}
        assert set(labels.tolist()) <= {0, 1, 2}
    assert seen == chosen
    with pytest.raises(UserError, match="labels_per_class: 11, but class 0 has 10 training images"):
        module.make_task(
            Classifier(architecture("resnet18"), 3),
            images,
            images_of(6, 1),
            params.model_copy(update={"labels_per_class": 11}),
        )


def test_fine_tuning_is_standard_training_but_attacks_nothing(monkeypatch):
    images, held_out = images_of(16, 0), images_of(9, 1)
    told = {"epochs": 1, "batch_size": 8, "decay_epochs": (), "validate_epochs": 1}
    states, validations = [], []
    for module in (finetune, standard):
        if module is finetune:
            monkeypatch.setattr("robust3d.training.classification.pgd", None)
        else:
            monkeypatch.undo()
        classifier = Classifier(architecture("resnet18"), 3)
        params = module.Params(**told)
        task = module.make_task(classifier, images, held_out, params)
        history = train(task, params.loop(16), 0)
        states.append({name: value.clone() for name, value in classifier.state_dict().items()})
        validations.append(history.selected["validation"])
        logits = torch.cat([classifier(batch.float() / 255) for batch, _ in held_out.batches(9)])
        assert validations[-1]["accuracy"] == accuracy(logits, held_out.labels)
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert "pgd_accuracy" not in validations[0] and validations[0]["loss"] == pytest.approx(validations[1]["loss"])
    assert task.attacked != finetune.make_task(classifier, images, held_out, finetune.Params()).attacked == "nothing"


def test_fine_tuning_along_a_cosine_ends_at_zero():
    params = finetune.Params(epochs=4, batch_size=8, decay_epochs=(), schedule="cosine")
    from robust3d.training.loop import learning_rate

    loop = params.loop(80)
    rates = np.array([learning_rate(loop, step) for step in range(loop.steps)])
    assert rates[0] == params.learning_rate and (np.diff(rates) < 0).all() and rates[-1] < 0.01 * rates[0]


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"attack": {"epsilon": 0.1}}, "attack: has no meaning for objective finetune"),
        ({"schedule": "cosine", "decay_epochs": [2]}, "decay_epochs: the learning rate falls along a cosine"),
    ],
)
def test_what_makes_no_sense_in_fine_tuning_is_refused(told, says):
    with pytest.raises(ValueError, match=says):
        parse(finetune.Params, told)


def test_pictures_of_several_classes_are_scored_class_by_class(tmp_path):
    images, given = opened(make(tmp_path / "voc"), tmp_path, "test")
    metrics, outcomes = transferred(tmp_path / "out", given, {"all layers": FINETUNE, "head": LINEAR}, [None])
    asked = int((~images.shown.isnan()).sum())
    for cell in metrics["cells"]:
        rows = outcomes[outcomes["training"] == cell["training"]]
        assert len(rows) == asked and cell["images"] == len(images) and "accuracy" not in cell
        assert rows["shown"].sum() == (images.shown == 1).sum()
        by_hand = [average_precision(of["score"], of["shown"]) for _, of in rows.groupby("label") if of["shown"].any()]
        assert cell["mean_average_precision"] == pytest.approx(np.mean(by_hand))
        assert 0 < cell["chance"] < cell["mean_average_precision"] + 0.5
        assert "mean_average_precision" in cell["classifier"]["validation"]


def test_hyper_parameters_are_chosen_inside_the_training_images_and_recorded(tmp_path, glyphs):
    """A learning rate that breaks the network is not taken; the same without a search, and trained with that."""
    search = {"learning_rate": [30.0, 0.01], "folds": 2}
    metrics, _ = transferred(tmp_path, glyphs, {"searched": FINETUNE | {"search": search, "learning_rate": 1.0}}, [4])
    classifier = metrics["cells"][0]["classifier"]
    assert classifier["search"]["chosen"] == {"learning_rate": 0.01} and len(classifier["search"]["tried"]) == 2
    assert classifier["training_images"] == 12
    plain, _ = transferred(tmp_path / "plain", glyphs, {"searched": FINETUNE}, [4])
    without = {name: value for name, value in classifier.items() if name != "search"}
    assert without == plain["cells"][0]["classifier"] and "search" not in plain["cells"][0]["classifier"]
