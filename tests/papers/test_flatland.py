"""The tables of Beyond Flatland from outcomes that are written by hand, and what its section refuses."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from robust3d.data.images import ImageData
from robust3d.errors import UserError
from robust3d.papers.flatland import ablation, brain, filters, hypotheses, measures, rsa, table1, transfer
from robust3d.provenance.runner import Context
from robust3d.study.like import merge
from robust3d.study.plan import Plan
from robust3d.study.reading import load_study, read_study
from robust3d.tables.cells import CLASSIFIER_FACTS

ROOT = Path(__file__).parents[2]
SHOWN, VIEWS, SEEDS = 30, 2, 3
STARTS = [("Random", None, "none", None), ("Plane", "a", "2D", None), ("Solid", "b", "3D", None),
          ("Morph", "c", "3D", None), ("Flat", "d", "flat", "Solid"), ("Some", "e", "fewer", None)]  # fmt: skip


def keep(folder, name, metrics, outcomes):
    classifier = dict.fromkeys(CLASSIFIER_FACTS) | {
        "encoder": None,
        "classes": ["a", "b"],
        "validation": metrics.pop("v"),
    }
    for cell in metrics.get("cells", []):
        cell["classifier"] = classifier
    (folder / f"{name}.json").write_text(
        json.dumps({**metrics, "classifier": classifier} if "cells" not in metrics else metrics)
    )
    outcomes.sample(frac=1, random_state=2).to_parquet(folder / f"{name}.parquet")
    return {f"metrics:{name}": [folder / f"{name}.json"], f"outcomes:{name}": [folder / f"{name}.parquet"]}


def transferred(right):
    """`right` images of the target are answered rightly with 2 labels, all with 12."""
    frames = [
        pd.DataFrame({"training": name, "labels": labels, "image": range(SHOWN), "correct": np.arange(SHOWN) < count})
        for name in ("finetuned", "probed")
        for labels, count in ((2, right), (12, SHOWN))
    ]
    cells = [{"training": name, "labels": labels} for name in ("finetuned", "probed") for labels in (2, 12)]
    return {"cells": cells, "v": {"accuracy": right / SHOWN}}, pd.concat(frames, ignore_index=True)


def answered(score):
    """Sites of two regions; the layer `b` was chosen."""
    frames = [
        pd.DataFrame({"region": region, "layer": layer, "site": [f"{region}{n}" for n in range(6)],
                      "score": score - (layer == "a") + 0.01 * np.arange(6), "chosen": layer == "b", "image": 0})
        for region in ("V4", "IT") for layer in ("a", "b")
    ]  # fmt: skip
    likeness = {"layer": "b", "value": score, "low": score, "high": score, "lower": 0.5, "upper": 0.9}
    region = {
        "value": score,
        "low": score,
        "high": score,
        "layer": "b",
        "ceiling": 0.8,
        "explained": score,
        "rsa": likeness,
    }
    return {"regions": {"V4": region, "IT": region}, "v": {}}, pd.concat(frames, ignore_index=True)


def pictured(seed, turn, width=5):
    """Features that move by `turn` from view to view, and not at all with light."""
    generator = np.random.default_rng(seed)
    objects = np.repeat(generator.standard_normal((SHOWN // VIEWS, width)), VIEWS, axis=0)
    moved = objects + turn * np.tile([[1.0], [-1.0]], (SHOWN // VIEWS, width))
    frames = []
    for name in ("set", "relit"):
        frame = pd.DataFrame(moved.astype(np.float32), columns=[f"feature{n:04d}" for n in range(width)])
        frame["images"], frame["image"], frame["class_name"] = name, range(SHOWN), "chair"
        frame["instance"], frame["view"] = (
            [f"i{n // VIEWS:03d}" for n in range(SHOWN)],
            [n % VIEWS for n in range(SHOWN)],
        )
        frames.append(frame)
    return {"features": width, "v": {}}, pd.concat(frames, ignore_index=True)


@pytest.fixture
def job(tmp_path):
    inputs, rows = {}, []
    for number, (label, key, images, flat_of) in enumerate(STARTS):
        row = {"label": label, "pretraining": key, "images": images, "flat_of": flat_of}
        row |= {"part_of": "Solid" if images == "fewer" else None, "than": "Plane" if label == "Morph" else None}
        row |= {"transfer": {"Geons": []}, "brain": [], "features": []}
        for seed in range(SEEDS):
            for kind, made in (
                ("transfer", transferred(12 + 2 * number + seed)),
                ("brain", answered(0.2 + 0.1 * number + 0.001 * seed)),
                ("features", pictured(seed + 10 * number, 0.4 - 0.1 * number)),
            ):
                name = f"{label}-{kind}-s{seed}"
                inputs |= keep(tmp_path, name, *made)
                (row["transfer"]["Geons"] if kind == "transfer" else row[kind]).append(name)
        rows.append(row)
    params = {"target": "t", "study": "test", "seed": 0, "rows": rows, "targets": ["Geons"], "labels": [2, 12],
              "trainings": {"finetuned": "fine-tuned", "probed": "linear"}, "changes": {"light": "relit"},
              "regions": ["V4", "IT"], "synthetic": True, "flags": ["small"], "early": ["V1", "V4"], "late": ["IT"],
              "positive": "Morph", "random": "Random", "precision": "area"}  # fmt: skip
    outputs = {"table": tmp_path / "t.csv", "cells": tmp_path / "t.json", "picture": tmp_path / "t.svg"}
    return Context(params, inputs, outputs, tmp_path, 1)


def cells_of(job):
    content = json.loads(job.outputs["cells"].read_text())
    return {(cell["row"], cell["column"]): cell for cell in content["cells"]}


def test_transfer_is_the_share_of_right_answers_and_is_compared_with_the_random_start(job):
    transfer.write(job)
    cells = cells_of(job)
    cell = cells["Solid", "Geons, linear, 2 labels"]
    assert cell["value"] == pytest.approx(100 * (16 + 17 + 18) / 3 / SHOWN) and cell["chance"] == 0.5
    assert cell["difference"]["to"] == "Random" and cell["difference"]["value"] == pytest.approx(4 / SHOWN)
    of_its_own = cells["Morph", "Geons, linear, 2 labels"]["difference"]  # from the second start, which it names
    assert of_its_own["to"] == "Plane" and of_its_own["value"] == pytest.approx(4 / SHOWN)
    assert cells["Random", "Geons, fine-tuned, 12 labels"]["text"] == "100.0"
    assert "difference" not in cells["Random", "Geons, linear, 2 labels"] and "small" in cell["flags"]
    assert "accuracy is not beyond chance" in cells["Random", "Geons, linear, 2 labels"]["flags"]


def test_invariance_in_closed_form(job):
    """A view at +t and one at -t of the same object are (2 t)^2 x width apart."""
    found = measures.Measures(job)
    start = found.starts["Random"]
    rows, features = start.features("Random-features-s1")
    assert len(rows) == SHOWN and rows["view"].tolist() == [0, 1] * (SHOWN // VIEWS)
    expected = 1 - (2 * 0.4) ** 2 * 5 / (2 * features.var(0).sum())
    assert np.allclose(start.invariance(None)[1], expected, atol=1e-5)
    assert np.allclose(start.invariance("relit"), 1)
    assert start.invariance(None)[0].mean() < found.starts["Morph"].invariance(None)[0].mean() < 1


def test_random_features_have_an_invariance_of_about_0():
    generator = np.random.default_rng(0)
    rows = pd.DataFrame({"class_name": "a", "instance": [f"{n // 4}" for n in range(400)], "view": 0})
    values = generator.standard_normal((400, 50))
    moved = measures._to_other_views(rows, values)
    assert np.mean(1 - moved / (2 * values.var(0).sum())) == pytest.approx(0, abs=0.02)


def test_the_brain_table_takes_the_chosen_layer(job):
    brain.write(job)
    cells = cells_of(job)
    cell = cells["Solid", "V4"]
    assert cell["value"] == pytest.approx(0.401) and cell["layers"] == ["b"] * 3
    assert cell["difference"]["value"] == pytest.approx(0.2) and measures.SYNTHETIC in cell["flags"]
    assert cells["Solid", "IT, explained"]["text"] == "40.1"


def test_weights_that_are_the_same_in_every_seed_have_intervals_over_sites_and_images(job):
    """A network from disk predicts as well in every seed, which is no certainty."""
    for seed in range(SEEDS):
        path = job.named("metrics", f"Plane-brain-s{seed}")
        content = json.loads(path.read_text())
        bounds = {"value": 0.5, "low": 0.4 + 0.03 * seed, "high": 0.7}
        content["regions"]["V4"] |= bounds
        content["regions"]["V4"]["rsa"] |= bounds | {"high": 0.6}
        path.write_text(json.dumps(content))
    brain.write(job)
    interval = cells_of(job)["Plane", "V4"]["interval"]
    assert (interval["low"], interval["high"]) == (pytest.approx(0.43), pytest.approx(0.7))
    assert interval["kind"] == "bootstrap over sites, 95 %; training noise is not in it"
    assert "t over 3 seeds" in cells_of(job)["Solid", "V4"]["interval"]["kind"]
    rsa.write(job)
    interval = cells_of(job)["Plane", "RSA V4"]["interval"]
    assert (interval["low"], interval["high"]) == (pytest.approx(0.43), pytest.approx(0.6))
    assert "bootstrap over images" in interval["kind"]
    assert cells_of(job)["Plane", "RSA Plane"]["interval"] is None  # 1 with itself, in every seed


def test_precision_of_chance_in_every_seed_is_flagged():
    """Where all seeds agree there is no interval: the number itself is compared with chance."""
    for value, flags in ((0.5, ["accuracy is not beyond chance"]), (0.75, [])):
        start = SimpleNamespace(
            transfer=lambda *which, value=value: [np.full(2, value)] * 3,
            several_labels=lambda target: True,
            chance=lambda target: 0.5,
            searched=lambda *which: [],
            than="A",
            label="A",
        )
        found = SimpleNamespace(job=SimpleNamespace(params={"precision": "area"}), starts={"A": start})
        cell = transfer._cell(found, start, "Scenes", "probed", 2)
        assert cell["interval"] is None and cell["flags"] == flags


def test_likeness_of_networks_is_1_with_themselves(job):
    rsa.write(job)
    cells = cells_of(job)
    assert cells["Solid", "RSA Solid"]["text"] == "1.000" == cells["Plane", "CKA Plane"]["text"]
    assert abs(cells["Solid", "RSA Plane"]["value"]) < 0.4
    assert cells["Solid", "RSA Plane"]["value"] == cells["Plane", "RSA Solid"]["value"]
    assert cells["Solid", "RSA V4"]["ceiling"] == {"lower": 0.5, "upper": 0.9}


def test_an_ablation_is_compared_with_what_it_was_made_of(job):
    ablation.write(job)
    cells = cells_of(job)
    assert {row for row, _ in cells} == {"Solid", "Flat", "Morph"}
    assert cells["Flat", "fine-tuned"]["difference"]["to"] == "Solid"
    assert cells["Flat", "V4"]["difference"]["value"] == pytest.approx(0.2)
    assert "difference" not in cells["Solid", "V4"]
    assert any("the best 3D start on validation images is Morph" in flag for flag in cells["Flat", "V4"]["flags"])


def test_every_hypothesis_has_an_answer(job):
    hypotheses.write(job)
    answers = {row: cell["text"] for (row, column), cell in cells_of(job).items() if column == "answer"}
    assert answers["3D is better than 2D at transfer, linear (section 4.2)"] == "yes"
    assert answers["Control: Morph is better than Plane, fine-tuned"] == "yes"
    assert answers["Solid is better than Some at transfer, linear (section 4.1)"] == "no, the opposite"
    assert answers["Solid is better than Flat: fine-tuned (section 4.4)"] == "no, the opposite"
    synthetic = "cannot be told at this scale: the responses are synthetic"
    assert answers["2D predicts V4 better than 3D (section 4.3)"] == synthetic
    assert answers["2D predicts V1 better than 3D (section 4.3)"].endswith("there are no responses of it")
    assert answers["3D is better for object detection (section 1)"].endswith("no detection is trained here")
    assert answers["3D learns invariance to rotation better than 2D (abstract)"] == "yes"
    light = answers["3D learns invariance to light better than 2D (abstract)"]
    assert light == "cannot be told at this scale: 0 is in the interval"


@pytest.mark.parametrize(
    ("difference", "why", "says"),
    [
        ({"verdict": "differs", "value": 1.0, "seeds": 3}, None, "yes"),
        ({"verdict": "differs", "value": -1.0, "seeds": 3}, None, "no, the opposite"),
        ({"verdict": "does not differ", "value": 1.0, "seeds": 3}, None, "cannot be told at this scale: 0 is in"),
        ({"verdict": None, "value": 1.0, "note": "one run"}, None, "cannot be told at this scale: one run"),
        ({"verdict": "differs", "value": 1.0, "seeds": 3}, "no data", "cannot be told at this scale: no data"),
    ],
)
def test_answers(difference, why, says):
    assert hypotheses.answer(difference, why).startswith(says)


def test_pictures_are_measured_by_what_is_known_of_them():
    import torch

    images = torch.zeros(20, 3, 32, 32, dtype=torch.uint8)
    images[:, :, :16, :8] = 100  # an eighth, grey
    found = table1.measure(ImageData.of(images, torch.arange(20) % 2))
    assert found["object"] == 1 / 8 and found["chroma"] == 0
    images[:, 0, :16, :8] = 200
    assert table1.measure(ImageData.of(images, torch.arange(20) % 2))["chroma"] == pytest.approx(100 / 255)
    noise = torch.randint(0, 256, (300, 1, 32, 32), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    slope = table1.measure(ImageData.of(noise.expand(-1, 3, -1, -1).contiguous(), torch.arange(300) % 2))["slope"]
    assert slope == pytest.approx(0, abs=0.1)  # white noise


def test_filters_are_grey_where_they_are_0_and_largest_first():
    weights = np.zeros((3, 3, 5, 5), np.float32)
    weights[1, 0, 2, 2], weights[2, :, 0, 0] = 4.0, -8.0
    shown = filters.pictures(weights)
    assert shown[0][0, 0].tolist() == [0, 0, 0] and shown[1][2, 2].tolist() == [255, 128, 128]
    assert (shown[2] == 128).all()


BASE = read_study([ROOT / "config.yaml"], {"scale": "test"})


def test_the_rdms_of_a_folder_give_the_published_correlations(job, tmp_path):
    beside = (path / "shared/data/brain_rdm92" for path in ROOT.parents)
    folder = next((path for path in beside if path.is_dir()), None)
    if folder is None:
        pytest.skip("no shared/data/brain_rdm92 beside the project")
    from robust3d.files import sha256

    files = {"subjects": "92_brainRDMs.mat", "models": "92_modelRDMs.mat"}
    digests = [sha256(folder / name) for name in files.values()]
    job.params["rdms"] = {"path": str(folder), "region": "hIT", **files, "sha256": digests}
    rsa.write(job)
    cells = cells_of(job)
    for name, value in (("monkeyIT", 0.296), ("HMAX", 0.160), ("V1", 0.027), ("animacy", 0.386)):
        assert cells[name, "RSA hIT (files)"]["value"] == pytest.approx(value, abs=1e-3)
    assert cells["V1", "RSA hIT (files)"]["ceiling"] == pytest.approx({"lower": 0.372, "upper": 0.666}, abs=1e-3)
    job.params["rdms"]["sha256"] = [None, digests[1]]
    with pytest.raises(UserError, match=r"92_brainRDMs\.mat: missing, or changed"):
        rsa.write(job)


def test_transfers_share_their_pretraining_and_are_asked_for_once():
    plan = Plan(BASE)
    for name in ("transfer", "curves", "hypotheses"):
        plan.target(f"flatland/{name}")
    stages = [job.stage for job in plan.jobs.values()]
    starts, targets, seeds = 7, 4, len(BASE.training_seeds)
    assert stages.count("transfer") == starts * targets * seeds
    assert stages.count("pretrain") == 4 * seeds
    (one,) = (job for job in plan.jobs.values() if job.label == "few-geons-fractals-s0" and job.stage == "transfer")
    assert {"robust3d.trainings.finetune", "robust3d.trainings.linear"} <= set(one.modules)
    assert json.loads(one.spec)["params"]["trainings"].keys() == {"finetuned", "probed"}


@pytest.mark.parametrize(
    ("overlay", "says"),
    [
        ({"labels": [2, 2]}, "labels: each may stand here once, got 2, 2"),
        ({"late": ["IT", "IT"]}, "late: each may stand here once"),
        (
            {"targets": [{"label": "A", "set": "black"}, {"label": "A", "set": "textured"}]},
            r"targets\.1\.label: 'A' is",
        ),
        (
            {"targets": [{"label": name, "set": "black"} for name in "AB"]},
            r"targets\.1\.set: black is a target already",
        ),
        ({"trainings": {"finetuned": "A", "probed": "A"}}, r"trainings\.probed: 'A' is the label of two"),
        ({"frozen": "finetuned"}, "frozen: finetuned is trained by finetune; features are frozen in linear"),
        ({"brain": "features"}, "brain: features is a probe of kind features; name one of kind brain"),
        (
            {"starts": [{"label": "A", "pretraining": "fractals", "images": "2D"}], "positive": None, "random": "A"},
            "random: A starts from pretraining.fractals; name a start of random weights",
        ),
        (
            {"starts": [{"label": "A", "pretraining": None, "images": "flat"}], "positive": None, "random": "A"},
            "starts.0.flat_of: belongs to images: flat",
        ),
        (
            {"starts": [{"label": "A", "pretraining": None, "images": "fewer"}], "positive": None, "random": "A"},
            "starts.0.part_of: belongs to images: fewer",
        ),
        ({"changes": {"light": "nowhere"}}, "changes: 'nowhere' is not defined"),
        (
            {
                "figures": {"figure1": "black"},
            },
            None,
        ),
    ],
)
def test_a_section_that_cannot_be_is_refused(overlay, says):
    from configuration import at_test_scale

    values = merge(at_test_scale(), {"papers": {"flatland": overlay}})
    if says is None:
        assert load_study(values).papers["flatland"].figures["figure1"] == "black"
        return
    with pytest.raises(UserError, match=rf"papers\.flatland\.{says}"):
        load_study(values)
