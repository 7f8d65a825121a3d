import json
from pathlib import Path

import pytest

from robust3d.errors import UserError
from robust3d.study.like import merge
from robust3d.study.plan import Plan
from robust3d.study.reading import load_study, read_study, read_yaml

BASE = read_yaml(Path("config.yaml"))


def changed(path: str, value) -> dict:
    overlay = value
    for key in reversed(path.split("/")):
        overlay = {key: overlay}
    return merge(BASE, overlay)


def test_all_scales_are_sound():
    for overlay in sorted(Path("workflow/scales").glob("*.yaml")):
        read_study([Path("config.yaml"), overlay])


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("familys", {}, "familys: unknown key"),
        ("families/geons/render/sampels", 3, "families.geons.render.sampels: unknown key"),
        ("families/geons/render/samples", "many", "families.geons.render.samples"),
        ("families/geons/render/samples", 0, "families.geons.render.samples"),
        ("families/geons/shard_instances", 0, "families.geons.shard_instances"),
        ("families/geons/kind", "blobs", "there is no family called 'blobs'"),
        ("families/geons/shapes/classes", ["cone", "teapot"], "teapot"),
        ("families/geons/shapes/scalings", [0.5, -1.0], "scaling"),
        ("families/geons/split/ratio", [8, 0, 1], "families.geons.split.ratio"),
        ("sets/categories/family", "geonz", "sets.categories.family: 'geonz' is not defined; allowed"),
        ("sets/categories/images", [100, 10], "sets.categories.images"),
        ("sets/categories/background/kind", "pink", "sets.categories.background.kind"),
        ("pretraining/ae/method", "autoencoder", "there is no pretraining called 'autoencoder'"),
        ("pretraining/ae/params/latent", 3, "latent: unknown key"),
        ("pretraining/ae/experiments", ["nowhere"], "pretraining.ae.experiments"),
        ("classifiers/linf/attack/epsilon", -0.1, "classifiers.linf.attack.epsilon"),
        ("classifiers/linf/epochs", 2.5, "classifiers.linf.epochs"),
        ("attacks/Linf/epsilons", [-0.1], "attacks.Linf.epsilons.0"),
        ("attacks/Linf/epsilons", ["8/0"], "fraction"),
        ("attacks/Linf/epsilons", ["16/255", "8/255"], "ascending"),
        ("papers/geon3d/table4_rows", {"Linf": "9/255"}, "papers.geon3d.table4_rows.Linf"),
        ("experiments/categories/epsilons", {"L2": [2.0]}, "not among experiments.categories.epsilons.L2"),
        ("experiments/black/epsilons/L2", [2.0, 1.0], "experiments.black.epsilons.L2"),
        ("experiments/black/epsilons/Linf", ["8/255", 0.2, "51/255"], "strictly ascending"),
        ("papers/geon3d/table4_rows", {"Linf": "16/510"}, "papers.geon3d.table4_rows.Linf: 16/510 is not among"),
        ("papers/geon3d/table4_rows", {"Linf": "32/510"}, "32/510 is called 16/255 in attacks.Linf.epsilons"),
        ("experiments/black/epsilons/Linf", ["32/510"], "16/255 (attacks.Linf.epsilons) are one budget"),
        ("experiments/black/epsilons/L1", [1.0], "experiments.black.epsilons.L1"),
        ("papers/geon3d/figure4/experiments", ["nowhere"], "papers.geon3d.figure4.experiments: 'nowhere'"),
        ("papers/geon3d/figure9/pretraining", ["nothing"], "papers.geon3d.figure9.pretraining: 'nothing'"),
        ("papers/geon3d/table4", "nothing", "papers.geon3d.table4"),
        ("papers/geon3d/table4_rows", {"Linf": None, "L2": None}, "papers.geon3d.table4_rows: "),
        (
            "experiments/categories/classifiers",
            ["linf"],
            "papers.geon3d.table4_rows.L2: no classifier of experiments.categories.classifiers is trained against L2",
        ),
        ("classifiers/l2/attack/norm", "Linf", "classifiers: linf and l2 are both trained against Linf"),
        ("attacks/Linf/epsilons", [16], "attacks.Linf.epsilons: Linf 16 is above 1"),
        ("experiments/black/epsilons/Linf", [], "experiments.black.epsilons.Linf"),
        ("attacks/Linf/settings", {"norm": "L2"}, "attacks.Linf.settings.norm: "),
        ("attacks/Linf/settings", {"epsilons": ["8/255"]}, "attacks.Linf.settings.epsilons: "),
        ("attacks/Linf/settings", {"nothere": 5}, "attacks.Linf.settings.nothere: unknown key"),
        ("attacks/L2/settings", {"iterations": 0}, "attacks.L2.settings.iterations: "),
        ("attacks/L2/settings", {"sanity_epsilon": 0.1}, "attacks.L2.settings: sanity_epsilon must be at least"),
        ("training_seeds", [], "training_seeds"),
        ("training_seeds", [0, 0, 0], "training_seeds: each may stand here once, got 0, 0, 0"),
        ("experiments/black/classifiers", ["linf", "linf"], "experiments.black.classifiers: each may stand here once"),
        ("experiments/black/controls", ["standard"] * 2, "experiments.black.controls: each may stand here once"),
        ("experiments/black/controls", ["l2"], "experiments.black.controls: l2 is one of `classifiers` already"),
        (
            "experiments/black/pretraining_per_seed",
            ["ae", "ae"],
            "experiments.black.pretraining_per_seed: each may stand here once",
        ),
        ("pretraining/ae/experiments", ["black"] * 2, "pretraining.ae.experiments: each may stand here once"),
        ("papers/geon3d/figure3", ["black"] * 2, "papers.geon3d.figure3: each may stand here once"),
        (
            "papers/geon3d/figure4/experiments",
            ["black"] * 2,
            "papers.geon3d.figure4.experiments: each may stand here once",
        ),
        ("papers/geon3d/figure9/pretraining", ["ae"] * 2, "papers.geon3d.figure9.pretraining: each may stand"),
        ("seed", -1, "seed"),
        ("seed", True, "seed"),
    ],
)
def test_a_mistake_is_refused_with_its_path(path, value, told):
    with pytest.raises(UserError) as error:
        load_study(changed(path, value))
    assert told in str(error.value)


