"""The comparison from outcomes that are written by hand, its rows, and what its section refuses."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from robust3d.errors import UserError
from robust3d.papers.comparison import comparison, measures
from robust3d.provenance.runner import Context
from robust3d.study.learning_jobs import transfer
from robust3d.study.plan import Plan
from robust3d.study.reading import read_study
from robust3d.tables.cells import CLASSIFIER_FACTS

ROOT = Path(__file__).parents[2]
IMAGES, SEEDS = 40, 3
FEW = ("ae", "fractals", "simsiam-3d", "lite0", "imagenet-lite0", "imagenet")  # the entries that are rows here
GAIN = {"ae": 12}  # images that are right in addition, whatever is asked


OTHERS = {key: None if key in FEW else "not a row here" for key in read_study([ROOT / "config.yaml"]).pretraining}


def study(**given):
    """The tests' scale with three seeds and few rows; `given` adds to it."""
    papers = {"comparison": {"left_out": OTHERS, "transfer": {"targets": ["few_geons", "few_categories"]}}}
    values = {"scale": "test", "training_seeds": list(range(SEEDS)), "papers": papers}
    return read_study([ROOT / "config.yaml"], values | given)


def outcomes_of(job):
    """Metrics and outcomes that a job might have written: 16 of 40 right and a little noise, more with `GAIN`."""
    start = re.search(r"-(scratch|ae|fractals|simsiam-3d|imagenet-lite0|lite0)-s(\d)", job.label)
    seed = int(start[2])
    noise = np.random.default_rng(seed).random(IMAGES) < 0.05  # of each seed, alike for all
    correct = (np.arange(IMAGES) < 16 + GAIN.get(start[1], 0)) ^ noise
    frame = pd.DataFrame({"image": range(IMAGES), "correct": correct})
    classifier = dict.fromkeys(CLASSIFIER_FACTS) | {"classes": ["a", "b"], "encoder": None}
    metrics = {"classifier": classifier}
    if job.stage == "transfer":
        kinds = [(training, labels) for training in job.params["trainings"] for labels in job.params["labels"]]
        frame = pd.concat([frame.assign(training=training, labels=labels) for training, labels in kinds])
        metrics = {"cells": [{"classifier": classifier}]}
    elif job.params["probe"] == "autoattack":
        flags = {name: [] for name in ("notices", "invalid")} | {"zero_gradients": {}}
        names = ("randomised", "probabilities", "gradient_in_forward", "square_suspicious", "nonfinite_logits")
        metrics["flags"] = flags | dict.fromkeys([*names, "nonfinite_gradients"], 0)
        frame = frame.assign(budget=str(job.params["params"].epsilons[0]), robust=correct & (frame["image"] >= 8))
    elif job.params["probe"] == "corruptions":
        frame = pd.concat([frame.assign(corruption=name, severity=3) for name in ("fog", "snow")])
    elif job.params["probe"] == "cue_conflict":
        frame = frame.assign(decision=np.where(correct, "shape", np.where(frame["image"] < 36, "texture", "neither")))
    else:
        frame = pd.concat([frame.assign(images=name) for name in ("set", "on_textures")])
    return metrics, frame.sample(frac=1, random_state=1)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The table's job with inputs written by hand, and its cells."""
    return table(tmp_path_factory.mktemp("comparison"), study())


def table(folder, given):
    """The same of a study, in a folder."""
    planned = Plan(given).target("comparison")
    inputs = {}
    for name, ((job, _),) in planned.inputs.items():
        kind, _, own = name.partition(":")
        inputs[name] = [folder / f"{own}.{kind}"]
        if kind == "outcomes":
            metrics, frame = outcomes_of(job)
            frame.to_parquet(inputs[name][0])
            (folder / f"{own}.metrics").write_text(json.dumps(metrics))
        elif kind == "info":
            inputs[name][0].write_text(json.dumps({"images_seen": 3_200}))
        elif kind == "record":
            host = {"gpu": None, "processor": "a processor"}
            inputs[name][0].write_text(json.dumps({"cpu_seconds": 90.0, "seconds": 100.0, "host": host}))
    outputs = {"table": folder / "t.csv", "cells": folder / "t.json", "picture": folder / "t.svg"}
    job = Context(json.loads(planned.spec)["params"] | {"target": "comparison"}, inputs, outputs, folder, 1)
    comparison.write(job)
    cells = json.loads(outputs["cells"].read_text())["cells"]
    return job, {(cell["row"], cell["column"]): cell for cell in cells}


