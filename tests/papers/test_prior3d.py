"""The tables of 3D-Prior from outcomes that are written by hand, and what its section refuses."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from robust3d.errors import UserError
from robust3d.papers.prior3d import compared, figure4, reported, table1, table3
from robust3d.provenance.runner import Context
from robust3d.study.like import merge
from robust3d.study.plan import Plan
from robust3d.study.reading import load_study, read_study, read_yaml
from robust3d.tables.cells import CLASSIFIER_FACTS

ROOT = Path(__file__).parents[2]
REPORTED = ROOT.parent / "shared" / "reference" / "reported.yaml"
IMAGES = 40


def made(folder, outcomes, columns, probe="shown", **row_facts):
    """A table's job: `outcomes` has for each row a list of frames, one a seed."""
    inputs, rows = {}, []
    for label, frames in outcomes.items():
        names = [f"{label}-s{number}".replace(" ", "_") for number in range(len(frames))]
        for name, frame in zip(names, frames, strict=True):
            frame.sample(frac=1, random_state=3).to_parquet(folder / f"{name}.parquet")
            classifier = dict.fromkeys(CLASSIFIER_FACTS) | {"encoder": None, "classes": ["a", "b"]}
            sets = {one: {"classes": 4, "notices": []} for one in frame["images"].unique()}
            (folder / f"{name}.json").write_text(json.dumps({"sets": sets, "classifier": classifier}))
            inputs |= {f"outcomes:{name}": [folder / f"{name}.parquet"], f"metrics:{name}": [folder / f"{name}.json"]}
        rows.append({"label": label, "against": None, "printed": None, "probes": {probe: names}})
        rows[-1] |= row_facts.get(label, {})
    data = {probe: {one: {} for one in ("set", "odd")}}
    params = {"target": "t", "study": "test", "seed": 0, "rows": rows, "columns": columns, "flags": ["stand-in"]}
    outputs = {"table": folder / "t.csv", "cells": folder / "t.json", "picture": folder / "t.svg"}
    return Context({**params, "data": data, "probe": probe}, inputs, outputs, folder, 1)


def cells_of(job):
    content = json.loads(job.outputs["cells"].read_text())
    return {(cell["row"], cell["column"]): cell for cell in content["cells"]}


def answers(right, odd):
    parts = [
        pd.DataFrame({"images": name, "image": range(IMAGES), "correct": np.arange(IMAGES) < count})
        for name, count in (("set", right), ("odd", odd))
    ]
    return pd.concat(parts)


def test_accuracies_are_means_over_seeds_and_differences_are_to_the_named_row(tmp_path):
    outcomes = {
        "before": [answers(30, 10), answers(32, 10), answers(34, 10)],
        "after": [answers(30, 20), answers(32, 22), answers(34, 24)],
    }
    columns = [
        {"probe": "shown", "label": "Size", "set": "odd", "printed": "PUG-Size"},
        {"probe": "shown", "label": "Plain", "set": "set", "printed": None},
    ]
    after = {"against": "before", "printed": "ViT-B/14 + 3D-Prior"}
    job = made(tmp_path, outcomes, columns, after=after)
    table1.write(job)
    cells = cells_of(job)
    assert cells["before", "Size"]["text"] == "25.0" and cells["after", "Size"]["text"] == "55.0"
    told = cells["after", "Size"]
    assert told["difference"]["to"] == "before" and told["difference"]["value"] == pytest.approx(0.3)
    assert told["difference"]["verdict"] == "differs"
    assert cells["after", "Plain"]["difference"]["verdict"] == "does not differ"
    assert "difference" not in cells["before", "Size"]
    assert told["printed"] == {"row": "ViT-B/14 + 3D-Prior", "column": "PUG-Size", "value": 33.4, "comparable": False}
    assert cells["after", "Plain"]["printed"] is None and cells["before", "Size"]["printed"] is None
    assert "accuracy is not beyond chance" in cells["before", "Size"]["flags"]
    assert "accuracy is not beyond chance" not in told["flags"] and told["flags"][0] == "stand-in"
    assert len(told["sources"]) == 6 and told["n"] == IMAGES


def depths(error, constant):
    images = {"images": "set", "image": range(IMAGES)}
    frame = pd.DataFrame({**images, "rmse": error, "mean_depth_rmse": constant})
    frame.loc[0, ["rmse", "mean_depth_rmse"]] = np.nan  # an image without depth
    return frame


