"""Meshes of ModelNet's and ShapeNetCore's kind, real ones and hand-made ones, become what the renderer draws."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import trimesh

from robust3d.data.published.identity import take
from robust3d.data.published.inventory import Entry, Inventory, Missing
from robust3d.data.published.meshes import BrokenMesh, read_mesh, take_inventory
from robust3d.data.published.params import ModelNetParams, ShapeNetCoreParams
from robust3d.errors import UserError
from robust3d.families import modelnet
from robust3d.parsing import parse

REAL = Path(__file__).parents[4] / "shared" / "data" / "meshes_cc0"
TRIANGLE = "v 0 0 0\nv 2 0 0\nv 0 1 0\n"


def mesh_of(tmp_path, name, text, **more):
    (tmp_path / name).write_text(text)
    return read_mesh(tmp_path / name, **more)


def area(mesh):
    a, b, c = mesh.vertices[mesh.faces].transpose(1, 0, 2)
    return np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2


@pytest.mark.skipif(not REAL.is_dir(), reason="the real meshes are not beside the project")
def test_real_meshes_are_read_and_fit_the_camera():
    files = sorted(REAL.rglob("*.off"))
    assert len(files) == 280
    for path in files:
        mesh = read_mesh(path)
        low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
        np.testing.assert_allclose(low + high, 0, atol=1e-12)
        side, diagonal = (high - low).max(), np.linalg.norm(high - low)
        assert side <= 1 + 1e-12 and diagonal <= 1.4 + 1e-12 and (side > 1 - 1e-9 or diagonal > 1.4 - 1e-9)
        given = [line.split() for line in path.read_text().splitlines()]
        count = int(given[1][0] if len(given[0]) == 1 else given[0][1])
        assert mesh.faces.max() < len(mesh.vertices) <= count
        assert mesh.vertices.dtype == np.float64 and mesh.faces.dtype == np.int32 and mesh.colours.dtype == np.float32


def test_polygons_become_triangles_of_the_same_area(tmp_path):
    square = "4 1 0\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n4 0 1 2 3\n"
    for name, text in (
        ("a.off", f"OFF\n{square}"),
        ("glued.off", f"OFF{square}"),
        ("c.off", f"# by hand\nOFF {square}"),
    ):
        mesh = mesh_of(tmp_path, name, text)
        assert len(mesh.faces) == 2
        assert area(mesh) == pytest.approx(0.98)  # diagonal 1.4, so the square's area is 1.4 ** 2 / 2
    pentagon = "v 0 0 0\nv 2 0 0\nv 2 1 0\nv 1 2 0\nv 0 1 0\nf 1/1/1 2//1 3/2 -2 5\n"
    mesh = mesh_of(tmp_path, "p.obj", pentagon)
    assert len(mesh.faces) == 3 and area(mesh) == pytest.approx(3 * (1.4**2 / 8))  # shoelace: 3, diagonal 8 ** 0.5


def test_z_up_becomes_y_up(tmp_path):
    tall = "v 0 0 0\nv 1 0 0\nv 0 0.5 0\nv 0 0 4\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n"
    as_is, turned = (mesh_of(tmp_path, "tall.obj", tall, up=up) for up in "yz")
    assert np.ptp(as_is.vertices, axis=0).argmax() == 2 and np.ptp(turned.vertices, axis=0).argmax() == 1
    # A turn, not a mirror: the signed volume keeps its sign.
    volumes = [np.linalg.det(mesh.vertices[mesh.faces]).sum() for mesh in (as_is, turned)]
    assert volumes[0] > 0 and volumes[0] == pytest.approx(volumes[1])
    top = turned.vertices[turned.vertices[:, 1].argmax()]
    assert top[1] == pytest.approx(0.5) and top[2] > 0  # y = 0 was the far end of -z after the turn


def test_faces_without_area_and_loose_vertices_are_dropped(tmp_path):
    mesh = mesh_of(tmp_path, "a.obj", TRIANGLE + "v 9 9 9\nv 8 8 8\nf 1 2 3\nf 1 1 2\nf 4 4 4\n")
    assert len(mesh.faces) == 1 and len(mesh.vertices) == 3
    np.testing.assert_allclose(np.ptp(mesh.vertices, axis=0), [1, 0.5, 0])


def test_no_other_file_is_opened(tmp_path, monkeypatch):
    (tmp_path / "a.obj").write_text("mtllib a.mtl\n" + TRIANGLE + "usemtl x\nf 1 2 3\nusemtl y\nf 3 2 1\n")
    opened = []
    import io

    real = io.open
    monkeypatch.setattr("builtins.open", lambda file, *a, **k: opened.append(str(file)) or real(file, *a, **k))
    mesh = read_mesh(tmp_path / "a.obj")
    assert len(mesh.faces) == 2 and not [name for name in opened if "mtl" in name]


@pytest.mark.parametrize(
    "name, text, told",
    [
        ("a.off", "OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 3\n", "range of its vertices|not there"),
        ("b.obj", TRIANGLE + "f 1 2 4\n", "not there"),
        ("c.obj", TRIANGLE + "f 0 1 2\n", "not there"),
        ("d.obj", TRIANGLE.replace("2", "nan") + "f 1 2 3\n", "NaN"),
        ("e.obj", TRIANGLE.replace("0 1 0", "1 0 0") + "f 1 2 3\n", "zero area"),
        ("f.obj", "v 1 1 1\nv 1 1 1\nf 1 2 1\n", "zero area"),
        ("g.obj", TRIANGLE, "empty mesh"),
        ("h.off", "OFF\n9 9 0\n0 0 0\n", "cut off"),
        ("i.off", "PNG\n", "does not begin with OFF"),
        ("j.stl", "solid", "only .obj and .off"),
    ],
)
def test_broken_meshes_say_why(tmp_path, name, text, told):
    with pytest.raises(BrokenMesh, match=rf"{name}: .*({told})"):
        mesh_of(tmp_path, name, text)


def test_too_many_faces_are_refused_before_parsing(tmp_path):
    with pytest.raises(BrokenMesh, match="claims 3 vertices and 11 faces; at most 10"):
        mesh_of(tmp_path, "a.off", "OFF\n3 11 0\n", max_faces=10)
    fan = "v 0 0 0\n" * 20 + "f " + " ".join(map(str, range(1, 21)))
    with pytest.raises(BrokenMesh, match="18 triangles; at most 10"):
        mesh_of(tmp_path, "b.obj", fan, max_faces=10)


def test_inventories_of_both_layouts(tmp_path):
    for place in ("chair/train/chair_0002.off", "chair/train/chair_0001.off", "chair/test/chair_0003.off"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text("OFF\n")
    inventory = take_inventory(tmp_path, ModelNetParams(path="x", classes=("chair",)))
    assert inventory.splits["chair"] == {"train": ("chair_0001", "chair_0002"), "val": (), "test": ("chair_0003",)}
    assert inventory.classes["chair"]["chair_0003"].path == "chair/test/chair_0003.off"
    for place in ("03001627/a/model.obj", "03001627/b/models/model_normalized.obj", "03001627/c/screenshot.png"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text("")
    core = ShapeNetCoreParams(path="x", classes=("chair",))
    with pytest.raises(Missing, match=r"1 of 3 objects.*chair/c.*shapenet.org.*resources/shapenetcore"):
        take_inventory(tmp_path, core)
    found = take_inventory(tmp_path, core.model_copy(update={"missing": "skip"}))
    assert {key: entry.path[9:] for key, entry in found.classes["chair"].items()} == {
        "a": "a/model.obj",
        "b": "b/models/model_normalized.obj",
    }
    with pytest.raises(Missing, match="no folder 02691156 for class 'airplane'"):
        take_inventory(tmp_path, ShapeNetCoreParams(path="x", classes=("airplane",)))
    with pytest.raises(UserError, match="no folder desk"):
        take_inventory(tmp_path, ModelNetParams(path="x", classes=("desk",)))


def test_absences_are_told_apart(tmp_path):
    core = ShapeNetCoreParams(path="x", classes=("chair",))
    with pytest.raises(Missing, match=rf"path: no folder {tmp_path}/none"):
        take_inventory(tmp_path / "none", core)
    (tmp_path / "core.zip").write_bytes(b"PK")
    with pytest.raises(Missing, match=r"core.zip is a file, not a folder.*unpack it"):
        take_inventory(tmp_path / "core.zip", core)
    (tmp_path / "core" / "02958343").mkdir(parents=True)
    (tmp_path / "core" / "@eaDir").mkdir()
    with pytest.raises(Missing, match=r"no folder 03001627 for class 'chair'; it holds 02958343\. "):
        take_inventory(tmp_path / "core", core)
    models = tmp_path / "core" / "03001627" / "b" / "models"
    models.mkdir(parents=True)
    (tmp_path / "core" / "03001627" / "a").mkdir()
    (tmp_path / "core" / "03001627" / "a" / "model.obj").write_text("")
    without = r"1 of 2 objects have a folder without models/model_normalized.obj or model.obj"
    with pytest.raises(Missing, match=without + ": chair/b"):
        take_inventory(tmp_path / "core", core)
    (models / "model_normalized.ply").write_text("")
    with pytest.raises(Missing, match=without + r" \(.*b/models/model_normalized.ply is not read: convert"):
        take_inventory(tmp_path / "core", core)


def test_links_that_lead_nowhere_are_named(tmp_path):
    core = ShapeNetCoreParams(path="x", classes=("chair",))
    (tmp_path / "03001627" / "a").mkdir(parents=True)
    (tmp_path / "03001627" / "a" / "model.obj").write_text("")
    (tmp_path / "03001627" / "b").symlink_to("b")
    with pytest.raises(UserError, match=r"cannot be listed \(.*Too many levels of symbolic links: .*03001627/b'\)"):
        take_inventory(tmp_path, core)
    with pytest.raises(UserError, match=r"cannot be listed \(.*File name too long"):
        take_inventory(tmp_path, core.model_copy(update={"classes": ("x" * 300,)}))
    for part in ("train", "test"):
        (tmp_path / "chair" / part).mkdir(parents=True)
        (tmp_path / "chair" / part / f"{part}.off").write_text("OFF\n")
    (tmp_path / "chair" / "train" / "b.off").symlink_to("none.off")
    models = ModelNetParams(path="x", classes=("chair",))
    with pytest.raises(UserError, match=r"cannot be listed \(.*No such file or directory: .*train/b.off'\)"):
        take_inventory(tmp_path, models)
    (tmp_path / "chair" / "train" / "b.off").rename(tmp_path / "none.off")
    (tmp_path / "chair" / "train" / "train.OFF").write_text("OFF\n")
    with pytest.raises(UserError, match=r"train/train.off: .*train/train.OFF has the same name"):
        take_inventory(tmp_path, models)


def test_meshes_of_other_kinds_are_not_left_out_in_silence(tmp_path):
    for part in ("train", "test"):
        (tmp_path / "chair" / part / "__MACOSX").mkdir(parents=True)
        (tmp_path / "chair" / part / "__MACOSX" / "x.ply").write_text("")
        (tmp_path / "chair" / part / f"{part}.OFF").write_text("OFF\n")
        (tmp_path / "chair" / part / f"{part}.obj").write_text("")  # the same mesh again
    params = ModelNetParams(path="x", classes=("chair",))
    assert list(take_inventory(tmp_path, params).classes["chair"]) == ["test", "train"]
    (tmp_path / "chair/train/more.glb").write_text("")
    with pytest.raises(UserError, match=r"chair/train: 1 meshes are not .off, such as more.glb; only .off is read"):
        take_inventory(tmp_path, params)
    skipping = params.model_copy(update={"missing": "skip"})
    assert list(take_inventory(tmp_path, skipping).classes["chair"]) == ["test", "train"]


@pytest.mark.parametrize(("suffix", "up"), [("off", 2), ("glb", 1), ("gltf", 1)])
def test_the_axis_that_points_up_is_that_of_the_format(tmp_path, suffix, up):
    """A tower along an axis of the file stands upright: z in ModelNet's, y by the specification of glTF."""
    size = np.ones(3)
    size[up] = 3
    folder = tmp_path / "tower" / "train"
    folder.mkdir(parents=True)
    trimesh.creation.box(size).export(folder / f"a.{suffix}")
    params = modelnet.Params(path=str(tmp_path), classes=("tower",), format=suffix)
    mesh = modelnet.read_mesh(params, Entry(f"tower/train/a.{suffix}", 0))
    extents = np.ptp(mesh.vertices, axis=0)
    assert extents / extents[1] == pytest.approx([1 / 3, 1, 1 / 3], abs=1e-6)
    assert modelnet.Params(path="x", format=suffix, up="z").up == "z"
    read = parse(modelnet.Params, {"path": "x", "classes": ["tower"], "format": suffix})  # as a configuration is read
    assert (read.classes, read.up) == (("tower",), params.up)