def test_a_cell_is_a_mean_and_its_difference_to_scratch(made):
    _, cells = made
    right = np.array(
        [(np.arange(IMAGES) < 16) ^ (np.random.default_rng(s).random(IMAGES) < 0.05) for s in range(SEEDS)]
    )
    better = np.array(
        [(np.arange(IMAGES) < 28) ^ (np.random.default_rng(s).random(IMAGES) < 0.05) for s in range(SEEDS)]
    )
    for column in ("Clean", "Other backgrounds", "Corruptions", "Few labels", "Linear probe"):
        assert cells["Scratch, standard", column]["value"] == pytest.approx(100 * right.mean())
        apart = cells["AE, standard", column]["difference"]
        assert apart["to"] == "Scratch" and apart["value"] == pytest.approx(better.mean() - right.mean())
        assert cells["AE, standard", column]["n"] == IMAGES * (2 if column in ("Few labels", "Linear probe") else 1)
    assert (
        cells["AE, standard", "Clean"]["text"]
        == f"{100 * better.mean():.1f} (+{100 * (better.mean() - right.mean()):.1f})*"
    )
    robust = (right & (np.arange(IMAGES) >= 8)).mean()
    assert cells["Scratch, adversarial Linf", "AutoAttack Linf 8/255"]["value"] == pytest.approx(100 * robust)
    # one budget: the area is the mean of both ends
    assert cells["Scratch, adversarial Linf", "AutoAttack Linf, area"]["value"] == pytest.approx(
        50 * (right.mean() + robust)
    )
    assert cells["AE, standard", "Clean"]["interval"]["kind"] == "t over 3 seeds and 40 images, 95 %"
    shares = [(one.sum() / (one | (np.arange(IMAGES) < 36)).sum()) for one in right]
    assert cells["Scratch, standard", "Shape share"]["value"] == pytest.approx(100 * np.mean(shares))


def test_with_one_seed_images_that_are_decided_for_neither_narrow_no_interval(tmp_path):
    _, cells = table(tmp_path, study(training_seeds=[0]))
    right = (np.arange(IMAGES) < 16) ^ (np.random.default_rng(0).random(IMAGES) < 0.05)
    decided, z = (right | (np.arange(IMAGES) < 36)).sum(), 1.959964
    assert decided < IMAGES
    share = right.sum() / decided
    found = cells["Scratch, standard", "Shape share"]["interval"]
    assert found["kind"].startswith(f"Wilson over {decided} images")
    for bound in (found["low"], found["high"]):  # Wilson: both are where the share is z standard errors away
        assert abs(share - bound) == pytest.approx(z * np.sqrt(bound * (1 - bound) / decided), rel=1e-5)


def test_differences_are_within_an_architecture(made):
    _, cells = made
    assert (
        "difference" not in cells["Scratch, standard", "Clean"]
        and "difference" not in cells["Lite0, standard", "Clean"]
    )
    assert cells["ImageNet-init (Lite0), standard", "Clean"]["difference"]["to"] == "Lite0"
    assert cells["FractalDB, adversarial Linf", "Clean"]["difference"]["to"] == "Scratch"


def test_all_differences_are_corrected_together_and_both_p_values_stay(made):
    _, cells = made
    compared = [cell["difference"] for cell in cells.values() if "difference" in cell]
    p = np.array([one["p"] for one in compared])
    assert len(compared) > 30 and {one["comparisons"] for one in compared} == {len(compared)}
    for one in compared:  # by its definition: the largest of (m - rank) p among those that are not larger
        ranks = np.arange(len(p))
        stepped = np.minimum(1, (len(p) - ranks) * np.sort(p))
        assert one["p_holm"] == pytest.approx(stepped[: np.searchsorted(np.sort(p), one["p"], "right")].max())
        assert (one["verdict_holm"] == "differs") == (one["p_holm"] < 0.05)
    clear = {cell["start"] for cell in cells.values() if cell["text"].endswith("*")}
    assert clear == {"AE"}