def test_depth_is_a_mean_error_beside_that_of_the_mean_depth(tmp_path):
    outcomes = {
        "before": [depths(0.2, 0.5), depths(0.3, 0.5), depths(0.4, 0.5)],
        "after": [depths(0.7, 0.5), depths(0.8, 0.5), depths(0.9, 0.5)],
    }
    columns = [{"probe": "shown", "label": "Depth", "printed": "NYU DPT"}]
    job = made(tmp_path, outcomes, columns, after={"against": "before"})
    table3.write(job)
    cells = cells_of(job)
    assert cells["before", "Depth"]["text"] == "0.300" and cells["before", "Depth"]["n"] == IMAGES - 1
    # Without noise of images: a t interval over three seeds with standard deviation 0.1.
    interval = cells["before", "Depth"]["interval"]
    assert interval["high"] - 0.3 == pytest.approx(4.302653 * 0.1 / np.sqrt(3), rel=1e-4)
    assert cells["after", "Depth"]["difference"]["value"] == pytest.approx(0.5)
    assert "no better than the mean depth" in cells["after", "Depth"]["flags"]
    assert "no better than the mean depth" not in cells["before", "Depth"]["flags"]


def test_shape_bias_is_the_share_of_shape_among_decisions(tmp_path):
    decisions = ["shape"] * 12 + ["texture"] * 8 + ["neither"] * 20
    frame = pd.DataFrame({"images": "set", "image": range(IMAGES), "decision": decisions})
    undecided = frame.assign(decision="neither")
    job = made(tmp_path, {"one": [frame] * 3, "none": [undecided]}, [])
    figure4.write(job)
    cells = cells_of(job)
    assert cells["one", "Shape bias"]["text"] == "60.0" and cells["one", "Shape bias"]["n"] == 20
    assert cells["none", "Shape bias"]["text"] == "–"
    assert job.outputs["picture"].stat().st_size > 1000


def test_the_interval_of_the_shape_bias_holds_the_noise_of_images(tmp_path):
    """All seeds have the same share, so all of its noise is that of the 20 images with a decision."""
    decisions = ["shape"] * 12 + ["texture"] * 8 + ["neither"] * 20
    frame = pd.DataFrame({"images": "set", "image": range(IMAGES), "decision": decisions})
    less = frame.assign(decision=["texture"] * 6 + decisions[6:])
    job = made(tmp_path, {"one": [frame] * 3, "less": [less] * 3}, [], less={"against": "one"})
    figure4.write(job)
    cells = cells_of(job)
    half = np.sqrt(0.6 * 0.4 / 19) * 1.96  # of a share of 20, whose variance has 19 degrees of freedom
    found = cells["one", "Shape bias"]["interval"]
    assert found["high"] - 0.6 == pytest.approx(half, rel=0.1) and "3 seeds and 20 images" in found["kind"]
    apart = cells["less", "Shape bias"]["difference"]
    assert apart["value"] == pytest.approx(-0.3) and apart["verdict"] == "differs" and apart["to"] == "one"
    assert "difference" not in cells["one", "Shape bias"]


def test_the_printed_numbers_are_the_papers():
    if not REPORTED.is_file():
        pytest.skip("the printed numbers are not beside this checkout")
    for name, printed in read_yaml(REPORTED)["prior3d"].items():
        ours = getattr(reported, name.upper())
        assert {key: list(values) for key, values in ours.items()} == printed


BASE = merge(read_yaml(ROOT / "config.yaml"), {})


def whole_file():
    from robust3d.study.targets import paper_files

    files = [read_yaml(paper_files()[paper]) for paper in ("prior3d", "shapebias")]
    return merge(merge(read_yaml(ROOT / "config.yaml"), files[0]), files[1])


def refused(**section):
    load_study(merge(whole_file(), {"papers": {"prior3d": section}}))


