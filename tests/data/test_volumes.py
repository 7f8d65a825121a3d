"""Files and sets of volumes, readers of others' volumes, and `robust3d voxelise`."""

import json
import shutil
import struct
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.io
import trimesh

from robust3d.data.own_volumes import voxelise_folder
from robust3d.data.published.identity import take
from robust3d.data.published.inventory import Entry
from robust3d.data.published.meshes import read_mesh
from robust3d.data.published.volumes import BrokenVolume, read_volume
from robust3d.data.volume_shards import read_volumes, write_volumes
from robust3d.data.volumes import VoxelData
from robust3d.data.voxel_sets import open_file, open_voxels
from robust3d.errors import UserError
from robust3d.families import volumes as family
from robust3d.shapes.voxels import VoxelParams, voxelise
from robust3d.stages import index_voxels
from robust3d.stages import read_volumes as read_stage

RNG = np.random.default_rng(0)


def some(count: int, side: int = 5) -> np.ndarray:
    return RNG.random((count, side, side, side)) > 0.7


def test_volumes_in_memory_come_back_as_they_were() -> None:
    volumes = some(6, 7)
    data = VoxelData.of(volumes[:, None].astype(np.float32), [0, 1, 1, 0, 2, 1], ("a", "b", "c"))
    assert data.volumes([4, 1]).shape == (2, 1, 7, 7, 7) and len(data) == 6
    assert np.array_equal(data.volumes().numpy()[:, 0], volumes)
    assert data.packed.nbytes == 6 * 43
    assert np.array_equal(data.of_class("b").volumes()[:, 0].numpy(), volumes[[1, 2, 5]])
    assert [labels.tolist() for _, labels in data.batches(4)] == [[0, 1, 1, 0], [2, 1]]


def test_files_hold_what_was_written_and_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    objects = {"chair": [("é 1", some(2)), ("2", some(2))], "table": [("2", some(2))]}
    entry = write_volumes(tmp_path / "a.h5", objects, 5)
    assert entry["sha256"] == write_volumes(tmp_path / "b.h5", objects, 5)["sha256"]
    assert entry["classes"] == {"chair": ["2", "é 1"], "table": ["2"]} and entry["volumes"] == 6
    data = open_file(tmp_path / "a.h5")
    assert data.ids[:3] == ("chair/é 1/0", "chair/é 1/1", "chair/2/0") and data.classes == ("chair", "table")
    assert np.array_equal(data.volumes([1])[0, 0].numpy(), objects["chair"][0][1][1])
    assert len(read_volumes(tmp_path / "a.h5").packed) == 6


