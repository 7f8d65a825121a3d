"""The tables of the shape-bias paper from outcomes that are written by hand."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from robust3d.distortions.parameters import COMMON, EXTRA
from robust3d.errors import UserError
from robust3d.papers.shapebias import corruptions, initialisations, table3, tableA1
from robust3d.papers.shapebias.reported import TABLE1, TABLE2, TABLE3, TABLE4, TABLEA1, TABLEA1_COLUMNS
from robust3d.papers.shapebias.section import PROBES
from robust3d.provenance.runner import Context
from robust3d.study.plan import Plan
from robust3d.study.reading import read_study
from robust3d.study.targets import of_paper, targets
from robust3d.tables.cells import CLASSIFIER_FACTS

CONFIG = Path(__file__).parents[2] / "config.yaml"
IMAGES = 8


def made(folder: Path, rights: dict[str, list[dict[str, np.ndarray]]], column: str, metrics: dict) -> Context:
    """A table's job: for each model and seed the images that are right, by distortion (or corruption and severity)."""
    inputs, models = {}, []
    for label, seeds in rights.items():
        names = [f"{label}-s{number}" for number in range(len(seeds))]
        for name, right in zip(names, seeds):
            frames = []
            for kind, correct in right.items():
                told, _, severity = str(kind).partition("@")
                frame = pd.DataFrame({"images": "set", "image": range(IMAGES), column: told, "correct": correct})
                frames.append(
                    frame.assign(severity=int(severity or 0), class_name="cone", instance="a", view=range(IMAGES))
                )
            outcomes, told = folder / f"{name}.parquet", folder / f"{name}.json"
            pd.concat(frames).sample(frac=1, random_state=1).to_parquet(outcomes)
            classifier = dict.fromkeys(CLASSIFIER_FACTS) | {"encoder": None, "classes": ["cone", "horn"]}
            classifier["validation"] = {"accuracy": 1.0}
            told.write_text(json.dumps({**metrics, "classifier": classifier}))
            inputs |= {f"outcomes:{name}": [outcomes], f"metrics:{name}": [told]}
        models.append({"label": label, "group": "", "printed": "ResNet-50", "outcomes": names})
    params = {
        "target": "t",
        "study": "test",
        "seed": 0,
        "models": models,
        "flags": ["stand-in"],
        "data": {},
        "papers": False,
    }
    return Context(params, inputs, {"table": folder / "t.csv", "cells": folder / "t.json"}, folder, 1)


def read(job: Context) -> tuple[pd.DataFrame, dict]:
    content = json.loads(job.outputs["cells"].read_text())
    table = pd.read_csv(job.outputs["table"], index_col=0, dtype=str)
    cells = {(cell["row"], cell["column"]): cell for cell in content["cells"]}
    assert {place: table.loc[place] for place in cells} == {place: cell["text"] for place, cell in cells.items()}
    return table, cells


def bits(text: str) -> np.ndarray:
    return np.array([letter == "1" for letter in text])


def test_table_3_counts_images_that_all_models_of_all_seeds_get_right(tmp_path):
    rights = {
        "S": [{"none": bits("11111100"), "scrambled_2": bits("11000011"), "scrambled_4": bits("10000011"),
               "noise": bits("11110000")}] * 2,
        "R": [{"none": bits("11110011"), "scrambled_2": bits("00000011"), "scrambled_4": bits("01000011"),
               "noise": bits("00111111")},
              {"none": bits("01111111"), "scrambled_2": bits("00000000"), "scrambled_4": bits("00000000"),
               "noise": bits("01111111")}],
    }  # fmt: skip
    accuracy = {"none": 0, "scrambled_2": 0, "scrambled_4": 0, "noise": 0}
    job = made(
        tmp_path, rights, "distortion", {"accuracy": accuracy, "made": {"noise": "n"}, "blank_black_and_white": 0}
    )
    table3.write(job)
    table, cells = read(job)
    assert list(table.columns) == ["Real", "Scrambled", "Noise"] and list(table.index) == ["S", "R"]
    # Images 1, 2 and 3 are right by all. Of these S gets one of three with 2 x 2 tiles and none with 4 x 4.
    assert cells["S", "Real"]["images"] == ["cone/a/1", "cone/a/2", "cone/a/3"] and cells["S", "Real"]["n"] == 3
    assert table.loc["S"].tolist() == ["100.0", f"{100 / 6:.1f}", "100.0"]
    assert table.loc["R"].tolist() == ["100.0", f"{100 / 12:.1f}", f"{100 * 5 / 6:.1f}"]
    assert cells["R", "Noise"]["difference"]["to"] == "S"
    assert cells["R", "Noise"]["difference"]["value"] == pytest.approx(-1 / 6)
    assert cells["S", "Scrambled"]["printed"] == {"row": "ResNet-50", "value": 58.04, "comparable": False}
    assert cells["S", "Noise"]["printed"] is None and cells["S", "Noise"]["made"] == {"noise": "n"}