OTHER = {"label": "x", "experiment": "prior3d-painted", "probe": "shown_otherwise"}


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ({"classifier": "linf"}, "classifier: linf is trained by pgd; backbones are frozen in linear"),
        ({"probe": "accuracy"}, "probe: accuracy is a probe of kind accuracy; name one of kind robustness"),
        ({"table1": [{"label": "x", "set": "upside_down"}]}, r"table1\.0\.set: .*upside_down"),
        (
            {"figure4": {"probe": "accuracy"}},
            "figure4.probe: accuracy is a probe of kind accuracy; name one of kind",
        ),
        ({"figure4": {"experiment": "nowhere"}}, r"figure4\.experiment: .*nowhere"),
        ({"other_images": [OTHER | {"probe": "accuracy"}]}, r"other_images\.0\.probe: accuracy is a probe of kind"),
        ({"other_images": [OTHER | {"experiment": "nowhere"}]}, r"other_images\.0\.experiment: .*nowhere"),
        ({"other_images": [OTHER | {"set": "upside_down"}]}, r"other_images\.0\.set: .*upside_down"),
        ({"other_images": [OTHER]}, r"other_images\.0\.probe: shown_otherwise is another column's too"),
        ({"rows": [{"label": "a", "pretraining": "dino"}]}, r"rows\.0\.pretraining: .*dino"),
        ({"rows": [{"label": "a", "pretraining": None, "against": "b"}]}, r"rows\.0\.against: no other row"),
        ({"rows": [{"label": "a", "pretraining": None}] * 2}, r"rows\.1\.label: 'a' is the label of two"),
        ({"table1": [{"label": "a", "set": "set"}] * 2}, r"table1\.1\.label: 'a' is the label of two"),
        (
            {"table3": [{"label": "a", "set": "set"}], "depth": [{"label": "a", "probe": "depth_linear"}]},
            r"depth\.0\.label: 'a' is the label of two",
        ),
    ],
)
def test_a_section_that_names_what_is_not_there_is_refused(section, says):
    with pytest.raises(UserError, match=rf"papers\.prior3d\.{says}"):
        refused(**section)


def test_tables_plan_one_frozen_classifier_for_each_row_and_seed_and_one_pre_training_a_seed():
    plan = Plan(read_study([ROOT / "config.yaml"]))
    plan.target("prior3d/table4")
    pretrained = {job.label for (stage, _), job in plan.jobs.items() if stage == "pretrain"}
    assert {label.rpartition("-")[2] for label in pretrained} == {"s0", "s1", "s2"} and len(pretrained) == 15
    stages = [stage for stage, _ in plan.jobs]
    assert stages.count("train_classifier") == stages.count("probe") == 15
    assert compared.NOT_THE_PAPERS in json.loads(plan.target("prior3d/table4").spec)["params"]["flags"]


def test_shape_bias_is_that_of_the_tables_backbones_on_images_with_two_cues():
    plan = Plan(read_study([ROOT / "config.yaml"]))
    plan.target("prior3d/table1")
    before = {digest for stage, digest in plan.jobs if stage == "pretrain"}
    plan.target("prior3d/figure4")
    assert {digest for stage, digest in plan.jobs if stage == "pretrain"} == before and len(before) == 9
    asked = [job for job in plan.jobs.values() if job.stage == "probe" and job.params["probe"] == "cue_conflict"]
    assert len(asked) == 15
    for job in asked:
        assert job.params["sets"]["set"]["validity"] == 0
        (classifier,) = (made for made, output in job.inputs["classifier"] if output == "classifier")
        assert classifier.params["set"]["kind"] == "cue_conflict" and classifier.params["set"]["validity"] == 1
        assert classifier.params["classifier"].objective == "linear"


def test_a_column_of_other_images_has_classifiers_of_its_own():
    column = {"label": "Painted", "experiment": "prior3d-painted", "probe": "plain", "printed": "iNat21"}
    given = {"probes": {"plain": {"probe": "robustness"}}, "papers": {"prior3d": {"other_images": [column]}}}
    plan = Plan(load_study(merge(whole_file(), given)))
    table = plan.target("prior3d/table3")
    assert {"probe": "plain", "label": "Painted", "set": "set", "printed": "iNat21"} in table.params["columns"]
    validities = {"plain": set(), "shown_otherwise": set()}
    for row in table.params["rows"]:
        for probe, seen in validities.items():
            for name in row["probes"][probe]:
                ((job, _),) = table.inputs[f"outcomes:{name}"]
                ((classifier, _),) = (found for found in job.inputs["classifier"] if found[1] == "classifier")
                seen.add(classifier.params["set"]["kind"])
    assert validities == {"plain": {"cue_conflict"}, "shown_otherwise": {"views"}}


def test_an_experiment_takes_the_pre_trainings_of_another():
    whole = read_study([ROOT / "config.yaml"])
    with pytest.raises(UserError, match=r"prior3d-painted\.pretrained_as: .*nowhere"):
        load_study(merge(whole_file(), {"experiments": {"prior3d-painted": {"pretrained_as": "nowhere"}}}))
    with pytest.raises(UserError, match=r"prior3d\.pretrained_as: prior3d-painted has none of its own either"):
        load_study(merge(whole_file(), {"experiments": {"prior3d": {"pretrained_as": "prior3d-painted"}}}))
    plan = Plan(whole)
    ours, theirs = (plan.study.experiments[name] for name in ("prior3d-painted", "prior3d"))
    assert plan.pretrain("simsiam-3d", ours, 1) is plan.pretrain("simsiam-3d", theirs, 1)
