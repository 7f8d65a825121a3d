"""Every key of `config.yaml` reaches the rules of this hand-written table, and no other."""

import copy
import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from robust3d.registry import MAIN
from robust3d.study.like import resolve_likes
from robust3d.study.plan import Plan
from robust3d.study.reading import load_study, read_yaml
from robust3d.study.targets import targets

ROOT = Path(__file__).parents[2]
BASE = resolve_likes(read_yaml(ROOT / "config.yaml"))  # what is like something has values of its own
SWAPPED = object()  # the first two entries of a list change places
AUTO = object()  # another value of the same type
EVERYWHERE = {
    "build_shapes", "voxelise_shard", "index_voxels", "render_shard", "index_views", "make_textures", "draw_set",
    "pretrain", "extract_encoder", "train_classifier", "probe", "tabulate", "plot", "draw",
}  # fmt: skip

EACH_ENCODERS = {"classifiers.linf.architecture": None, "classifiers.l2.architecture": None}
LITE0_NONE = {"pretraining.imagenet-lite0.params": {}}

# Key pattern (the first that fits counts), another value, the rules whose own spec that changes. Keys that only make
# sense together are given as a mapping from key to value. A rule further down changes its name, not its spec.
TABLE: list[tuple[str, Any, set[str]]] = [
    ("study", "other", {"tabulate", "plot", "draw"}),  # stands in every cell, and in what draws from a study
    ("store", "/scratch/robust3d", set()),
    (
        "seed",
        AUTO,
        {
            "build_shapes",
            "voxelise_shard",
            "index_voxels",
            "render_shard",
            "index_views",
            "make_textures",
            "draw_set",
            "pretrain",
            "probe",
            "tabulate",
            "plot",
        },
    ),
    ("numerics", "portable", EVERYWHERE),
    ("training_seeds", [0, 1, 3], {"train_classifier", "tabulate", "plot"}),  # cells name the outcomes of each seed
    ("pretraining_seed", 1, {"pretrain", "draw"}),
    # Controls that are off by default reach nothing until an experiment is named.
    ("pretraining.supervised.experiments", ["categories"], {"pretrain", "tabulate", "plot", "draw"}),
    ("pretraining.imagenet.experiments", ["categories"], {"import_encoder", "tabulate", "plot"}),
    (
        "pretraining.imagenet-lite0.experiments",
        {"pretraining.imagenet-lite0.experiments": ["categories"], **EACH_ENCODERS},
        {"import_encoder", "train_classifier", "probe", "tabulate", "plot"},  # the probe's packages: timm's version
    ),
    (
        "pretraining.lite0.experiments",
        {"pretraining.lite0.experiments": ["categories"], **EACH_ENCODERS},
        {"train_classifier", "probe", "tabulate", "plot"},
    ),
    ("pretraining.imagenet-lite0.label", "X", set()),
    ("pretraining.imagenet-lite0.method", {"pretraining.imagenet-lite0.method": "ae", **LITE0_NONE}, set()),
    ("pretraining.imagenet-lite0.architecture", "efficientnet_lite1", set()),
    (
        "pretraining.imagenet-lite0.normalisation",
        {
            "pretraining.imagenet-lite0.normalisation": "imagenet",
            "pretraining.imagenet-lite0.params.weights": "resources/other.pth",
        },
        set(),
    ),
    ("pretraining.imagenet-lite0.params.weights", "resources/other.pth", set()),
    ("pretraining.lite0.label", "X", set()),
    ("pretraining.lite0.method", "weights", set()),
    ("pretraining.lite0.architecture", "resnet50", set()),
    ("pretraining.lite0.normalisation", "imagenet", set()),
    ("pretraining.supervised.method", "ae", set()),
    (
        "pretraining.imagenet.method",
        {"pretraining.imagenet.method": "ae", "pretraining.imagenet.params": {}},
        set(),
    ),
    ("pretraining.supervised.label", "X", set()),
    ("pretraining.imagenet.label", "X", set()),
    ("pretraining.supervised.params.*", AUTO, set()),
    ("pretraining.imagenet.params.weights", "resources/other.pth", set()),
    # Voxels: what is built, where it lies in the grid, how the objects are divided.
    (
        "voxels.stand_ins.kind",
        {
            "voxels.stand_ins.kind": "geons",
            "voxels.stand_ins.shapes": {"classes": ["cone"], "scalings": [0.5, 1.0, 1.5]},
        },
        {"build_shapes", "voxelise_shard", "index_voxels"},
    ),
    ("voxels.stand_ins.shapes.instances", AUTO, {"build_shapes"}),
    ("voxels.stand_ins.voxels.object_voxels", 12, {"voxelise_shard"}),
    ("voxels.stand_ins.voxels.up", "z", {"voxelise_shard"}),
    ("voxels.stand_ins.voxels.*", AUTO, {"voxelise_shard"}),
    ("voxels.stand_ins.split.ratio", [8, 1, 1], {"index_voxels"}),
    ("voxels.stand_ins.split.mode", "orbit", {"index_voxels"}),
    # Shapes: what is built; what the camera must see of it; which instances there are to divide.
    (
        "families.gallery.kind",
        {"families.gallery.kind": "categories", "families.gallery.shapes": {"instances": 2, "classes": ["car"]}},
        {"build_shapes", "render_shard", "index_views"},
    ),
    (
        "families.portraits.kind",
        {"families.portraits.kind": "geons", "families.portraits.shapes": {"classes": ["cone"], "scalings": [1.0]}},
        {"build_shapes", "render_shard", "index_views"},
    ),
    (
        "families.geons.kind",
        {
            "families.geons.kind": "categories",
            "families.geons.shapes": {
                "instances": 27,
                "classes": [
                    "airplane",
                    "bench",
                    "cabinet",
                    "car",
                    "chair",
                    "display",
                    "lamp",
                    "rifle",
                    "sofa",
                    "table",
                ],
            },
        },
        {"build_shapes", "render_shard", "index_views", "pretrain", "tabulate", "plot"},
    ),
    (
        "families.categories.kind",
        {"families.categories.kind": "geons", "families.categories.shapes": {"scalings": [0.8, 1.0]}},
        {"build_shapes", "render_shard", "index_views", "pretrain", "tabulate", "plot"},  # no stand-in any more
    ),
    ("families.geons.shapes.classes", SWAPPED, {"index_views", "pretrain", "tabulate", "plot"}),  # label order
    ("families.gallery.shapes.classes", SWAPPED, {"index_views"}),
    (
        "families.geons.shapes.scalings",
        [0.5, 1.0, 1.4],
        {"build_shapes", "render_shard", "index_views", "tabulate", "plot"},
    ),
    ("families.gallery.shapes.scalings", [1.1], {"build_shapes", "render_shard", "index_views"}),
    ("families.geons.shapes.normalise", "longest", {"build_shapes", "tabulate", "plot"}),
    ("families.gallery.shapes.normalise", "box", {"build_shapes"}),
    ("families.categories.shapes.instances", AUTO, {"build_shapes", "render_shard", "tabulate", "plot"}),
    ("families.categories.shapes.whiteness", AUTO, {"build_shapes", "tabulate", "plot"}),
    ("families.portraits.shapes.instances", AUTO, {"build_shapes", "render_shard"}),
    ("families.portraits.shapes.whiteness", AUTO, {"build_shapes"}),
    # Views; the tables tell of the cameras in their cells, but no table shows the gallery and the portraits.
    ("families.gallery.cameras.protocol", "sphere", {"render_shard"}),
    ("families.gallery.cameras.views", 2, {"render_shard", "index_views"}),
    ("families.gallery.cameras.*", AUTO, {"render_shard"}),
    ("families.portraits.cameras.protocol", "sphere", {"render_shard"}),
    ("families.portraits.cameras.views", 2, {"render_shard", "index_views"}),
    ("families.portraits.cameras.*", AUTO, {"render_shard"}),
    ("families.geons.cameras.protocol", "nmr", {"render_shard", "tabulate", "plot"}),
    ("families.*.cameras.protocol", "sphere", {"render_shard", "tabulate", "plot"}),
    ("families.geons.cameras.poses", "per_instance", {"render_shard", "tabulate", "plot"}),
    ("families.categories.cameras.views", 8, {"render_shard", "index_views", "tabulate", "plot"}),
    ("families.*.cameras.views", 2, {"render_shard", "index_views", "tabulate", "plot"}),
    ("families.*.cameras.*", AUTO, {"render_shard", "tabulate", "plot"}),
    ("families.*.render.resolution_px", AUTO, {"render_shard", "index_views"}),
    ("families.*.render.samples", AUTO, {"render_shard"}),
    ("families.*.render.suns", SWAPPED, {"render_shard"}),
    ("families.*.render.ambient", AUTO, {"render_shard"}),
    ("families.gallery.shard_instances", AUTO, set()),  # one instance of each class: one block whatever its size
    ("families.*.shard_instances", 5, {"render_shard"}),
    ("families.gallery.split", {"families.gallery.split": {"ratio": [8, 1, 1], "mode": "random"}}, {"index_views"}),
    ("families.portraits.split", {"families.portraits.split": {"ratio": [8, 1, 1]}}, {"index_views"}),
    ("families.*.split.ratio", [7, 2, 1], {"index_views", "tabulate", "plot"}),
    ("families.*.split.mode", "orbit", {"index_views", "tabulate", "plot"}),
    # Data sets.
    (
        "textures.source",
        {"textures.source": "dtd", "textures.path": "/data/dtd"},
        {"make_textures", "tabulate", "plot"},
    ),
    ("textures.path", {"textures.source": "dtd", "textures.path": "/data/dtd"}, {"make_textures", "tabulate", "plot"}),
    ("textures.*", AUTO, {"make_textures"}),
    (  # nobody asks for the categories then
        "sets.categories.family",
        "geons",
        {"build_shapes", "render_shard", "index_views", "pretrain", "tabulate", "plot", "draw"},
    ),
    ("sets.probed.family", "geons", set()),  # no probe of the main paper reads it
    ("sets.probed.background.kind", "black", set()),
    ("sets.probed.images", AUTO, set()),
    ("sets.correlated.family", "categories", {"pretrain", "tabulate", "plot"}),
    ("sets.black.family", "categories", {"pretrain", "plot"}),
    ("sets.textured.family", "categories", {"pretrain", "plot"}),
    ("sets.*.family", "categories", set()),  # another family is another input
    ("sets.categories.background.kind", "black", {"draw_set", "train_classifier", "probe", "plot", "draw"}),
    ("sets.black.background.kind", "white", {"draw_set", "train_classifier", "probe", "plot"}),
    ("sets.textured.background.kind", "white", {"draw_set", "train_classifier", "probe", "plot", "draw"}),
    ("sets.correlated.background.kind", "black", {"draw_set", "train_classifier", "probe", "plot", "draw"}),
    ("sets.shifted.background.kind", "black", {"draw_set", "probe"}),
    ("sets.categories.images", AUTO, {"draw_set", "train_classifier", "probe", "draw"}),
    ("sets.black.images", AUTO, {"draw_set", "train_classifier", "probe"}),
    ("sets.textured.images", AUTO, {"draw_set", "train_classifier", "probe", "draw"}),
    ("sets.correlated.images", AUTO, {"draw_set", "train_classifier", "probe", "draw"}),
    ("sets.shifted.images", AUTO, {"draw_set", "probe"}),
    # Pre-training.
    ("pretraining.*.label", "X", {"tabulate", "plot", "draw"}),
    ("pretraining.ae.method", "vae", {"pretrain"}),
    ("pretraining.vae.method", "ae", {"pretrain"}),
    (  # Table 4 compares 3D with 2D
        "pretraining.dvr.method",
        {"pretraining.dvr.method": "ae", "pretraining.dvr.params": {}},
        {"pretrain", "tabulate"},
    ),
    (
        "pretraining.pixelnerf.method",
        {"pretraining.pixelnerf.method": "ae", "pretraining.pixelnerf.params": {}},
        {"pretrain", "tabulate"},
    ),
    ("pretraining.dvr.experiments", ["categories"], {"pretrain", "tabulate", "plot"}),
    ("pretraining.*.experiments", [], {"pretrain", "tabulate", "plot", "draw"}),
    # The spec of what starts from another encoder is the same: that encoder is another input.
    ("pretraining.ae.start", "imagenet", {"import_encoder"}),
    (  # another encoder's architecture asks for another classifier's
        "pretraining.ae.architecture",
        {
            "pretraining.ae.architecture": "resnet50",
            "classifiers.linf.architecture": None,
            "classifiers.l2.architecture": None,
        },
        {"pretrain", "train_classifier", "probe"},
    ),
    ("pretraining.*.normalisation", "half", {"pretrain"}),
    ("pretraining.*.params.initialisation", "default", {"pretrain"}),
    ("pretraining.*.params.occupancy_point", "random", {"pretrain"}),
    (
        "pretraining.*.params.march_s*",
        {"pretraining.dvr.params.march_schedule": [100], "pretraining.dvr.params.march_steps": [16, 32]},
        {"pretrain"},
    ),
    ("pretraining.*.params.activation", "relu", {"pretrain"}),
    ("pretraining.*.params.near_far", "fixed", {"pretrain"}),
    ("pretraining.*.params.*", AUTO, {"pretrain"}),
    # Classifiers.
    ("classifiers.standard.architecture", "resnet50", {"train_classifier", "probe"}),
    (
        "classifiers.*.architecture",
        None,
        set(),  # a resnet18 from scratch, as before, and so are the encoders
    ),
    ("classifiers.standard.objective", "pgd", {"train_classifier"}),
    *(
        (  # the row of its norm has no classifier then
            f"classifiers.{name}.objective",
            {f"classifiers.{name}.objective": "standard", f"papers.geon3d.table4_rows.{norm}": None},
            {"train_classifier", "probe", "tabulate", "plot"},
        )
        for name, norm in (("linf", "Linf"), ("l2", "L2"))
    ),
    ("classifiers.standard.attack.norm", "L2", {"train_classifier"}),  # of the validation
    (  # an experiment has one against each norm
        "classifiers.l*.attack.norm",
        {"classifiers.linf.attack.norm": "L2", "classifiers.l2.attack.norm": "Linf"},
        {"train_classifier", "tabulate", "plot"},
    ),
    ("classifiers.*.normalisation", "half", {"train_classifier"}),
    ("classifiers.*.batchnorm", "reset", {"train_classifier"}),
    ("classifiers.*.augmentation", "flip", {"train_classifier"}),
    ("classifiers.*.selection", "best", {"train_classifier"}),
    ("classifiers.*", AUTO, {"train_classifier"}),
    # Tests, experiments, report.
    ("experiments.*.epsilons.Linf", ["8/255", "9/255"], {"probe"}),
    ("experiments.*.epsilons.L2", [1.0, 1.5], {"probe"}),
    ("papers.geon3d.figure4.experiments", SWAPPED, {"plot"}),
    ("papers.geon3d.figure5.experiments", SWAPPED, {"plot"}),
    ("papers.geon3d.figure7.experiments", ["black"], {"plot"}),
    ("papers.geon3d.figure9.experiments", ["black"], {"plot"}),
    ("papers.geon3d.figure9.pretraining", ["ae"], {"plot"}),
    ("papers.geon3d.figure*.pretraining", [], {"plot"}),
    ("attacks.Linf.epsilons", ["8/255", "16/255"], {"probe"}),
    ("attacks.L2.epsilons", [1.0, 1.5], {"probe"}),
    (
        "papers.geon3d.table4_rows.Linf",
        {"papers.geon3d.table4_rows.Linf": "4/255", "attacks.Linf.epsilons": ["4/255", "8/255"]},
        {"probe", "tabulate"},
    ),
    (
        "papers.geon3d.table4_rows.L2",
        {"papers.geon3d.table4_rows.L2": 0.5, "attacks.L2.epsilons": [0.5, 1.0]},
        {"probe", "tabulate"},
    ),
    (
        "experiments.categories.set",
        "textured",
        {"pretrain", "train_classifier", "probe", "tabulate", "plot", "draw"},
    ),
    ("experiments.correlated.set", "textured", {"train_classifier", "probe", "tabulate", "plot"}),
    ("experiments.black.set", "textured", {"draw_set", "train_classifier", "probe", "plot"}),
    ("experiments.textured.set", "black", {"train_classifier", "probe", "plot"}),
    ("experiments.textured.pretrain_input.kind", "black", {"pretrain"}),
    ("experiments.*.pretrain_input.kind", "textured", {"pretrain"}),
    ("experiments.*.pretrain_target.kind", "textured", {"pretrain"}),
    (
        "experiments.categories.classifiers",
        {"experiments.categories.classifiers": ["linf"], "papers.geon3d.table4_rows.L2": None},
        {"train_classifier", "probe", "tabulate", "plot"},
    ),
    ("experiments.black.classifiers", ["linf"], {"train_classifier", "probe", "plot"}),
    ("experiments.textured.classifiers", ["linf"], {"train_classifier", "probe", "plot"}),
    ("experiments.correlated.classifiers", SWAPPED, {"tabulate"}),  # the order of its columns
    ("experiments.categories.controls", [], {"train_classifier", "tabulate"}),
    ("experiments.correlated.shifted", "textured", {"draw_set", "probe"}),
    ("probes.accuracy.probe", "shift", set()),  # no table asks for it
    (  # another name, another label
        "probes.shift.probe",
        {
            "probes.shift.probe": "accuracy",
            "probes.other": {"probe": "shift"},
            "papers.geon3d.table3_probe": "other",
        },
        {"tabulate", "plot"},
    ),
    (
        "papers.geon3d.table3_probe",
        {"probes.other": {"probe": "shift", "params": {"batch_size": 9}}, "papers.geon3d.table3_probe": "other"},
        {"probe", "tabulate", "plot"},
    ),
    (
        "papers.geon3d.table3",
        {"papers.geon3d.table3": "categories", "experiments.categories.shifted": "shifted"},
        {"pretrain", "train_classifier", "probe", "tabulate", "plot"},
    ),
    (
        "papers.geon3d.table4",
        "correlated",
        {"train_classifier", "probe", "tabulate", "draw"},
    ),
    ("papers.geon3d.gallery", "geons", {"build_shapes", "render_shard", "index_views"}),
    ("papers.geon3d.objects", "categories", {"build_shapes", "render_shard", "index_views"}),
    ("papers.geon3d.figure3", SWAPPED, {"draw"}),
]


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves(item, (*path, str(key)))
    else:
        yield path, value