def test_all_mistakes_are_told_at_once():
    values = merge(changed("seed", -1), {"families": {"geons": {"shard_instances": 0}}})
    with pytest.raises(UserError) as error:
        load_study(values)
    assert "seed" in str(error.value) and "shard_instances" in str(error.value)


def test_fractions_are_budgets():
    study = load_study(changed("attacks/Linf/epsilons", ["4/255", "16/255"]))
    assert study.attacks["Linf"].epsilons == (4 / 255, 16 / 255)


def test_a_budget_is_the_same_in_any_spelling():
    """From the grid of the attack over its spec to the row of the table, which refers to it by name."""
    values = merge(
        changed("attacks/Linf/epsilons", [0.0627450980392157]), {"attacks": {"L2": {"epsilons": [1, "3/2"]}}}
    )
    plan = Plan(load_study(values))
    assert plan.target("table4").id == Plan(load_study(changed("attacks/L2/epsilons", [1.0, 1.5]))).target("table4").id
    assert {cell["budget"] for cell in plan.target("table4").params["cells"]} == {"16/255", "1.5"}
    specs = [json.loads(job.spec)["params"]["params"] for job in plan.jobs.values() if job.stage == "probe"]
    assert {str(told["epsilons"]) for told in specs} == {"['16/255']", "[1.0, 1.5]"}


def test_an_unreadable_file_is_named(tmp_path):
    with pytest.raises(UserError, match="no such configuration file"):
        read_yaml(tmp_path / "none.yaml")
    bad = tmp_path / "bad.yaml"
    bad.write_text("a: [1, 2")
    with pytest.raises(UserError, match=r"bad\.yaml"):
        read_yaml(bad)
    bad.write_text("just words")
    with pytest.raises(UserError, match="mapping"):
        read_yaml(bad)
