"""Data that others published, through the whole workflow: an NMR tree written here, CC0 meshes in ModelNet's layout."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image
from project import ROOT, Project

pytestmark = pytest.mark.slow

SIDE, VIEWS, FOCAL, DISTANCE = 32, 6, 3.7320508, 2.732
MESHES = ROOT.parent / "shared/data/meshes_cc0"


def write_object(folder: Path, rng: np.random.Generator, kind: str) -> None:
    """One object as DVR's format describes it: images on white, masks and cameras, without our converters."""
    size = rng.uniform(0.25, 0.7, 3)
    body = trimesh.creation.box(size) if kind == "car" else trimesh.creation.icosphere(radius=0.5)
    if kind != "car":
        body.apply_scale(size)
    colour = rng.integers(40, 200, 3)
    (folder / "image").mkdir(parents=True)
    (folder / "mask").mkdir()
    cameras = {}
    for view in range(VIEWS):
        azimuth, elevation = 2 * np.pi * view / VIEWS, np.deg2rad(30)
        eye = DISTANCE * np.array(
            [np.cos(elevation) * np.sin(azimuth), np.sin(elevation), np.cos(elevation) * np.cos(azimuth)]
        )
        forward = -eye / np.linalg.norm(eye)
        right = np.cross(forward, [0, 1, 0])
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(forward, right), forward])
        world_mat = np.eye(4)
        world_mat[:3, :3], world_mat[:3, 3] = rotation, -rotation @ eye
        centres = -1 + (2 * np.arange(SIDE) + 1) / SIDE
        u, v = np.meshgrid(centres, centres)
        rays = np.stack([u / FOCAL, v / FOCAL, np.ones_like(u)], -1).reshape(-1, 3) @ rotation
        face = body.ray.intersects_first(np.tile(eye, (len(rays), 1)), rays).reshape(SIDE, SIDE)
        shade = 0.6 + 0.4 * np.abs(body.face_normals[face] @ forward)[..., None]
        image = np.where((face >= 0)[..., None], colour * shade, 255).astype(np.uint8)
        Image.fromarray(image).save(folder / f"image/{view:04d}.png")
        Image.fromarray(255 * (face >= 0).astype(np.uint8)).save(folder / f"mask/{view:04d}.png")
        for name, matrix in (("world", world_mat), ("camera", np.diag([FOCAL, FOCAL, 1, 1])), ("scale", np.eye(4))):
            cameras[f"{name}_mat_{view}"], cameras[f"{name}_mat_inv_{view}"] = matrix, np.linalg.inv(matrix)
    np.savez(folder / "cameras.npz", **cameras)


@pytest.fixture(scope="module")
def nmr(tmp_path_factory) -> Path:
    """Two classes of different sizes; one id stands in both, on different sides of the split."""
    root = tmp_path_factory.mktemp("nmr")
    rng = np.random.default_rng(0)
    for synset, kind, counts in (("02691156", "airplane", (9, 3, 3)), ("02958343", "car", (6, 4, 3))):
        ids = [f"{kind[0]}{number:03d}" for number in range(sum(counts))]
        ids[-1 if kind == "car" else 0] = "both"
        for key in ids:
            write_object(root / synset / key, rng, kind)
        ends = np.cumsum(counts)
        for name, part in zip(("train", "val", "test"), np.split(np.array(ids), ends[:2])):
            (root / synset / f"softras_{name}.lst").write_text("\n".join(part))  # without a final newline, as published
    return root


def project_on(folder: Path, family: dict, pretrainings: set[str]) -> Project:
    """The tests' study with a family from disk in place of the categories."""
    project = Project(folder, pretrainings)
    project.change({"families": {"published": family}, "sets": {"categories": {"family": "published"}}})
    project.values["sets"]["categories"]["images"] = [48, 12, 12]
    project.change({"classifiers": {"linf": {"batch_size": 12}}})
    return project


