"""3D-VAE and 3D-GAN among the generators of 3DWINN's tables: their stage on a few shapes, and how they are planned."""

import json
from pathlib import Path

import pytest
import torch

from robust3d.data.generated import read_generated
from robust3d.errors import UserError
from robust3d.provenance.runner import Context
from robust3d.stages import train_generator
from robust3d.study.plan import Plan
from robust3d.study.reading import read_study
from robust3d.training.volume_generators.params import GanParams, VaeParams

CONFIG = Path(__file__).parents[2] / "config.yaml"
torch.set_num_threads(1)


def generated(voxels, folder, method, category=None, **changes):
    folder.mkdir()
    files = {"model": "m.safetensors", "info": "i.json", "metrics": "m.json", "generated": "g.h5"}
    outputs = {name: folder / file for name, file in files.items()}
    values = {"method": method, "resolution": 16, "width": 0.0625, "latent": 6, "batch": 4, "steps": 3, "samples": 5}
    params = {"training": values | changes, "category": category}
    train_generator.run(Context(params, {"voxels": [voxels]}, outputs, folder / "progress", 1))
    return outputs


@pytest.mark.parametrize("method", ["vae", "gan"])
def test_a_generator_writes_its_samples(voxels, tmp_path, method):
    ours = generated(voxels, tmp_path / "a", method, "column")
    info, found = json.loads(ours["info"].read_text()), read_generated(ours["generated"])
    assert info["training_volumes"] == 8 and info["category"] == "column" and info["steps"] == 3
    assert found.volumes().shape == (5, 16, 16, 16) and found.classes == ("plate", "column")
    assert found.labels.tolist() == [1] * 5 and found.facts["method"] == method
    assert found.facts["collapse"] == info["collapse"] and found.facts["training"]["steps"] == 3
    assert info["diversity"]["training"] == {"identical": 0.875, "distance": 0.0, "filled": pytest.approx(1 / 32)}
    again = generated(voxels, tmp_path / "b", method, "column")
    assert all(ours[name].read_bytes() == again[name].read_bytes() for name in ours)
    joint = read_generated(generated(voxels, tmp_path / "c", method)["generated"])
    assert joint.labels.tolist() == [-1] * 5


def test_a_category_or_a_size_that_the_voxels_do_not_have_is_one_message(voxels, tmp_path):
    with pytest.raises(UserError, match="category: 'sofa' is no class of these volumes; there are plate, column"):
        generated(voxels, tmp_path / "a", "vae", "sofa")
    with pytest.raises(UserError, match="resolution: 8, but the volumes have 16"):
        generated(voxels, tmp_path / "b", "gan", resolution=8)


def test_generators_are_planned_as_rows_say():
    """One training of all classes or one a category, for each seed; the size is that of the voxels."""
    study = read_study([CONFIG])
    plan, section = Plan(study), study.papers["winn3d"]
    plan.target("winn3d/table2")
    jobs = [job for job in plan.jobs.values() if job.stage == "train_generator"]
    seeds, categories = len(study.training_seeds), len(section.categories)
    assert len(jobs) == 2 * seeds * (1 + categories)
    found = {(type(job.params["training"]), job.params["category"], job.params["training"].seed) for job in jobs}
    assert {kind for kind, _, _ in found} == {VaeParams, GanParams} and len(found) == len(jobs)
    for job in jobs:
        training, category = job.params["training"], job.params["category"]
        assert training.resolution == study.voxels["stand_ins"].resolution
        assert training.threshold == section.samples.threshold
        assert training.samples == (section.samples.joint if category is None else section.samples.category)
    before = len(jobs)
    for target in ("table3", "table4"):
        plan.target(f"winn3d/{target}")
    assert before == sum(job.stage == "train_generator" for job in plan.jobs.values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gan": {"settings": {"discriminator_accuracy": 2}}}, r"generators\.gan\.settings\.discriminator_accuracy"),
        ({"vae": {"settings": {"discriminator_accuracy": 0.8}}}, r"generators\.vae\.settings\.discriminator_accuracy"),
        ({"vae": {"category_settings": {"steps": 0}}}, r"generators\.vae\.category_settings\.steps: "),
        ({"vae": {"settings": {"method": "gan"}}}, r"generators\.vae\.settings\.method: vae here, which follows"),
        ({"vae": {"category_settings": {"resolution": 8}}}, r"generators\.vae\.category_settings\.resolution: 16 here"),
        ({"vae": {"models": ["joint-multi"]}}, "joint-multi needs iterations, which vae lacks"),
        ({"vae": {"method": "flow"}}, r"generators\.vae\.method"),
    ],
)
def test_a_wrong_generator_is_one_message(changes, message):
    with pytest.raises(UserError, match=message):
        read_study([CONFIG], {"papers": {"winn3d": {"generators": changes}}})


def test_voxels_of_a_size_that_generators_cannot_make_are_one_message():
    changes = {"voxels": {"stand_ins": {"voxels": {"resolution": 48}}}}
    with pytest.raises(UserError, match=r"generators\.\w+\.resolution.*power of two, not 48"):
        read_study([CONFIG], changes)