def test_damaged_files_give_one_message(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write_volumes(path, {"x": [("1", some(1))]}, 5)
    content = path.read_bytes()
    for broken in (content[: len(content) // 2], b"", content.replace(b"robust3d-volumes-1", b"robust3d-volumes-9")):
        path.write_bytes(broken)
        with pytest.raises(UserError, match=r"a\.h5"):
            read_volumes(path)
    with pytest.raises(UserError, match="no such file"):
        read_volumes(tmp_path / "none.h5")


def job(folder: Path, params: dict, inputs: dict, *names: str) -> SimpleNamespace:
    folder.mkdir(parents=True)
    outputs = {
        name: folder / {"volumes": "volumes.h5", "sources": "sources"}.get(name, f"{name}.json") for name in names
    }

    def write_json(name: str, value: object) -> None:
        outputs[name].write_text(json.dumps(value))

    return SimpleNamespace(params=params, inputs=inputs, outputs=outputs, notes={}, write_json=write_json,
                           input=lambda name: inputs[name][0], optional=lambda name: None)  # fmt: skip


def write_binvox(path: Path, volume: np.ndarray) -> None:
    """As Patrick Min describes the format: y runs fastest, then z, then x; runs of up to 255."""
    flat = [int(volume[x, y, z]) for x in range(volume.shape[0]) for z in range(volume.shape[2])
            for y in range(volume.shape[1])]  # fmt: skip
    content = b"#binvox 1\ndim %d %d %d\ntranslate 0 0 0\nscale 1\ndata\n" % volume.shape
    start = 0
    while start < len(flat):
        end = start
        while end < len(flat) and flat[end] == flat[start] and end - start < 255:
            end += 1
        content += struct.pack("BB", flat[start], end - start)
        start = end
    path.write_bytes(content)


def test_readers_agree_with_each_other_and_with_trimesh(tmp_path: Path) -> None:
    volume = some(1, 9)[0]
    write_binvox(tmp_path / "a.binvox", volume)
    np.save(tmp_path / "a.npy", volume[None].astype(np.float32))
    scipy.io.savemat(tmp_path / "a.mat", {"instance": volume.astype(np.uint8), "other": np.ones((2, 2, 2))})
    for kind in ("binvox", "npy", "mat"):
        assert np.array_equal(read_volume(tmp_path / f"a.{kind}"), volume), kind
    with (tmp_path / "a.binvox").open("rb") as file:
        assert np.array_equal(trimesh.exchange.binvox.load_binvox(file).matrix, volume)


def test_volumes_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    good = some(1)[0]
    cases = {"grey": good * 0.5, "empty": good & False, "flat": good[0], "two": np.stack([good, good]),
             "objects": np.array([{}]), "nan": np.where(good, np.nan, 0)}  # fmt: skip
    for name, array in cases.items():
        np.save(tmp_path / f"{name}.npy", array, allow_pickle=True)
    write_binvox(tmp_path / "short.binvox", good)
    (tmp_path / "short.binvox").write_bytes((tmp_path / "short.binvox").read_bytes()[:-2])
    (tmp_path / "huge.binvox").write_bytes(b"#binvox 1\ndim 99999 99999 99999\ndata\n\x00\x01")
    (tmp_path / "text.mat").write_text("no matrix")
    scipy.io.savemat(tmp_path / "unnamed.mat", {"a": np.ones((2, 2, 2)), "b": np.ones((2, 2, 2))})
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(BrokenVolume, match=path.name):
            read_volume(path)


def test_a_set_of_published_volumes_keeps_their_split_and_leaves_others_out_by_name(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    kept = {}
    for name in ("bed", "chair"):
        for split, count in (("train", 12), ("test", 3)):
            folder = tmp_path / "data" / name / "30" / split
            folder.mkdir(parents=True)
            for number in range(count):
                volume = some(1, 6)[0]
                kept[f"{name}/{name}.{split}{number}"] = volume
                scipy.io.savemat(folder / f"{split}{number}.mat", {"instance": volume.astype(np.uint8)})
    scipy.io.savemat(tmp_path / "data/bed/30/train/other.mat", {"instance": np.ones((4, 4, 4), np.uint8)})
    params = {"path": "data", "classes": ["bed", "chair"], "folder": "30", "resolution": 8, "padding": 1, "shards": 1}
    parsed = family.Params(**{**params, "classes": ("bed", "chair")})
    Path("inventory.json").write_text(take(family, parsed).to_json())
    manifests = []
    for name in ("bed", "chair"):
        source = json.loads(family.only(parsed, name).model_dump_json())
        made = job(Path("results") / name, {"kind": "volumes", "source": source, "class_name": name, "block": [0, 1]},
                   {"inventory": [Path("inventory.json")]}, "volumes", "manifest", "sources")  # fmt: skip
        read_stage.run(made)
        manifests.append(made.outputs["manifest"])
    split = {"mode": "published", "ratio": [8, 1, 1]}
    index = job(Path("index"), {"name": "v", "classes": ["bed", "chair"], "split": split, "groups": {}, "seed": 0},
                {"volumes": manifests, "inventory": [Path("inventory.json")]}, "manifest")  # fmt: skip
    index_voxels.run(index)
    parts = {name: open_voxels(index.outputs["manifest"], name) for name in ("train", "val", "test")}
    assert [len(part) for part in parts.values()] == [22, 2, 6]
    assert all("test" in name for name in parts["test"].ids)
    for part in parts.values():
        for name, volume in zip(part.ids, part.volumes().numpy(), strict=True):
            assert np.array_equal(volume[0, 1:-1, 1:-1, 1:-1], kept[name]) and volume.sum() == kept[name].sum()
    assert "bed.other" in parts["train"].notices[0] and "4x4x4 voxels" in parts["train"].notices[0]
    shutil.copy("results/bed/volumes.h5", "results/chair/volumes.h5")
    with pytest.raises(UserError, match=r"chair/volumes\.h5: not the file of the manifest"):
        open_voxels(index.outputs["manifest"], "train")


def test_volumes_with_z_up_are_turned_as_meshes_are(tmp_path: Path) -> None:
    vertices, faces = np.array([[0.0, 0, 0], [0, 0, 3], [2, 0, 0], [0, 1, 0]]), np.array([[0, 1, 2], [0, 1, 3]])
    trimesh.Trimesh(vertices, faces, process=False).export(tmp_path / "a.off")
    mesh = read_mesh(tmp_path / "a.off", "z")
    wanted = voxelise(mesh.vertices, mesh.faces, VoxelParams(resolution=12))[0]
    z_up = voxelise(vertices, faces, VoxelParams(resolution=12))[0]  # in the file's own axes
    np.save(tmp_path / "a.npy", z_up)
    params = family.Params(path=str(tmp_path), classes=("x",), format="npy", resolution=12, up="z")
    assert np.array_equal(family.read_volume(params, Entry("a.npy", 0)), wanted)


def test_folders_of_meshes_become_one_file(tmp_path: Path, capsys) -> None:
    meshes, out = tmp_path / "meshes", tmp_path / "voxels.h5"
    (meshes / "box").mkdir(parents=True)
    shape = trimesh.creation.box((1, 2, 1))
    for kind in ("off", "obj", "ply", "glb", "gltf"):
        shape.export(meshes / "box" / f"a.{kind}")
    opened = trimesh.Trimesh(shape.vertices, shape.faces[2:], process=False)
    opened.export(meshes / "open.off")
    (meshes / "empty.off").write_text("OFF\n0 0 0\n")
    (meshes / "nan.off").write_text("OFF\n3 1 0\n0 0 nan\n1 0 0\n0 1 0\n3 0 1 2\n")
    (meshes / "vast.off").write_text("OFF\n999999999 999999999 0\n")
    (meshes / "box" / "b.glb").write_bytes(b"glTF?")
    (meshes / "box" / "b.gltf").write_text("{")
    said = voxelise_folder(meshes, out, "y", resolution=8, object_voxels=None, rotations=1)
    errors = capsys.readouterr().err
    assert "6 volumes of 8³ voxels from 6 meshes of 2 classes, 5 left out" in said
    for name in ("empty.off", "nan.off", "vast.off", "b.glb", "b.gltf"):
        assert sum(name in line and line.startswith("left out: ") for line in errors.splitlines()) == 1, name
    data = open_file(out)
    volumes = data.volumes().numpy()[:, 0]
    boxes = volumes[data.labels == data.classes.index("box")]
    assert len(boxes) == 5 and (boxes == boxes[0]).all()
    assert boxes[0].any((1, 2)).sum() == 4 and boxes[0].any((0, 2)).sum() == 8


def test_linked_folders_are_read_and_what_is_not_is_counted(tmp_path: Path) -> None:
    meshes, elsewhere = tmp_path / "meshes", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (meshes / "car").mkdir(parents=True)
    shape = trimesh.creation.box((1, 2, 1))
    for path in (elsewhere / "a.obj", meshes / "car" / "b.obj", meshes / "car" / "c.stl"):
        shape.export(path)
    (meshes / "cup").symlink_to(elsewhere)
    (meshes / "car" / "back").symlink_to(meshes)  # one that leads in a circle
    said = voxelise_folder(meshes, tmp_path / "v.h5", "y", resolution=8)
    assert "2 volumes" in said and said.endswith("left out: 1 .stl")
    data = open_file(tmp_path / "v.h5")
    assert list(data.classes) == ["car", "cup"] and list(data.ids) == ["car/b.obj", "cup/a.obj"]


@pytest.mark.parametrize("grid", [{"resolution": 0}, {"resolution": 10**6}, {"resolution": 16, "object_voxels": 20}])
def test_a_grid_that_cannot_be_and_a_folder_in_place_of_the_file_are_refused(tmp_path: Path, grid) -> None:
    with pytest.raises(UserError, match=r"the grid: (resolution|.*object_voxels)"):
        voxelise_folder(tmp_path, tmp_path / "v.h5", "y", **grid)
    with pytest.raises(UserError, match="a folder; name a file in it"):
        voxelise_folder(tmp_path, tmp_path, "y", resolution=8)


def test_meshes_that_would_share_an_id_or_an_axis_that_is_not_theirs_are_refused(tmp_path: Path) -> None:
    meshes = tmp_path / "data"
    (meshes / "meshes").mkdir(parents=True)
    shape = trimesh.creation.box((1, 2, 1))
    for path in (meshes / "a.obj", meshes / "meshes" / "a.obj"):
        shape.export(path)
    with pytest.raises(UserError, match="of class meshes, and it has a folder meshes too"):
        voxelise_folder(meshes, tmp_path / "v.h5", "y", resolution=8)
    (meshes / "a.obj").unlink()
    shape.export(meshes / "meshes" / "b.glb")
    with pytest.raises(UserError, match="would turn glTF too"):
        voxelise_folder(meshes, tmp_path / "v.h5", "z", resolution=8)
    assert not (tmp_path / "v.h5").exists()


def test_a_folder_without_a_sound_mesh_leaves_no_file(tmp_path: Path) -> None:
    meshes = tmp_path / "meshes"
    for content, message in ((None, "no such folder"), ("", "no mesh in it"), ("OFF\n0 0 0\n", "none of its 1 meshes")):
        if content is not None:
            meshes.mkdir(exist_ok=True)
        if content:
            (meshes / "a.off").write_text(content)
        with pytest.raises(UserError, match=message):
            voxelise_folder(meshes, tmp_path / "v.h5", "y", resolution=8)
    assert [path.name for path in tmp_path.iterdir()] == ["meshes"]