def test_a_table_says_that_no_image_is_right_by_all(tmp_path):
    rights = {"S": [{"none": bits("11110000")}], "R": [{"none": bits("00001111")}]}
    for seeds in rights.values():
        seeds[0]["black_and_white"] = bits("11111111")
    job = made(
        tmp_path,
        rights,
        "distortion",
        {"accuracy": {"none": 0, "black_and_white": 0}, "made": {}, "blank_black_and_white": 3},
    )
    table3.write(job)
    table, cells = read(job)
    assert set(table.loc["S"]) == {"–"} and cells["S", "Real"]["value"] is None
    assert "no image is right by S, R" in cells["S", "Real"]["flags"]
    assert "3 of the 8 tested images are black or white all over" in cells["R", "B&W"]["flags"]


def corrupted(tmp_path, names, share, more=(0, 0, 0)):
    """S is right about the first images; of R each corruption leaves `share` right at severity 1 and none at 2.

    `more` images that R gets right at severity 1, by seed.
    """
    rights = {"S": [], "R": []}
    for extra in more:
        half = {f"{name}@{severity}": bits("11110000") for name in names for severity in (1, 2)}
        rights["S"].append({"none": bits("11111111"), **half})
        few = {f"{name}@1": np.arange(IMAGES) < share[name] + extra for name in names}
        none = {f"{name}@2": bits("00000000") for name in names}
        rights["R"].append({"none": bits("11111111"), **few, **none})
    metrics = {"errors": dict.fromkeys(names, 0), "parameters": "cifar",
               "errors_by_severity": {name: {"1": 0, "2": 0} for name in names}}  # fmt: skip
    return made(tmp_path, rights, "corruption", metrics)


def test_table_a1_and_corruption_errors(tmp_path):
    names = (*COMMON, *EXTRA)
    share = {name: number % 9 for number, name in enumerate(names)}
    job = corrupted(tmp_path, names, share)
    tableA1.write(job)
    table, cells = read(job)
    assert table.loc["Gaussian noise"].tolist() == ["50.0", "0.0"] and len(table) == 20
    for name, right in share.items():
        assert float(table.loc[tableA1.LABELS[name], "R"]) == pytest.approx(100 * right / 16, abs=0.051)
    mean = np.mean([share[name] / 16 for name in COMMON])
    assert cells["Mean", "R"]["value"] == pytest.approx(100 * mean)
    assert cells["Mean", "S"]["printed"]["value"] == 51.70 and cells["Fog", "R"]["severities"] == ["1", "2"]
    for label in tableA1.LABELS.values():
        assert (tableA1.COPIED in cells[label, "S"]["flags"]) == (label in ("Gaussian blur", "Spatter"))
    assert any("not that of the printed rows: 49.75" in flag for flag in cells["Mean", "S"]["flags"])
    corruptions.write(job)
    table, cells = read(job)
    assert table.loc["S", ["Clean", "mCE", "Relative mCE"]].tolist() == ["0.0", "50.0", "100.0"]
    assert cells["R", "mCE"]["value"] == pytest.approx(100 * (1 - mean))
    assert cells["R", "Relative mCE"]["value"] == pytest.approx(200 * (1 - mean))
    assert "interval" not in cells["R", "Relative mCE"]  # the same in all seeds: it would have no width


