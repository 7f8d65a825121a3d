"""`verify` compares data that others published with what was read of them."""

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from robust3d.architectures import ArchitectureParams, weights_file
from robust3d.data.dtd import files_identity
from robust3d.data.params import TextureParams
from robust3d.data.published.identity import take, write_checksums
from robust3d.families import modelnet
from robust3d.files import sha256
from robust3d.provenance.lineage import Lineage, Step
from robust3d.provenance.sources import check_sources


@pytest.fixture
def lineage(tmp_path, monkeypatch) -> Lineage:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    return Lineage(Path("results"))


def step(stage: str, params: dict, **outputs: str) -> Step:
    """A finished step with outputs at results/<stage>/<name>."""
    files = {
        name: {"path": path, "sha256": sha256(Path(path)), "bytes": Path(path).stat().st_size}
        for name, path in outputs.items()
    }
    return Step(f"results/{stage}/record.json", {"spec": {"stage": stage, "params": params}, "outputs": files})


def told(one: Step, lineage: Lineage) -> set[tuple[str, str, str]]:
    return {finding for finding in check_sources(one, lineage) if finding[0] != "OK" or finding[2]}


@pytest.fixture
def meshes(tmp_path, lineage) -> tuple[Step, Step]:
    """An inventory of three meshes, and the step that read them."""
    for name in ("train/a.off", "train/b.off", "test/c.off"):
        (tmp_path / "data/bed" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data/bed" / name).write_text(f"OFF {name}")
    params = modelnet.Params(path="data", classes=("bed",))
    inventory = take(modelnet, params)
    Path("results/inventory.json").write_text(inventory.to_json())
    write_checksums(
        [Path("data") / entry.path for entry in inventory.classes["bed"].values()], "data", Path("results/s")
    )
    source = json.loads(params.model_dump_json())
    return (
        step("inventory", {"kind": "modelnet", "source": source, "data_on_disk": inventory.identity},
             inventory="results/inventory.json"),
        step("read_shapes", {"kind": "modelnet", "source": source}, sources="results/s"),
    )  # fmt: skip


def test_all_is_well_until_a_mesh_changes(meshes, lineage):
    inventory, reader = meshes
    assert told(inventory, lineage) == told(reader, lineage) == set()
    assert len(list(check_sources(reader, lineage))) == 3  # a finding for each file that was read
    mesh = Path("data/bed/train/b.off")
    os.utime(mesh, (1, 1))  # copied, say: the listing is another one, the bytes are not
    change = "since results/inventory/record.json: 1 object with files of other sizes or times: bed/b"
    assert told(inventory, lineage) == {("STALE", "data", change)} and told(reader, lineage) == set()
    mesh.write_text("OFF train/B.off")
    assert told(reader, lineage) == {("CHANGED", str(mesh), "other bytes than results/read_shapes/record.json read")}
    mesh.unlink()
    assert told(reader, lineage) == {("MISSING", str(mesh), "read by results/read_shapes/record.json")}
    change = "since results/inventory/record.json: 1 object fewer: bed/b"
    assert told(inventory, lineage) == {("STALE", "data", change)}


def test_data_that_are_not_on_this_machine_are_told_and_no_fault(meshes, lineage):
    Path("data").rename("elsewhere")
    for one in meshes:
        assert told(one, lineage) == {
            ("OK", "data", f"not on this machine, so what {one.name} read there is not compared")
        }


def test_a_class_that_is_gone_is_told(meshes, lineage):
    Path("data/bed").rename("bed")
    ((state, path, detail),) = told(meshes[0], lineage)
    assert (state, path) == ("STALE", "data") and "no folder bed for class 'bed'" in detail


def test_textures(lineage):
    for number in range(4):
        path = Path(f"dtd/images/grid/{number}.jpg")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 9), (number, 0, 0)).save(path)
    params = TextureParams(source="dtd", path="dtd", classes=("grid",), images_per_class=4)
    told_to = {"textures": json.loads(params.model_dump_json()), "seed": 0, "data_on_disk": files_identity(params, 0)}
    write_checksums(Path("dtd/images/grid").iterdir(), "dtd", Path("results/t"))
    one = step("make_textures", told_to, sources="results/t")
    assert told(one, lineage) == set()
    Image.new("RGB", (9, 9), (200, 0, 0)).save("dtd/images/grid/2.jpg")
    assert {finding[:2] for finding in told(one, lineage)} == {("CHANGED", "dtd/images/grid/2.jpg"), ("STALE", "dtd")}
    procedural = step("make_textures", {"textures": {"source": "procedural", "path": None}, "seed": 0})
    assert list(check_sources(procedural, lineage)) == []
    figure = step("draw", {"source": "not data"})
    assert list(check_sources(figure, lineage)) == []


@pytest.mark.parametrize("place", ["weights", "params"])
def test_weights(lineage, place):
    Path("w.pth").write_bytes(b"weights")
    params = {place: {"weights": "w.pth"}, "weights_sha256": sha256(Path("w.pth"))}
    params |= {"weights": None} if place == "params" else {}
    one = step("train_classifier", params)
    assert told(one, lineage) == set()
    Path("w.pth").write_bytes(b"Weights")
    assert told(one, lineage) == {("CHANGED", "w.pth", f"other bytes than {one.name} read")}


def test_weights_of_a_package(lineage, monkeypatch):
    params = {"params": {"weights": None}, "architecture": "efficientnet_lite0"}
    params["weights_sha256"] = sha256(weights_file(None, ArchitectureParams.model_validate("efficientnet_lite0")))
    one = step("import_encoder", params)
    assert told(one, lineage) == set() and len(list(check_sources(one, lineage))) == 1
    ((state, path, _),) = told(step("import_encoder", params | {"weights_sha256": "0" * 64}), lineage)
    assert state == "CHANGED" and path.endswith(".pth")
    nobody = step("import_encoder", params | {"architecture": "resnet50"})
    ((state, _, detail),) = check_sources(nobody, lineage)
    assert state == "OK" and "not on this machine" in detail
