"""What cannot be read of a mesh's materials travels from the reader to the flags of a cell."""

import json

import numpy as np
import pytest
from PIL import Image

from robust3d.data.frame import Frame
from robust3d.data.manifest import Views
from robust3d.data.published.identity import take
from robust3d.families import shapenetcore
from robust3d.parsing import parse
from robust3d.provenance.runner import Context
from robust3d.stages import index_views, read_shapes, render_shard
from robust3d.tables.cells import run_flags

MESH = "mtllib a.mtl\nv 0 0 0\nv 2 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\nusemtl m\nf 1/1 2/2 3/3\n"
SIDE = 8


def write(root, key, library=None, picture=None):
    folder = root / "03001627" / key
    folder.mkdir(parents=True)
    (folder / "model.obj").write_text(MESH)
    if library is not None:
        (folder / "a.mtl").write_text(library)
    if picture is not None:
        (folder / "p.png").write_bytes(picture)
    else:
        Image.new("RGB", (4, 4), "red").save(folder / "p.png")


def draw(requests, *rest):
    """In place of Blender: half of each picture is the object."""
    mask = np.arange(SIDE)[:, None] + np.zeros(SIDE) < SIDE / 2
    rgba, depth = np.full((SIDE, SIDE, 4), 255, np.uint8) * mask[..., None], np.where(mask, 2, np.inf)
    for name, _, poses in requests:
        for view, pose in enumerate(poses):
            yield Frame(name, view, rgba, mask, depth.astype(np.float32), pose, np.eye(3))


@pytest.fixture
def indexed(tmp_path, monkeypatch):
    """Read, render and index the chairs in `root` with the stages themselves; the manifest of views."""
    monkeypatch.setattr(render_shard, "render_instances", draw)

    def run(materials="published"):
        root = tmp_path / "set"
        source = {"path": str(root), "classes": ["chair"], "materials": materials}
        inventory = take(shapenetcore, parse(shapenetcore.Params, source))
        (tmp_path / "inventory.json").write_text(inventory.to_json())

        def job(params, inputs, *outputs):
            held = {name: [tmp_path / file] for name, file in inputs.items()}
            written = {name: tmp_path / f"{materials}-{len(inputs)}-{name}" for name in outputs}
            return Context(params, held, written, tmp_path, 1)

        block = {"kind": "shapenetcore", "source": source, "class_name": "chair", "block": [0, 1]}
        read = job(block, {"inventory": "inventory.json"}, "shapes", "manifest", "sources")
        read_shapes.run(read)
        camera = {"protocol": "nmr", "views": 2}
        how = {"cameras": camera, "render": {"resolution_px": SIDE}, "seed": 0, "instances": None, "extent": 1.0}
        shard = job(how | {"class_name": "chair"}, {"shapes": read.outputs["shapes"].name}, "views", "manifest")
        shard.outputs["manifest"] = tmp_path / f"{materials}-shard.json"
        render_shard.run(shard)
        of = {"family": "core", "classes": ["chair"], "views": 2, "resolution_px": SIDE, "extent": 1.0, "seed": 0}
        whole = job(of | {"split": None, "groups": None}, {"shards": shard.outputs["manifest"].name}, "manifest")
        whole.outputs["manifest"] = tmp_path / f"{materials}-views.json"
        index_views.run(whole)
        return Views.read(whole.outputs["manifest"]), read.notes

    return run


def test_faults_reach_the_flags_of_a_cell(tmp_path, indexed, capsys):
    library = "newmtl m\nmap_Kd p.png\n"
    write(tmp_path / "set", "a", library)
    write(tmp_path / "set", "b", library, picture=b"none")
    write(tmp_path / "set", "c")
    write(tmp_path / "set", "d", library.replace("p.png", "../b/p.png"))
    views, notes = indexed()
    assert set(views.faults) == {f"chair/chair.{key}" for key in "bcd"}
    assert set(notes["faults"]) == {f"chair.{key}" for key in "bcd"}
    assert json.loads((tmp_path / "published-views.json").read_text())["faults"] == views.faults
    model = {"data_notices": views.notices(), "encoder": None, "resolution_px": SIDE}
    (flag,) = run_flags([model, model])
    assert "family core: 4 faults in the materials or faces of 3 objects" in flag
    for words in (
        "chair/chair.b: picture",
        "not a readable picture",
        "chair/chair.c: materials of a.mtl",
        "../b/p.png",
    ):
        assert words in flag, flag
    assert f"note: {flag}" in capsys.readouterr().err
    # In grey nothing is opened, so nothing is missing.
    views, notes = indexed("grey")
    assert views.faults is None and views.notices() == [] and "faults" not in notes