def test_a_cell_that_cannot_be_filled_says_why(made):
    _, cells = made
    empty = {place: cell for place, cell in cells.items() if cell["text"] == "–"}
    assert all(cell["value"] is None and len(cell["flags"]) == 1 for cell in empty.values())
    for place, why in {
        ("AE, standard", "Brain"): "probes.predictivity.params.assembly is null",
        ("AE, standard", "AutoAttack Linf 8/255"): "after adversarial Linf training only",
        ("FractalDB, adversarial L2", "Clean"): "adversarial L2 training is left out here at this scale",
        ("AE, adversarial Linf", "Few labels"): "see the row of standard training",
        ("ImageNet-init, standard", "Clean"): "resources/resnet18.pth",
        ("ImageNet-init (Lite0), standard", "Images seen"): "is not known here",
    }.items():  # fmt: skip
        assert why in empty[place]["flags"][0], place


def test_effort_is_that_of_the_whole_chain_of_pre_trainings(made):
    _, cells = made
    for start, images, minutes in (
        ("Scratch", 0, 0),
        ("Lite0", 0, 0),
        ("AE", 3_200, 1.5),
        ("SimSiam + 3D-Prior", 6_400, 3),
    ):
        assert cells[f"{start}, adversarial Linf", "Images seen"]["value"] == images
        assert cells[f"{start}, adversarial Linf", "Compute (min)"]["value"] == minutes
    assert cells["AE, adversarial Linf", "Compute (min)"]["sources"][0]["pointer"] == "/cpu_seconds"


def test_the_picture_is_the_same_in_every_run_and_shows_each_difference(made):
    job, cells = made
    first = job.outputs["picture"].read_bytes()
    comparison.draw(job, list(cells.values()))
    assert job.outputs["picture"].read_bytes() == first
    for gid in (
        "Clean, AE, adversarial L2",
        "Shape share, FractalDB, standard",
        "AutoAttack Linf mean up to 8/255, AE, adversarial Linf",
    ):
        assert f'id="{gid}"' in first.decode()
    # Scratch guesses in all panels of answers (16 of 40 are right, two classes); a share of shape is no answer.
    assert first.decode().count("(chance 50.0) -->") == 5


def test_one_entry_of_pretraining_adds_its_rows():
    before = Plan(study()).target("comparison").params["rows"]
    plan = Plan(study(pretraining={"mine": {"label": "Mine", "method": "ae", "experiments": []}}))
    after = plan.target("comparison").params["rows"]
    (mine,) = [row for row in after if row not in before]
    assert len(after) == len(before) + 1 and (mine["label"], mine["group"], mine["against"]) == (
        "Mine",
        "2D",
        "Scratch",
    )
    assert all(isinstance(answers, str) or len(answers) == SEEDS for asked in mine["outcomes"] for answers in asked)
    trained = [job for stage, job in plan.jobs if stage == "train_classifier" and "-mine-" in job]
    assert len(trained) == SEEDS * 3  # standard and Linf, and standard on painted objects


def test_a_transfer_takes_the_pre_training_of_its_experiment_whatever_the_target():
    plan = Plan(study())
    jobs = [transfer(plan, "flatland", "ae", target, ("finetuned",), (1,), 1) for target in ("few_geons", "characters")]
    (first, _), (second, _) = (job.inputs["encoder"][0] for job in jobs)
    assert first is second and first is plan.encoder("ae", plan.study.experiments["flatland"], 1)


def test_an_architecture_without_a_partner_from_scratch_is_compared_with_none():
    entry = {"label": "R50", "method": "ae", "architecture": "resnet50", "experiments": []}
    given = {"papers": {"comparison": {"probes": {"cues": {"trainings": None}}, "left_out": OTHERS}}}
    rows = Plan(study(pretraining={"mine": entry}, **given)).target("comparison").params["rows"]
    (mine,) = [row for row in rows if row["label"] == "R50"]
    assert mine["against"] is None and "untrained" in mine["alone"] and "resnet50" in mine["alone"]
    # of the trainings on painted objects, that against Linf names a ResNet-18 only
    assert [isinstance(asked[4], str) for asked in mine["outcomes"]] == [False, True, True]
    assert "linf-resnet18" not in mine["outcomes"][1][4] and "resnet50" in mine["outcomes"][1][4]


