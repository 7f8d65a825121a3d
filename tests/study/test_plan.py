import json
from pathlib import Path

import pytest

from robust3d.study.config import load_study, merge, read_yaml
from robust3d.study.plan import Plan

BASE = merge(read_yaml(Path("config.yaml")), read_yaml(Path("workflow/scales/test.yaml")))
TARGETS = ("table1", "table2", "table3", "table4", "figure2", "figure3", "figure8", "figure10")


def jobs(values) -> dict[str, set[str]]:
    """Digests of all jobs by stage."""
    plan = Plan(load_study(values))
    for target in TARGETS:
        plan.target(target)
    found: dict[str, set[str]] = {}
    for job in plan.jobs.values():
        found.setdefault(job.stage, set()).add(job.digest)
    return found


def changed_stages(path: str, value) -> set[str]:
    """Stages with a job that was not there before the change."""
    overlay = value
    for key in reversed(path.split("/")):
        overlay = {key: overlay}
    before, after = jobs(BASE), jobs(merge(BASE, overlay))
    return {stage for stage in after if after[stage] - before.get(stage, set())}


EVALUATED = {"attack_classifier", "tabulate"}
TRAINED = {"train_classifier", "test_shift"} | EVALUATED


@pytest.mark.parametrize(
    ("path", "value", "stages"),
    [
        ("attacks/L2/settings/square_queries", 11, EVALUATED),
        ("classifiers/linf/learning_rate", 0.06, TRAINED),
        ("classifiers/linf/batchnorm", "reset", TRAINED),
        ("classifiers/linf/selection", "best", TRAINED),
        ("classifiers/linf/attack/best_step", False, TRAINED),
        (
            "pretraining/ae/params/latent_dim",
            255,
            {"pretrain", "extract_encoder", "draw", "train_classifier"} | EVALUATED,
        ),
        ("pretraining/ae/label", "Auto", {"tabulate", "draw"}),
        ("report/table4_rows/Linf", None, set()),
    ],
)
def test_a_change_reaches_what_it_shapes_and_nothing_else(path, value, stages):
    if value is None:
        pytest.skip("a row cannot be removed by an overlay")
    found = changed_stages(path, value)
    if "test_shift" in stages and "draw" not in stages:
        found -= {"draw"}
    assert found == stages


def test_shard_size_and_views_do_not_touch_the_meshes():
    assert "build_shapes" not in changed_stages("families/geons/shard_instances", 3)
    assert "build_shapes" not in changed_stages("families/geons/cameras/views", 5)


def test_one_class_of_geons_alone():
    plans = [
        Plan(load_study(values))
        for values in (
            BASE,
            merge(BASE, {"families": {"geons": {"shapes": {"overrides": {"cone": {"half_width": 0.3}}}}}}),
        )
    ]
    digests = [{name: plan.build_shapes("geons", name).digest for name in plan.classes("geons")} for plan in plans]
    assert {name for name in digests[0] if digests[0][name] != digests[1][name]} == {"cone"}


def test_swapped_values_of_one_type_are_seen():
    attack = {"epsilon": 0.01, "step_size": 0.05}
    assert "train_classifier" in changed_stages("classifiers/linf/attack", attack)


def test_a_spec_is_canonical_and_small():
    plan = Plan(load_study(BASE))
    for target in TARGETS:
        plan.target(target)
    for job in plan.jobs.values():
        assert len(job.spec) < 64_000
        assert json.dumps(json.loads(job.spec), sort_keys=True, separators=(",", ":")) == job.spec


def test_equal_jobs_are_one():
    plan = Plan(load_study(BASE))
    assert plan.pretrain("dvr", plan.study.experiments["correlated"], 0) is plan.pretrain(
        "dvr", plan.study.experiments["correlated"], 0
    )


def test_a_pretraining_becomes_a_column():
    plan = Plan(load_study(merge(BASE, {"pretraining": {"wide": {"label": "Wide", "method": "ae"}}})))
    assert [label for label, _ in plan.columns("categories")][-1] == "Wide+AT"
