import json

import pytest
from configuration import at_test_scale

from robust3d.errors import UserError
from robust3d.registry import MAIN
from robust3d.study.jobs import Job
from robust3d.study.like import merge
from robust3d.study.plan import Plan
from robust3d.study.reading import load_study
from robust3d.study.targets import target_path, targets

BASE = at_test_scale()
TARGETS = tuple(targets(MAIN))


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


EVALUATED = {"probe", "tabulate", "plot"}
TRAINED = {"train_classifier"} | EVALUATED


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
        (
            "pretraining/supervised/normalisation",
            "half",
            {"pretrain", "extract_encoder", "draw", "train_classifier"} | EVALUATED,
        ),
        ("pretraining/ae/label", "Auto", {"tabulate", "plot", "draw"}),
        ("experiments/black/epsilons/L2", [1.0, 3.0], {"probe", "plot"}),
        ("pretraining/imagenet/experiments", ["categories"], {"import_encoder", "train_classifier"} | EVALUATED),
        (
            "pretraining/ae/start",
            "imagenet",
            {"import_encoder", "pretrain", "extract_encoder", "draw", "train_classifier"} | EVALUATED,
        ),
        ("papers/geon3d/table4_rows/Linf", None, {"tabulate"}),
    ],
)
def test_a_change_reaches_what_it_shapes_and_nothing_else(path, value, stages):
    found = changed_stages(path, value)
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


def test_a_pretraining_may_have_data_of_its_own():
    """Pre-trained on geons, tested on the categories; all experiments then share it."""
    data = {"family": "geons", "input": {"kind": "black"}, "target": {"kind": "white"}}
    overlay = {"pretraining": {"dvr": {"data": data, "experiments": ["categories", "textured"]}}}
    plan = Plan(load_study(merge(BASE, overlay)))
    job = plan.pretrain("dvr", plan.study.experiments["categories"], 0)
    told = json.loads(job.spec)["params"]
    assert job is plan.pretrain("dvr", plan.study.experiments["textured"], 0)
    assert job.inputs["views"][0][0] is plan.index_views("geons") and job.label == "dvr-geons-s0"
    assert told["classes"] == list(plan.classes("geons"))
    assert (told["input_background"]["kind"], told["target_background"]["kind"]) == ("black", "white")
    classifier = plan.train_classifier("linf", plan.study.experiments["categories"], "dvr", 0)
    assert classifier.inputs["views"][0][0] is plan.index_views("categories")


@pytest.mark.parametrize(
    ("key", "family", "says"),
    [
        ("dvr", "nowhere", "pretraining.dvr.data.family: 'nowhere' is not defined"),
        ("dvr", "gallery", "pretraining.dvr.data.family: 'gallery' has no split"),
        ("imagenet", "geons", "pretraining.imagenet.data: method weights trains nothing"),
    ],
)
def test_data_of_its_own_must_fit(key, family, says):
    data = {"family": family, "input": {"kind": "black"}, "target": {"kind": "white"}}
    with pytest.raises(UserError, match=says):
        load_study(merge(BASE, {"pretraining": {key: {"data": data}}}))


def attacked(plan: Plan, *targets: str) -> set[str]:
    """The attacks that targets read."""
    return {job.id for job in read(plan, *targets) if job.params.get("probe") == "autoattack"}


def read(plan: Plan, *targets: str) -> list[Job]:
    """The jobs whose metrics targets read, in order."""
    found = [plan.target(name).inputs for name in targets]
    return [job for inputs in found for name, ((job, _),) in inputs.items() if name.startswith("metrics:")]


def test_figures_attack_nothing_that_table_4_has_attacked():
    plan = Plan(load_study(BASE))
    table = attacked(plan, "table4")
    figure7, figure9 = attacked(plan, "figure7"), attacked(plan, "figure9")  # both read all columns, for their noise
    assert figure7 == figure9 < table  # the table has the standard control besides
    assert len(attacked(plan, "figure9")) == 2 * 6  # norms; AT, AE, VAE, DVR, PxN, Supervised
    geons = attacked(plan, "figure4", "figure5")
    assert len(geons) == 8 and not geons & table and attacked(plan, "figure6") == geons


def test_an_experiments_own_budgets_leave_the_others_alone():
    own = {"black": ["4/255", "12/255"], "textured": ["8/255", "16/255"]}
    other = merge(BASE, {"experiments": {name: {"epsilons": {"Linf": grid}} for name, grid in own.items()}})
    before, after = Plan(load_study(BASE)), Plan(load_study(other))
    assert attacked(before, "table4", "figure5") == attacked(after, "table4", "figure5")
    told = [json.loads(job.spec)["params"]["params"] for job in read(after, "figure4")]
    assert [attack["epsilons"] for attack in told] == [["4/255", "12/255"]] * 2 + [["8/255", "16/255"]] * 2


def test_a_study_without_a_norm_has_figures_of_the_other():
    rows = {"papers": {"geon3d": {"table4_rows": {"L2": None}}}}
    plan = Plan(load_study(merge(BASE, {"experiments": {"categories": {"classifiers": ["linf"]}}, **rows})))
    assert {cell["norm"] for cell in plan.target("table4").params["cells"]} == {"Linf"}
    panels = json.loads(plan.target("figure7").spec)["params"]["panels"]
    assert [panel["norm"] for panel in panels] == ["Linf"]


def test_imagenet_weights_become_an_encoder_without_a_pretraining():
    plan = Plan(load_study(merge(BASE, {"pretraining": {"imagenet": {"experiments": ["categories"]}}})))
    experiment = plan.study.experiments["categories"]
    job = plan.train_classifier("linf", experiment, "imagenet", 0)
    ((encoder, output),) = job.inputs["encoder"]
    assert (encoder.stage, output) == ("import_encoder", "encoder")
    assert json.loads(encoder.spec)["params"]["params"] == {"weights": "resources/resnet18.pth"}
    assert not any(job.stage == "pretrain" for job in plan.jobs.values())
    assert not plan.train_classifier("linf", experiment, None, 0).inputs["encoder"]
    pictures = json.loads(plan.target("figure10").spec)["params"]["pictures"]
    assert "ImageNet-init" not in [picture["label"] for picture in pictures]


def test_what_a_user_asks_for_has_a_path():
    assert [target_path(name) for name in ("table4", "figure4", "figure10")] == [
        "results/table4.csv",
        "results/figure4.svg",
        "results/figure10.png",
    ]


def test_names_of_any_script_and_length_make_folders():
    """None that looks like an option, none longer than a file system takes."""
    name, image_set = next(iter(BASE["sets"].items()))
    for word in ("日本", "--x", "a" * 300, "{é}"):
        plan = Plan(load_study(merge(BASE, {"sets": {word: image_set}})))
        job = plan.draw_set(word)
        assert not job.id.startswith("-") and len(job.id) < 200 and job.digest == plan.draw_set(name).digest