def test_recorded_responses_fill_columns_of_regions():
    recorded = {"assembly": "responses.nc", "sha256": "0" * 64, "regions": ["V4", "IT"]}
    planned = Plan(study(probes={"predictivity": {"params": recorded}})).target("comparison").params
    names = [column["name"] for column in planned["columns"] if column["measure"] == "predictivity"]
    assert names == ["Brain, V4", "Brain, IT"] and len(planned["rows"][0]["outcomes"][0][-1]) == SEEDS


def test_measures_by_hand():
    attacked = pd.DataFrame({"image": [0, 0, 1, 1], "budget": ["1.0", "3.0"] * 2, "correct": [True, True, True, True],
                             "robust": [True, False, True, True]})  # fmt: skip
    # from 0 to 1: 1; from 1 to 3: a mean of 1/2 over 2; divided by 3
    assert measures.area(attacked) == pytest.approx([2 / 3, 1])
    kinds = pd.DataFrame({"image": [0] * 5, "corruption": ["none", "fog", "fog", "snow", "saturate"],
                          "correct": [True, True, False, False, True]})  # fmt: skip
    assert measures.corrupted(kinds) == pytest.approx([0.25])  # saturate is no common one
    assert measures.shape(pd.DataFrame({"image": [0, 1], "decision": ["neither"] * 2})) is None


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"probes": {"clean": {"probe": "dissection"}}}, "is a probe of kind dissection"),
        ({"probes": {"linf": {"probe": "sweep"}}}, "probes.linf.probe: sweep is a probe of kind autoattack"),
        ({"probes": {"clean": {"images": "sets"}}}, "papers.comparison.probes.clean.images: 'sets' is not defined"),
        ({"probes": {"cues": {"images": "shifted"}}}, "papers.comparison.probes.cues.images: 'shifted'"),
        ({"probes": {"linf": {"images": "shifted"}}}, "papers.comparison.probes.linf.images: 'shifted'"),
        ({"probes": {"shift": {"label": "Clean"}}}, "papers.comparison.probes.shift.label: 'Clean' is the label of"),
        ({"transferred": {"few": {"label": "Clean"}}}, "papers.comparison.transferred.few.label: 'Clean' is the"),
        ({"trainings": {"L2": {"label": "standard"}}}, "papers.comparison.trainings.L2.label: 'standard' is the"),
        ({"trainings": {"L2": {"starts": ["ae", "ae"]}}}, "papers.comparison.trainings.L2.starts: each may stand"),
        (
            {"trainings": {"L2": {"classifiers": {"categories": ["l2", "l2"]}}}},
            "papers.comparison.trainings.L2.classifiers.categories: each may stand here once",
        ),
        ({"transfer": {"labels": [2, 2, 12]}}, "papers.comparison.transfer.labels: each may stand here once"),
        ({"transfer": {"targets": ["few_geons"] * 2}}, "papers.comparison.transfer.targets: each may stand here once"),
        ({"transfer": {"trainings": ["probed"] * 2}}, "papers.comparison.transfer.trainings: each may stand"),
        ({"probes": {"linf": {"trainings": ["L2", "L2"]}}}, "papers.comparison.probes.linf.trainings: each may stand"),
        ({"probes": {"clean": {"trainings": ["other"]}}}, "papers.comparison.probes.clean.trainings: 'other'"),
        ({"transferred": {"few": {"labels": 77}}}, "papers.comparison.transferred.few.labels: 77 is not one of"),
    ],
)
def test_a_wrong_section_is_refused(section, message):
    sweep = {"sweep": {"probe": "autoattack"}}  # whose outcomes have an image once for each budget
    with pytest.raises(UserError) as refused:
        read_study([ROOT / "config.yaml"], {"papers": {"comparison": section}, "probes": sweep})
    assert message in str(refused.value)
