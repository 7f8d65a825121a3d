"""What a paper leaves open is a key, stands in the cells, and has a test that it does what it says."""

import ast
import copy
import json
from pathlib import Path
from typing import Any

import pytest

from robust3d.study.jobs import Job
from robust3d.study.plan import Plan
from robust3d.study.reading import load_study, read_yaml
from robust3d.tables.cells import CLASSIFIER_FACTS, ENCODER_FACTS

TESTS = Path(__file__).parents[1]
BASE = read_yaml(TESTS.parent / "config.yaml")

# Key, another value, where the cell holds it (table, JSON path), and the test of what it claims.
OPEN: list[tuple[str, Any, str, str]] = [
    ("families.geons.shapes.normalise", "longest", "table3 data.shapes.normalise",
     "shapes/test_geons.py test_the_other_normalisation_keeps_proportions_and_fits_the_extent"),
    ("families.geons.shapes.classes", None, "table3 data.shapes.classes",
     "data/test_backgrounds.py test_label_order_is_explicit_and_checked"),
    ("families.geons.cameras.poses", "per_instance", "table3 data.cameras.poses",
     "test_cameras.py test_shared_and_per_instance_poses"),
    ("families.geons.cameras.radius", 6.0, "table3 data.cameras.radius",
     "test_cameras.py test_r4_poses_are_uniform_on_the_sphere"),
    ("families.geons.cameras.fov_deg", 40.0, "table3 data.cameras.fov_deg",
     "test_cameras.py test_g4_cube_interval_and_hit_fractions"),
    ("families.categories.cameras.protocol", "sphere", "table4 data.cameras.protocol", "test_cameras.py test_nmr_ring"),
    ("families.geons.split.mode", "orbit", "table3 data.split.mode",
     "data/test_splits.py test_orbit_split_of_the_geons_keeps_the_counts_and_parts_what_random_does_not"),
    ("pretraining.dvr.params.hidden", 32, "table4 encoder.params.hidden",
     "models/test_dvr.py test_decoder_has_the_reference_number_of_parameters"),
    ("pretraining.dvr.params.input_px", 48, "table4 encoder.params.input_px",
     "models/test_dvr.py test_the_encoder_sees_images_of_the_size_asked_for"),
    ("pretraining.dvr.params.loss_mode", "paper", "table4 encoder.params.loss_mode",
     "pretraining/test_dvr.py test_pixel_sets_partition_the_pixels"),
    ("pretraining.dvr.params.initialisation", "default", "table4 encoder.params.initialisation",
     "pretraining/test_dvr.py test_resnet18_hits_from_the_start_with_geometric_initialisation"),
    ("pretraining.dvr.params.occupancy_point", "random", "table4 encoder.params.occupancy_point",
     "pretraining/test_dvr.py test_visual_hull_contains_the_object_and_not_much_more"),
    ("pretraining.pixelnerf.params.num_layers", 5, "table4 encoder.params.num_layers",
     "models/test_pixelnerf.py test_only_the_layers_below_the_tap_are_trained"),
    ("pretraining.pixelnerf.params.use_first_pool", False, "table4 encoder.params.use_first_pool",
     "models/test_pixelnerf.py test_the_pyramid_upsamples_all_maps_to_the_first_and_the_first_pool_is_optional"),
    ("pretraining.pixelnerf.params.activation", "relu", "table4 encoder.params.activation",
     "models/test_pixelnerf.py test_densities_are_rectified_or_a_shifted_softplus"),
    ("pretraining.pixelnerf.params.near_far", "fixed", "table4 encoder.params.near_far",
     "models/test_pixelnerf.py test_fixed_bounds_hold_for_every_ray"),
    ("pretraining.pixelnerf.normalisation", "half", "table4 encoder.normalisation",
     "models/test_encoder.py test_half_normalisation_maps_black_and_white_to_minus_one_and_one"),
    ("pretraining.vae.params.kl_coefficient", 0.2, "table4 encoder.params.kl_coefficient",
     "pretraining/test_autoencoder.py test_the_vaes_loss_adds_the_weighted_divergence"),
    ("pretraining.ae.params.loop.selection", "best", "table4 encoder.params.loop.selection",
     "training/test_loop.py test_best_hands_on_the_weights_of_the_best_validation"),
    ("experiments.correlated.pretrain_input.kind", "black", "table3 encoder.input_background",
     "pretraining/test_autoencoder.py test_inputs_go_in_and_targets_are_asked_back"),
    ("experiments.correlated.pretrain_target.kind", "white", "table3 encoder.target_background",
     "pretraining/test_autoencoder.py test_inputs_go_in_and_targets_are_asked_back"),
    ("classifiers.standard.architecture", {"name": "resnet50", "params": {"stem": "imagenet"}},
     "table4 classifier.architecture",
     "models/test_architectures.py test_a_trunk_is_the_network_without_its_head"),
    ("classifiers.linf.batchnorm", "reset", "table4 classifier.batchnorm",
     "training/test_transfer.py test_batchnorm_keep_reset_and_recalibrate"),
    ("classifiers.linf.augmentation", "flip", "table4 classifier.augmentation",
     "training/test_adversarial.py test_flip_turns_about_half_of_the_images_over"),
    ("classifiers.linf.normalisation", "half", "table4 classifier.normalisation",
     "models/test_encoder.py test_classifier_normalises_raw_images_itself"),
    ("classifiers.linf.normalisation_change", "fold", "table4 classifier.normalisation_change",
     "training/test_transfer.py test_folded_normalisation_is_exact_away_from_the_border"),
    ("classifiers.linf.selection", "best", "table4 classifier.selection",
     "training/test_loop.py test_best_hands_on_the_weights_of_the_best_validation"),
    ("classifiers.linf.attack.random_start", True, "table4 classifier.attack.random_start",
     "attacks/test_pgd.py test_random_start_comes_from_the_generator"),
    ("classifiers.linf.attack.best_step", False, "table4 classifier.attack.best_step",
     "attacks/test_pgd.py test_best_step_is_the_largest_of_eight_losses"),
]  # fmt: skip


