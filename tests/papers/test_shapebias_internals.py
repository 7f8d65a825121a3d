"""Tables and figures of the shape-bias paper from metrics of networks that are written by hand."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from robust3d.papers.shapebias import (
    figure3,
    figure4,
    figure5,
    figure6,
    figure8,
    figureA3,
    figureA12,
    table1,
    table2,
    table4,
)
from robust3d.papers.shapebias.detected import BY_CHANCE
from robust3d.provenance.runner import Context
from robust3d.tables.cells import CLASSIFIER_FACTS
from robust3d.tables.statistics import over_seeds, seed_difference


def made(folder: Path, models: dict[str, list[dict]], outcomes: dict[str, list[pd.DataFrame]] | None = None) -> Context:
    """A job: for each model of two groups the metrics of each seed; models are called like "group: label"."""
    inputs, entries = {}, []
    for number, (name, seeds) in enumerate(models.items()):
        group, label = name.split(": ")
        names = [f"m{number}-s{seed}" for seed in range(len(seeds))]
        for seed, (file, metrics) in enumerate(zip(names, seeds)):
            told = {"validation": {"accuracy": 0.9}, **metrics.pop("info", {})}
            classifier = dict.fromkeys(CLASSIFIER_FACTS) | {
                "encoder": None,
                "classes": ["cone", "horn", "arch"],
                **told,
            }
            told = json.dumps({**metrics, "classifier": classifier}, sort_keys=True)  # as the stage writes it
            (folder / f"{file}.json").write_text(told)
            inside = metrics.get("layers", metrics.get("maps", {}))  # in the order in which they run
            frame = outcomes[name][seed] if outcomes else pd.DataFrame({"layer": [*inside, *inside]})
            frame.to_parquet(folder / f"{file}.parquet")
            inputs |= {f"metrics:{file}": [folder / f"{file}.json"], f"outcomes:{file}": [folder / f"{file}.parquet"]}
        printed = {"S": "AlexNet", "R": "AlexNet-R"}.get(label)
        entries.append({"label": label, "group": group, "printed": printed, "outcomes": names})
    params = {
        "target": "t",
        "study": "test",
        "seed": 0,
        "models": entries,
        "flags": ["stand-in"],
        "data": {},
        "papers": False,
    }
    outputs = {"table": folder / "t.csv", "cells": folder / "t.json", "picture": folder / "t.svg"}
    return Context(params, inputs, outputs, folder, 1)


def read(job: Context) -> dict:
    """The cells by place; the table shows the same texts."""
    table = pd.read_csv(job.outputs["table"], index_col=0, dtype=str)
    cells = {(cell["row"], cell["column"]): cell for cell in json.loads(job.outputs["cells"].read_text())["cells"]}
    assert {place: table.loc[place] for place in cells} == {place: cell["text"] for place, cell in cells.items()}
    return cells


def drawn(job: Context) -> str:
    """The SVG: one size of letters."""
    text = job.outputs["picture"].read_text()
    assert text.startswith("<?xml") and "<svg" in text
    return text


def test_a_number_for_each_seed_has_the_interval_and_the_test_of_t():
    assert over_seeds([1.0, 2.0]) is None and seed_difference([1, 2], [0, 0])["verdict"] is None
    ours, theirs = [5.0, 7.0, 9.0], [4.0, 4.0, 7.0]
    low, high = stats.t.interval(0.95, 2, np.mean(ours), stats.sem(ours))
    found = over_seeds(ours)
    assert found["low"] == pytest.approx(low) and found["high"] == pytest.approx(high)
    apart = seed_difference(ours, theirs)
    assert apart["p"] == pytest.approx(stats.ttest_rel(ours, theirs).pvalue) and apart["value"] == 2
    assert apart["verdict"] == "does not differ" and apart["low"] < 0 < apart["high"]
    assert seed_difference([5, 5, 5], [4, 4, 4])["verdict"] is None  # no noise to be seen is not no noise


def answers(**rights: str) -> pd.DataFrame:
    """Which of four images are right, by distortion."""
    names = {"class_name": "a", "instance": "b", "view": range(4)}
    frames = [
        pd.DataFrame({"image": range(4), **names, "distortion": kind, "correct": [letter == "1" for letter in right]})
        for kind, right in rights.items()
    ]
    return pd.concat(frames)


def test_table_1_tells_both_sets_of_batch_norms_of_advprop(tmp_path):
    told = {"accuracy": {"none": 0, "adversarial": 0}, "made": {"adversarial": "PGD"}}
    norms = {"accuracy": 0.8, "pgd_accuracy": 0.1, "auxiliary_accuracy": 0.6, "auxiliary_pgd_accuracy": 0.5}
    job = made(
        tmp_path,
        {"A: S": [dict(told)] * 3, "A: AdvProp": [{**told, "info": {"validation": norms}} for _ in range(3)]},
        {
            "A: S": [answers(none="1111", adversarial="0000")] * 3,
            "A: AdvProp": [answers(none="1110", adversarial="1100")] * 3,
        },
    )
    table1.write(job)
    cells = read(job)
    assert [cells["S", column]["text"] for column in ("Clean", "Adversarial")] == ["100.0", "0.0"]
    assert [cells["AdvProp", column]["text"] for column in ("Clean", "Adversarial")] == ["75.0", "50.0"]
    assert cells["S", "Adversarial"]["printed"]["value"] == 0.18 and "batch_norms" not in cells["S", "Clean"]
    assert cells["AdvProp", "Adversarial"]["batch_norms"][0]["auxiliary"] == {"accuracy": 0.6, "pgd_accuracy": 0.5}
    assert cells["AdvProp", "Adversarial"]["batch_norms"][0]["clean"] == {"accuracy": 0.8, "pgd_accuracy": 0.1}
    assert cells["AdvProp", "Adversarial"]["difference"]["value"] == 0.5


def test_table_4_compares_with_the_first_of_the_group_seed_by_seed(tmp_path):
    def kernels(*values: float) -> list[dict]:
        return [{"kernels": {"mean_of_layers": v, "mean_of_kernels": 2 * v, "relative": None}} for v in values]

    weak = [{**found, "info": {"validation": {"accuracy": 0.4}}} for found in kernels(3, 3, 3)]
    job = made(tmp_path, {"A: S": kernels(10, 12, 14), "A: R": kernels(5, 6, 7), "B: other": weak})
    table4.write(job)
    cells = read(job)
    assert cells["S", "Mean TV"]["text"] == "12" and cells["S", "Over kernels"]["value"] == 24
    assert cells["S", "Relative"]["text"] == "–" and "difference" not in cells["other", "Mean TV"]
    assert cells["R", "Mean TV"]["difference"]["value"] == -6 and cells["R", "Mean TV"]["difference"]["to"] == "S"
    assert cells["R", "Mean TV"]["printed"] == {"row": "AlexNet-R", "value": 63.59, "comparable": False}
    assert any("at most twice that of guessing" in flag for flag in cells["other", "Mean TV"]["flags"])
    assert not any("guessing" in flag for flag in cells["S", "Mean TV"]["flags"])


def dissected(objects: int, colours: int, diversity: int, void: str | None = None) -> dict:
    """Metrics of the probe; by chance up to three object detectors, one colour detector and a diversity of two."""
    by_chance = [_detected(3, 0, 1), _detected(0, 1, 2)]
    told = {"void": void, "whole_images": 5.0, "by_chance": by_chance, "concepts": 20}
    told["absent"] = dict.fromkeys(("part", "scene", "material", "texture"), "none")
    return {**_detected(objects, colours, diversity), **told}


def _detected(objects: int, colours: int, diversity: int) -> dict:
    layer = {"detectors": {"units": 3, "concepts": 2, "by_category": {"object": objects, "color": colours}}}
    layers = {"relu": {**layer, "diversity": [diversity, 0]}, "conv2": {**layer, "diversity": [diversity] * 6}}
    whole = {"units": 6, "concepts": 2, "by_category": {"object": 2 * objects, "color": 2 * colours}}
    return {"detectors": whole, "layers": layers}


def test_figures_of_dissection_count_units_and_concepts(tmp_path):
    models = {"A: S": [dissected(4, 2, 8)] * 3, "A: R": [dissected(3, 4, 2)] * 3, "B: T": [dissected(0, 1, 1)] * 3}
    models["B: U"] = models["B: T"]
    job = made(tmp_path, {name: [dict(one) for one in seeds] for name, seeds in models.items()})
    figure6.write(job)
    cells = read(job)
    assert cells["R", "object"]["change"]["value"] == pytest.approx(100 * (6.5 / 8.5 - 1))
    assert cells["R", "color"]["change"]["value"] == pytest.approx(100 * (8.5 / 4.5 - 1))
    assert cells["R", "object"]["printed"]["value"] == -28 and cells["U", "object"]["change"] is None
    assert {column for _, column in cells} == {"object", "color", "unique concepts"}
    assert cells["S", "color"]["by_chance"] == [0, 2] and cells["S", "color"]["whole_images"] == 5
    chance = {place for place, cell in cells.items() if BY_CHANCE in cell["flags"]}
    assert chance == {("R", "object"), ("T", "object"), ("U", "object"), ("T", "color"), ("U", "color"),
                      *((row, "unique concepts") for row in "SRTU")}  # fmt: skip
    drawn(job)
    figureA12.write(job)
    cells = read(job)
    assert cells["S", "all layers"]["value"] == 7 and cells["S", "relu"]["value"] == 4
    assert cells["R", "all layers"]["difference"]["value"] == pytest.approx(14 / 8 - 7)
    assert cells["S", "all layers"]["printed"]["value"] == 26.07 and cells["S", "relu"]["printed"] is None
    drawn(job)
    figureA3.write(job)
    cells = read(job)
    columns = list(pd.read_csv(job.outputs["table"], index_col=0).columns)
    assert columns == ["object relu", "object conv2", "color relu", "color conv2"]  # not by name
    assert cells["S", "object relu"]["value"] == 4 and cells["R", "color conv2"]["value"] == 4
    assert cells["S", "object relu"]["by_chance"] == [3, 0] and BY_CHANCE in cells["R", "object relu"]["flags"]
    drawn(job)


def test_a_void_dissection_gives_no_number(tmp_path):
    """Of one network of the pair: no differences either, and the flag says why."""
    few = dissected(9, 9, 9, "void: few images")
    job = made(tmp_path, {"A: S": [dissected(9, 9, 9)] * 3, "A: R": [dissected(9, 9, 9), few, few]})
    for figure in (figure6, figureA12, figureA3):
        figure.write(job)
        cells = read(job)
        for (row, _), cell in cells.items():
            is_void = "void: few images" in cell["flags"]
            assert is_void == (cell["text"] == "–") == (row == "R") and (row == "S" or cell["value"] is None)
            assert not cell.get("difference") and not cell.get("change") and ("by_chance" in cell) == (row == "S")
        drawn(job)


def test_a_change_of_few_detectors_stays_above_none_at_all():
    found = figure6.change([0, 3, 40], [1, 0, 2])
    doublings = [np.log2(0.5 / 1.5), np.log2(3.5 / 0.5), np.log2(40.5 / 2.5)]
    assert found["value"] == pytest.approx(100 * (2 ** np.mean(doublings) - 1))
    assert -100 < found["interval"]["low"] < found["value"] < found["interval"]["high"]
    low, high = stats.t.interval(0.95, 2, np.mean(doublings), stats.sem(doublings))
    assert (found["doublings"]["interval"]["low"], found["doublings"]["interval"]["high"]) == pytest.approx((low, high))
    assert figure6.change([0, 0], [0, 0]) is None and figure6.change([4], [4])["interval"] is None


def test_figure_5_draws_channels_and_tells_how_much_noise_gets_through(tmp_path):
    maps = {"conv1": {"clean": [1.0, 3.0, 0.0], "noisy": [2.0, 6.0, 0.0]}, "conv2": {"clean": [0.0], "noisy": [0.0]}}
    job = made(tmp_path, {"A: S": [{"maps": maps}], "A: R": [{"maps": maps}]})
    figure5.write(job)
    cells = read(job)
    assert cells["S", "conv1"]["value"] == 2 and cells["S", "conv2"]["text"] == "–"
    points = re.findall(r'<g id="PathCollection_\d+">.*?</g>\s*</g>', drawn(job), re.DOTALL)
    assert sum(found.count("<use ") for found in points) == 4 + 2  # and the legend; zero ones are not drawn


def test_figure_3_has_a_bar_for_each_number_of_tiles(tmp_path):
    some = answers(none="1110", scrambled_2="1000", scrambled_16="0000", noise="1111")
    job = made(tmp_path, {"A: S": [{}], "A: R": [{}]}, {"A: S": [some], "A: R": [some]})
    figure3.write(job)
    cells = read(job)
    assert [cells["S", column]["text"] for column in ("1x1", "2x2", "16x16")] == ["100.0", "33.3", "0.0"]
    assert {column for _, column in cells} == {"1x1", "2x2", "16x16"}
    drawn(job)


def test_figure_4_draws_all_filters_of_the_first_network(tmp_path):
    import torch
    from PIL import Image
    from safetensors.torch import save_file

    from robust3d.architectures import architecture

    told = {"name": "alexnet", "params": {"stem": "strided", "hidden": 4}}
    inputs = {}
    for name in ("S", "R"):
        torch.manual_seed(len(inputs))
        network = architecture(told).network(3)
        save_file(network.state_dict(), tmp_path / f"{name}.safetensors")
        (tmp_path / f"{name}.json").write_text(json.dumps({"architecture": told}))
        inputs |= {
            f"classifier:{name}": [tmp_path / f"{name}.safetensors"],
            f"info:{name}": [tmp_path / f"{name}.json"],
        }
    params = {"target": "t", "models": [{"label": name, "network": name} for name in ("S", "R")]}
    job = Context(params, inputs, {"picture": tmp_path / "t.png"}, tmp_path, 1)
    figure4.write(job)
    assert min(Image.open(tmp_path / "t.png").size) > 600


def decided(letters: str) -> pd.DataFrame:
    words = {"s": "shape", "t": "texture", "-": "neither"}
    return pd.DataFrame({"image": range(len(letters)), "decision": [words[letter] for letter in letters]})


def conflict(tmp_path: Path, models: dict[str, list[str]]) -> Context:
    metrics = {"same_cue": {"images": 2, "correct": 1}, "by_shape": {"cone": {"shape_share": 0.25}},
               "by_texture": {"cone": {"texture_share": None}}}  # fmt: skip
    told = {name: [dict(metrics) for _ in seeds] for name, seeds in models.items()}
    frames = {
        name: [decided(letters).sample(frac=1, random_state=1) for letters in found] for name, found in models.items()
    }
    return made(tmp_path, told, frames)


def test_table_2_divides_by_the_decisions_for_one_of_the_two_cues(tmp_path):
    job = conflict(tmp_path, {"A: S": ["ssst----" * 5], "A: R": ["st------" * 5]})
    table2.write(job)
    cells = read(job)
    assert [cells["S", column]["text"] for column in ("Texture", "Shape", "Neither")] == ["25.0", "75.0", "50.0"]
    assert [cells["R", column]["text"] for column in ("Texture", "Shape", "Neither")] == ["50.0", "50.0", "75.0"]
    assert cells["R", table2.ANSWER]["text"] == "too few seeds" and ("S", table2.ANSWER) not in cells
    assert cells["S", "Shape"]["by_class"] == {"cone": 0.25} and cells["S", "Texture"]["by_class"] == {"cone": None}
    assert cells["S", "Shape"]["printed"]["value"] == 26.39
    # One seed: Wilson's interval of 15 of 20.
    low, high = stats.binomtest(15, 20).proportion_ci(0.95, "wilson")
    assert cells["S", "Shape"]["interval"]["low"] == pytest.approx(low)
    assert cells["S", "Shape"]["interval"]["high"] == pytest.approx(high)
    caption = json.loads(job.outputs["cells"].read_text())["caption"]
    assert "R: -25.0 points of shape against S" in caption and "training noise is not known" in caption


@pytest.mark.parametrize(("robust", "says"), [("s" * 27 + "ttt" + "-" * 10, "yes"), ("t" * 30 + "-" * 10, "no, less")])
def test_table_2_says_which_network_sees_more_shape(tmp_path, robust, says):
    standard = ["st" * 15 + "-" * 10, "ts" * 15 + "-" * 10, "tss" * 10 + "-" * 10]
    job = conflict(tmp_path, {"A: S": standard, "A: R": [robust] * 3})
    table2.write(job)
    cells = read(job)
    assert cells["R", table2.ANSWER]["text"] == says
    found = cells["R", "Shape"]["difference"]
    shares = [found.count("s") / 30 for found in standard]
    assert found["value"] == pytest.approx(robust.count("s") / 30 - np.mean(shares))
    assert cells["S", "Texture"]["value"] + cells["S", "Shape"]["value"] == pytest.approx(100)
    assert cells["R", "Shape"]["difference"]["value"] == pytest.approx(-cells["R", "Texture"]["difference"]["value"])


def test_training_noise_is_in_the_intervals_of_table_2(tmp_path):
    """Seeds that disagree more give a wider interval and no verdict, although the means are the same."""
    steady, shaky = ["sstt" * 10] * 3, ["ssss" * 10, "sstt" * 10, "tttt" * 10]
    widths = []
    for name, robust in {
        "steady": ["ssst" * 10] * 3,
        "shaky": ["ssss" * 10, "ssss" * 10, "tsst" * 5 + "tttt" * 5],
    }.items():
        (tmp_path / name).mkdir()
        job = conflict(tmp_path / name, {"A: S": steady if name == "steady" else shaky, "A: R": robust})
        table2.write(job)
        cells = read(job)
        interval = cells["S", "Shape"]["interval"]
        widths.append(interval["high"] - interval["low"])
        assert cells["R", table2.ANSWER]["text"] == ("yes" if name == "steady" else "cannot be told apart")
    assert widths[1] > 2 * widths[0]


@pytest.mark.parametrize(("robust", "neither"), [(["----"] * 3, "100.0"), (["st--", "----", "sst-"], "58.3")])
def test_table_2_of_a_network_that_decides_for_neither(tmp_path, robust, neither):
    """With all seeds, or with one: there is no mean of the shares of all."""
    job = conflict(tmp_path, {"A: S": ["st--"] * 3, "A: R": robust})
    table2.write(job)
    cells = read(job)
    assert cells["R", "Shape"]["text"] == "–" and cells["R", "Neither"]["text"] == neither
    assert cells["R", table2.ANSWER]["text"] == "–" and "difference" not in cells["R", "Shape"]


@pytest.mark.parametrize("void", [None, "void: few images"])
def test_figure_8_joins_the_two_probes(tmp_path, void):
    lost = {"layers": {"conv1": {"shape": [4, 0, 2], "texture": [1, 1, 7]}}}
    counts = [{"color": 1}, {"color": 0, "object": 0}]
    by_chance = [
        {"layers": {name: {"detectors": {"by_category": one}} for name in ("conv1", "conv9")}} for one in counts
    ]
    labels = {"layers": {"conv1": {"category": ["object", "color", "color"], "score": [0.1, 0.01, 0.2]}},
              "by_chance": by_chance, "void": void}  # fmt: skip
    for name in ("ablation", "dissection"):
        (tmp_path / name).mkdir()
    one = made(tmp_path / "ablation", {"A: S": [dict(lost)] * 3, "A: R": [dict(lost)] * 3})
    two = made(tmp_path / "dissection", {"A: S": [dict(labels)] * 3, "A: R": [dict(labels)] * 3})
    inputs = {**one.inputs, **{name.replace(":", ":d-"): files for name, files in two.inputs.items()}}
    entries = [{**model, "outcomes": [f"d-{name}" for name in model["outcomes"]]} for model in two.params["models"]]
    job = Context({**one.params, "dissected": entries}, inputs, one.outputs, tmp_path, 1)
    figure8.write(job)
    cells = read(job)
    assert cells["S", "all shape"]["value"] == 2 and cells["S", "all texture"]["value"] == 3
    if void:
        assert {place for place, cell in cells.items() if void in cell["flags"] and cell["text"] == "–"} == {
            (row, f"{kind} {cue}") for row in "SR" for kind in ("object", "color") for cue in ("shape", "texture")
        }
        return
    assert cells["S", "object shape"]["value"] == 4 and cells["R", "color texture"]["value"] == 7  # one is no detector
    assert [cells["S", f"{kind} shape"]["by_chance"] for kind in ("object", "color")] == [[0, 0], [1, 0]]
    assert [BY_CHANCE in cells["S", f"{kind} shape"]["flags"] for kind in ("object", "color")] == [False, True]
    assert cells["S", "color shape"]["units"] == [1, 1, 1] and ("S", "texture shape") not in cells
    drawn(job)
