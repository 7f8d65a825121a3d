"""Data on the user's disk that change are noticed: what reads them runs again, and `verify` names them."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from project import ROOT, Project

CASE = ROOT.parent / "shared/cases/data/check-one-object"
MANIFEST = "plan.index_views('published').output('manifest')"
TABLE = "plan.draw_set('categories').output('table')"


def write_object(folder: Path, seed: int) -> None:
    """Two views of noise in DVR's layout."""
    rng = np.random.default_rng(seed)
    for part in ("image", "mask"):
        (folder / part).mkdir(parents=True)
        for view in range(2):
            pixels = rng.integers(1, 255, (16, 16, 3) if part == "image" else (16, 16), dtype=np.uint8)
            pixels[0] = 0 if part == "mask" else 255  # a mask without background would be a blank view
            Image.fromarray(pixels).save(folder / part / f"{view:04d}.png")
    turn = np.eye(4)
    turn[2, 3] = 2.732
    matrices = {"world": turn, "camera": np.diag([3.732, 3.732, 1, 1]), "scale": np.eye(4)}
    np.savez(
        folder / "cameras.npz",
        **{f"{name}_mat_{view}": matrix for name, matrix in matrices.items() for view in range(2)},
        **{f"{name}_mat_inv_{view}": np.linalg.inv(matrix) for name, matrix in matrices.items() for view in range(2)},
    )


def project_on(folder: Path, data: Path, shapes: dict) -> Project:
    project = Project(folder, {"ae"})
    shapes = {"path": str(data), "views": 2, "resolution_px": 16, "shards": 2, "missing": "skip", **shapes}
    family = {"kind": "nmr", "shapes": shapes, "split": {"mode": "published"}}
    project.change({"families": {"published": family}, "sets": {"categories": {"family": "published"}}})
    project.values["sets"]["categories"]["images"] = [4, 2, 2]
    project.configure(project.values)
    return project


@pytest.fixture
def data(tmp_path) -> Path:
    for synset in ("02691156", "02958343"):
        for number, key in enumerate("abcdef"):
            write_object(tmp_path / "nmr" / synset / key, int(synset) + number)
        for part, ids in (("train", "abcd"), ("val", "e"), ("test", "f")):
            (tmp_path / "nmr" / synset / f"softras_{part}.lst").write_text("\n".join(ids))
    return tmp_path / "nmr"


@pytest.mark.slow
def test_changed_data_are_read_again_and_nothing_else_is_made_again(data, tmp_path):
    car = data / "02958343"
    (car / "a").rename(tmp_path / "a")
    project = project_on(tmp_path / "project", data, {"classes": ["airplane", "car"]})

    def instances() -> set[str]:
        shards = json.loads((project.folder / project.path(MANIFEST)).read_text())["shards"]
        return {instance for shard in shards for ids in shard["instances"].values() for instance in ids}

    first = project.path(TABLE)
    told = project.make(first)
    assert "1 left out that are not there: a" in told and "car.a" not in instances()
    assert "Nothing to be done" in project.make(first) and project.path(TABLE) == first
    table = (project.folder / first).read_bytes()

    # An object comes back: it is read, and stands in the manifest.
    (tmp_path / "a").rename(car / "a")
    second = project.path(TABLE)
    assert second != first
    assert "rule read_shard:" in project.make(second) and "car.a" in instances()
    assert (project.folder / second).read_bytes() != table

    # A file is only touched: it is read again, and what reads the same bytes is not made again.
    os.utime(data / "02691156/b/mask/0001.png", (1, 1))
    third = project.path(TABLE)
    assert third != second and "rule read_shard:" in project.make(third)
    assert json.loads((project.folder / third).with_name("record.json").read_text())["reused"]

    # A picture is turned, with the same size and time: only its bytes tell, and verify reads them.
    verified = project.robust3d("verify", third)
    assert verified.returncode == 0, verified.stdout
    picture = car / "c/image/0001.png"
    status, good = picture.stat(), picture.read_bytes()
    picture.write_bytes(good[:-20] + bytes(20))
    os.utime(picture, ns=(status.st_atime_ns, status.st_mtime_ns))
    verified = project.robust3d("verify", third)
    assert verified.returncode == 1
    bad = [line for line in verified.stdout.splitlines()[:-1] if not line.startswith("OK")]
    assert len(bad) == 1 and bad[0].startswith(f"CHANGED    {picture}: other bytes than results/read_shard/")

    # Where times tell, the inventory is told too; a run names what is wrong with the picture.
    os.utime(picture)
    verified = project.robust3d("verify", third).stdout
    assert "1 object with files of other sizes or times: car/c" in verified and f"CHANGED    {picture}" in verified
    told = project.snakemake(project.path(TABLE))
    assert told.returncode == 1 and "0001.png: a damaged PNG picture" in told.stderr

    # Without the data there is nothing to compare, which is told.
    shutil.move(data, tmp_path / "away")
    verified = project.robust3d("verify", third)
    assert verified.returncode == 0 and f"{data}: not on this machine" in verified.stdout


@pytest.mark.slow
@pytest.mark.skipif(not CASE.is_dir(), reason="the cases are not beside the project")
def test_the_case(tmp_path):
    data = tmp_path / "check-one-object"
    shutil.copytree(CASE, data, copy_function=shutil.copy)
    for path in (data, *data.rglob("*")):
        path.chmod(0o755)
    (data / "02958343/a").rename(tmp_path / "a")
    project = project_on(tmp_path / "project", data, {"classes": ["car"], "views": 3, "shards": 1})
    first = project.path(MANIFEST)
    project.make(first)
    (tmp_path / "a").rename(data / "02958343/a")
    second = project.path(MANIFEST)
    assert second != first
    project.make(second)
    (shard,) = json.loads((project.folder / second).read_text())["shards"]
    assert "car.a" in shard["instances"]["car"]
    picture = data / "02958343/a/image/0001.png"
    with Image.open(picture) as image:
        image.rotate(180).save(picture)
    verified = project.robust3d("verify", second)
    assert verified.returncode == 1 and f"CHANGED    {picture}" in verified.stdout
    third = project.path(MANIFEST)
    project.make(third)
    assert third not in (first, second)
    assert (project.folder / third).read_bytes() != (project.folder / second).read_bytes()