def jobs(values: dict[str, Any]) -> dict[str, list[Job]]:
    plan = Plan(load_study(values))
    found = {name: [plan.target(name)] for name in ("table3", "table4")}
    for job in plan.jobs.values():
        found.setdefault(job.stage, []).append(job)
    return found


def told(job: Job) -> dict[str, Any]:
    return dict(json.loads(job.spec)["params"])


def changed(key: str, value: Any) -> dict[str, Any]:
    values = copy.deepcopy(BASE)
    *path, last = key.split(".")
    place = values
    for part in path:
        place = place[part]
    place[last] = place[last][::-1] if value is None else value
    return values


def get(value: Any, path: str) -> Any:
    for part in path.split("."):
        value = value[part]
    return value


@pytest.mark.parametrize(("key", "value", "place", "test"), OPEN, ids=[key for key, *_ in OPEN])
def test_an_open_key_is_told_and_reaches_the_cells(key: str, value: Any, place: str, test: str) -> None:
    values = changed(key, value)
    wanted = get(values, key)
    table, path = place.split(" ")
    what, _, rest = path.partition(".")
    found = jobs(values)
    if what == "data":  # the table copies it into each cell
        assert get(told(found[table][0])["data"], rest) == wanted
    elif what == "encoder":  # model.json → encoder.json → classifier.json → cell
        assert rest.split(".")[0] in ENCODER_FACTS
        name = rest + ".kind" if rest.endswith("_background") else rest
        assert wanted in [_get_or_none(told(job), name) for job in found["pretrain"]]
    else:
        assert rest.split(".")[0] in CLASSIFIER_FACTS
        assert wanted in [get(told(job)["classifier"], rest) for job in found["train_classifier"]]


def _get_or_none(value: dict[str, Any], path: str) -> Any:
    try:
        return get(value, path)
    except KeyError:
        return None  # a key of another method


@pytest.mark.parametrize("test", sorted({test for *_, test in OPEN}))
def test_the_test_of_what_it_claims_is_there(test: str) -> None:
    name, function = test.split(" ")
    tree = ast.parse((TESTS / name).read_text())
    assert function in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