def test_relative_errors_have_an_interval_over_seeds(tmp_path):
    """Of 16 images R gets 2, 4 and 6 right, and S 8: ratios of their errors of 1.75, 1.5 and 1.25."""
    job = corrupted(tmp_path, COMMON, dict.fromkeys(COMMON, 2), more=(0, 2, 4))
    corruptions.write(job)
    cell = read(job)[1]["R", "Relative mCE"]
    half = 4.302653 * 0.25 / 3**0.5  # t(0.975, 2)
    assert cell["value"] == pytest.approx(150) and "3 seeds" in cell["interval"]["kind"]
    assert (cell["interval"]["low"], cell["interval"]["high"]) == pytest.approx((1.5 - half, 1.5 + half))


def test_means_that_lack_corruptions_are_left_out(tmp_path):
    job = corrupted(tmp_path, ("fog", "snow"), {"fog": 8, "snow": 0})
    corruptions.write(job)
    assert list(read(job)[0].columns) == ["Clean", "Snow", "Fog"]
    tableA1.write(job)
    assert list(read(job)[0].index) == ["Snow", "Fog"]


def test_the_printed_numbers_are_whole():
    assert len(TABLEA1) == 20 and all(len(row) == len(TABLEA1_COLUMNS) == 8 for row in TABLEA1.values())
    assert TABLEA1["spatter"] == TABLEA1["gaussian_blur"] and all(len(row) == 6 for row in TABLE3.values())
    means = np.mean([TABLEA1[name] for name in COMMON], axis=0)
    assert (np.abs(means - TABLEA1["mean"]) > 1).all()  # the printed means are not those of the rows; the cells say so


def test_the_printed_numbers_are_those_of_the_reference():
    path = CONFIG.parents[1] / "shared/reference/reported.yaml"
    if not path.exists():
        pytest.skip(f"no {path}")
    import yaml

    told = yaml.safe_load(path.read_text())["shapebias"]
    rows = [tuple(values) for name, values in told["tableA1"].items() if name != "columns"]
    assert rows and sorted(rows) == sorted(TABLEA1.values())
    assert {name: tuple(row) for name, row in told["table3"].items() if name != "columns"} == TABLE3
    assert {name: tuple(row) for name, row in told["table1"].items()} == TABLE1
    assert {name: tuple(row) for name, row in told["table2"].items()} == TABLE2
    assert told["table4"] == TABLE4


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"models": [{"label": "A", "classifier": "no"}]}, r"papers\.shapebias\.models\.0\.classifier: 'no'"),
        ({"corruptions": "accuracy"}, r"papers\.shapebias\.corruptions: accuracy is a probe of kind accuracy"),
        ({"smoothness": "accuracy"}, r"papers\.shapebias\.smoothness: accuracy is a probe of kind accuracy"),
        (
            {"initialisations": {"smoothness": "accuracy"}},
            r"papers\.shapebias\.initialisations\.smoothness: accuracy is a probe of kind accuracy",
        ),
        ({"shown": "Lite1"}, "shown: 'Lite1' is not a group of two models or more"),
        ({"models": [{"label": "A", "classifier": "standard-alexnet", "pretraining": "lite0"}]}, "architecture"),
        ({"distortions": "no"}, r"papers\.shapebias\.distortions: 'no' is not defined"),
        ({"experiment": "no"}, r"papers\.shapebias\.experiment: 'no' is not defined"),
        ({"models": [{"label": "A", "classifier": "l2"}] * 2}, "'A' is the label of two"),
    ],
)
def test_a_wrong_section_is_named(tmp_path, values, says):
    overlay = tmp_path / "mine.yaml"
    overlay.write_text(json.dumps({"papers": {"shapebias": values}}))
    with pytest.raises(UserError, match=says):
        read_study([CONFIG, overlay], {"scale": "test"})