LEAVES = {".".join(path): value for path, value in leaves(BASE)}


def row(key: str) -> tuple[str, Any, set[str]]:
    return next(entry for entry in TABLE if fnmatchcase(key, entry[0]))


def other(value: Any) -> Any:
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1 if isinstance(value, int) else value * 1.1
    assert isinstance(value, list) and all(isinstance(item, int) for item in value), value
    return [item + 1 for item in value]


def changed(key: str) -> dict[str, Any]:
    """The configuration with another value of `key`."""
    new = row(key)[1]
    if new is AUTO:
        new = other(LEAVES[key])
    elif new is SWAPPED:
        first, second, *rest = LEAVES[key]
        new = [second, first, *rest]
    values = copy.deepcopy(BASE)
    for name, value in new.items() if isinstance(new, dict) else [(key, new)]:
        *path, last = name.split(".")
        place = values
        for part in path:
            place = place[part]
        assert last not in place or place[last] != value or isinstance(new, dict), name
        place[last] = value
    return values


def specs(values: dict[str, Any]) -> dict[str, set[str]]:
    """The specs of every rule."""
    plan = Plan(load_study(values))
    for target in targets(MAIN):  # other papers bring entries of their own
        plan.target(target)
    for name in plan.study.voxels:  # which no table of the main paper reads
        plan.index_voxels(name)
    found: dict[str, set[str]] = {}
    for (stage, _), job in plan.jobs.items():
        found.setdefault(stage, set()).add(job.spec)
    return found


@pytest.fixture(scope="module")
def before() -> dict[str, set[str]]:
    return specs(BASE)


@pytest.mark.parametrize("key", LEAVES)
def test_a_key_changes_exactly_its_rules(key: str, before: dict[str, set[str]]) -> None:
    after = specs(changed(key))
    assert {stage for stage in before | after if before.get(stage) != after.get(stage)} == row(key)[2]


def test_every_line_of_the_table_is_about_a_key() -> None:
    used = {row(key)[0] for key in LEAVES}
    assert [pattern for pattern, _, _ in TABLE if pattern not in used] == []


def test_swapped_values_are_seen() -> None:
    """Two equal-typed values that change places give another spec; Snakemake's own comparison would not see it."""
    job = Plan(load_study(BASE)).index_views("geons")
    swapped = copy.deepcopy(BASE)
    swapped["families"]["geons"]["split"]["ratio"] = [1, 8, 1]
    assert Plan(load_study(swapped)).index_views("geons").spec != job.spec
    assert sorted(json.loads(job.spec)["params"]["split"]["ratio"]) == [1, 1, 8]