def test_an_nmr_tree_trains_pixelnerf(nmr, tmp_path):
    shapes = {"path": str(nmr), "classes": ["airplane", "car"], "views": VIEWS, "resolution_px": SIDE, "shards": 2}
    family = {"kind": "nmr", "shapes": shapes, "split": {"mode": "published"}}
    project = project_on(tmp_path / "project", family, {"pixelnerf"})
    model = project.path("plan.pretrain('pixelnerf', study.experiments['categories'], 0).output('info')")
    classifier = project.path(
        "plan.train_classifier('linf', study.experiments['categories'], 'pixelnerf', 0).output('info')"
    )
    told = project.make(classifier)
    assert "rule read_shard:" in told and "rule render_shard:" not in told
    info = json.loads((project.folder / model).read_text())
    assert info["objects"] == 15 and info["resolution_px"] == SIDE and np.isfinite(info["validation"]["psnr"])
    views = json.loads((project.folder / project.path("plan.index_views('published').output('manifest')")).read_text())
    assert {name: len(ids) for name, ids in views["splits"].items()} == {"train": 15, "val": 7, "test": 6}
    assert "airplane.both" in views["splits"]["train"] and "car.both" in views["splits"]["test"]


def test_what_is_missing_ends_the_run_before_anything_else(nmr, tmp_path):
    gone = {"path": "resources/nmr", "classes": ["airplane"], "views": VIEWS, "resolution_px": SIDE}
    family = {"kind": "nmr", "shapes": gone, "split": {"mode": "published"}}
    project = project_on(tmp_path / "absent", family, {"pixelnerf"})
    plan = project.snakemake("-n", "results/table4.csv")
    assert plan.returncode == 0 and "inventory" in plan.stdout + plan.stderr
    told = project.snakemake("results/table4.csv")
    assert told.returncode == 1 and not (project.folder / "results").exists()
    for words in ("families.published.shapes.path", "resources/nmr", "https://", "licence"):
        assert words in told.stderr
    (tmp_path / "half").mkdir()
    shutil.copytree(nmr / "02691156", tmp_path / "half/02691156")
    shutil.rmtree(tmp_path / "half/02691156/a003")
    project.values["families"]["published"]["shapes"]["path"] = str(tmp_path / "half")
    project.configure(project.values)
    told = project.snakemake(project.path("plan.index_views('published').output('manifest')"))
    assert told.returncode == 1 and "airplane/a003" in told.stderr and "inventory" in told.stderr
    assert not list((project.folder / "results").glob("read_shard/*/views.h5"))


@pytest.mark.skipif(not MESHES.is_dir(), reason="the CC0 meshes are not beside this checkout")
def test_meshes_from_disk_render_and_train_and_broken_ones_are_left_out_by_name(tmp_path):
    root = tmp_path / "meshes"
    for name in ("car", "table"):
        for part in ("train", "test"):
            (root / name / part).mkdir(parents=True)
            for file in sorted((MESHES / name / part).glob("*.off"))[:8]:
                shutil.copy(file, root / name / part)
    (root / "car/train/car_8001.off").write_text("OFF\n3 1 0\n0 0 0\n1 0 0\nnan 0 1\n3 0 1 2\n")
    (root / "car/train/car_8002.off").write_text("OFF\n0 0 0\n")
    (root / "car/test/car_8003.off").write_bytes(b"\x00\x01not a mesh")
    shapes = {"path": str(root), "classes": ["car", "table"], "up": "y", "shards": 2}
    family = {
        "kind": "modelnet", "shapes": shapes, "split": {"mode": "published"},
        "cameras": {"protocol": "nmr", "views": 4}, "render": {"resolution_px": 32, "samples": 2},
    }  # fmt: skip
    project = project_on(tmp_path / "project", family, {"ae"})
    project.values["sets"]["categories"]["images"] = [24, 4, 8]
    project.configure(project.values)
    classifier = project.path("plan.train_classifier('linf', study.experiments['categories'], 'ae', 0).output('info')")
    told = project.make(classifier)
    assert json.loads((project.folder / classifier).read_text())["classes"] == ["car", "table"]
    left_out = {
        name: reason
        for record in project.records("read_shapes").values()
        for name, reason in record["notes"]["left_out"].items()
    }
    assert set(left_out) == {"car.car_8001", "car.car_8002", "car.car_8003"}
    for name, reason in left_out.items():
        assert f"{name.partition('.')[2]}.off" in reason and reason in told
    views = json.loads((project.folder / project.path("plan.index_views('published').output('manifest')")).read_text())
    assert not set(left_out) & {i for ids in views["splits"].values() for i in ids}