def test_all_targets_ask_the_same_classifiers():
    plan = Plan(read_study([CONFIG], {"scale": "test"}))
    for name in of_paper("shapebias"):
        plan.target(name)
    trained = [job for job in plan.jobs.values() if job.stage == "train_classifier"]
    assert len(trained) == len(plan.study.papers["shapebias"].models) == 11
    asked = {job.params["probe"] for job in plan.jobs.values() if job.stage == "probe"}
    assert asked == set(PROBES)
    assert set(targets("shapebias")) - set(of_paper("shapebias")) == {"shapebias/initialisations"}
    (filters,) = [job for job in plan.jobs.values() if job.params.get("target") == "shapebias/figure4"]
    assert ("architecture", "alexnet") in filters.plugins  # the network that it opens is in its code
    assert "scipy" in json.loads(filters.spec)["packages"]
    (dissected,) = [job for job in plan.jobs.values() if job.params.get("target") == "shapebias/figure6"]
    labels = [model["label"] for model in dissected.params["models"]]
    assert labels == ["AlexNet", "AlexNet-L2", "GoogLeNet", "GoogLeNet-L2", "ResNet-18", "ResNet-18-L2"]


def test_painted_objects_come_with_their_renders_and_dissection_has_all_test_images():
    plan = Plan(read_study([CONFIG]))
    for name in ("shapebias/table3", "shapebias/figure6", "shapebias/initialisations"):
        plan.target(name)
    probes = [job.params for job in plan.jobs.values() if job.stage == "probe"]
    sets = {(one["probe"], name): told for one in probes for name, told in one["sets"].items()}
    shown = {(one["probe"], *one["sets"]) for one in probes}
    assert {("distortions", "set", "unpainted"), ("distortions", "set")} <= shown  # the others are not painted
    unpainted, dissected = sets["distortions", "unpainted"], sets["dissection", "set"]
    assert (unpainted["shows"], unpainted["images"]) == ("shape", [1300, 200, 400])
    assert (dissected["validity"], dissected["images"]) == (0, [1300, 200, 400])


def test_initialisations_are_the_columns_of_the_main_papers_table_4():
    plan = Plan(read_study([CONFIG], {"scale": "test"}))
    ours = plan.target("shapebias/initialisations")
    labels = [model["label"] for model in ours.params["models"]]
    assert labels[:2] == ["AT Linf", "AE+AT Linf"] and "DVR+AT L2" in labels
    asked = len([job for job in plan.jobs.values() if job.stage == "train_classifier"])
    plan.target("table4")
    trained = [job for job in plan.jobs.values() if job.stage == "train_classifier"]
    assert asked == len(labels) and len(trained) == len(labels) + 1  # and the one that is not attacked


def test_initialisations_are_compared_within_a_norm(tmp_path):
    right = {"none": bits("11111100"), "noise": bits("11000000")}
    wrong = {"none": bits("11111100"), "noise": bits("00000000")}
    found = {"accuracy": {"none": 0, "noise": 0}, "made": {}, "blank_black_and_white": 0}
    one = made(tmp_path, {"AT L2": [right] * 3, "DVR+AT L2": [wrong] * 3}, "distortion", found)
    (tmp_path / "b").mkdir()
    foggy = {"none@0": bits("11111100"), "fog@1": bits("11111111"), "fog@2": bits("00000000")}
    errors = {"errors": {"fog": 0}, "kernels": {"relative": 0.5}}
    two = made(tmp_path / "b", {"AT L2": [foggy] * 3, "DVR+AT L2": [foggy] * 3}, "corruption", errors)
    inputs = {**one.inputs, **{name.replace(":", ":b-"): files for name, files in two.inputs.items()}}
    entries = [{**model, "outcomes": [f"b-{name}" for name in model["outcomes"]]} for model in two.params["models"]]
    params = {**one.params, "distortions": one.params["models"], "corruptions": entries, "smoothness": entries}
    job = Context(params, inputs, one.outputs, tmp_path, 1)
    initialisations.write(job)
    table, cells = read(job)
    assert table.loc["AT L2"].tolist() == ["100.0", "33.3", "50.0", "0.5"]
    assert cells["DVR+AT L2", "Noise"]["difference"]["to"] == "AT L2" and cells["DVR+AT L2", "Noise"]["n"] == 6
    assert cells["DVR+AT L2", "Corrupted"]["corruptions"] == ["fog"]