@pytest.mark.parametrize("suffix", ["ply", "glb", "gltf"])
def test_inventories_of_other_formats(tmp_path, suffix):
    for place in (
        f"train/a.{suffix}",
        f"train/b.v2.{suffix.upper()}",
        f"test/c.{suffix}",
        "train/a.bin",
        "train/a.png",
    ):
        (tmp_path / "chair" / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "chair" / place).write_text("")
    family = SimpleNamespace(take_inventory=lambda params: take_inventory(params.path, params))
    params = ModelNetParams(path=str(tmp_path), classes=("chair",), format=suffix)
    inventory = take(family, params)
    assert inventory.splits["chair"] == {"train": ("a", "b.v2"), "val": (), "test": ("c",)}
    entries = inventory.classes["chair"]
    assert entries["b.v2"].path == f"chair/train/b.v2.{suffix.upper()}"
    assert Inventory.from_json(inventory.to_json()) == inventory
    with pytest.raises(UserError, match=r"no object of class|are not \.off"):
        take_inventory(tmp_path, ModelNetParams(path="x", classes=("chair",)))
    (tmp_path / "chair/train/a.png").write_text("another picture")
    again = take(family, params).classes["chair"]
    changed = {key for key in entries if again[key].files != entries[key].files}
    assert changed == ({"a", "b.v2"} if suffix == "gltf" else set())
    (tmp_path / f"chair/test/a.{suffix}").write_text("")
    with pytest.raises(UserError, match="has the same name"):
        take_inventory(tmp_path, params)
    (tmp_path / f"chair/test/a.{suffix}").rename(tmp_path / "chair/test/more.off")
    with pytest.raises(UserError, match=rf"1 meshes are not \.{suffix}, such as more.off"):
        take_inventory(tmp_path, params)
