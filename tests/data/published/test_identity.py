"""Data on disk have an identity: whatever changes in what a study asks for changes it, and nothing else does."""

import dataclasses
import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from robust3d.data.published.files import noting_files, regular_file
from robust3d.data.published.identity import check_unchanged, differences, identity_of, take, write_checksums
from robust3d.data.published.inventory import Inventory
from robust3d.errors import UserError
from robust3d.families import modelnet, nmr


@pytest.fixture
def root(tmp_path) -> Path:
    """Objects a, b and c of a class in DVR's layout, a and b in the lists; readers are not needed here."""
    folder = tmp_path / "data" / "car"
    for key in "abc":
        for part in ("image", "mask"):
            (folder / key / part).mkdir(parents=True)
            for view in range(2):
                (folder / key / part / f"{view}.png").write_bytes(b"pixels")
        (folder / key / "cameras.npz").write_bytes(b"cameras")
    for part, ids in (("train", "a\n"), ("val", ""), ("test", "b\n")):
        (folder / f"softras_{part}.lst").write_text(ids)
    return tmp_path / "data"


def taken(root: Path, **more) -> Inventory:
    return take(nmr, nmr.Params(path=str(root), classes=("car",), **more))


def rewrite(path: Path, content: bytes = b"pixels") -> None:
    """Other bytes of the same number, at another time."""
    time = path.stat().st_mtime_ns
    path.write_bytes(content[::-1])
    os.utime(path, ns=(time, time + 1))


CHANGES = {
    "a picture": lambda car: rewrite(car / "a/image/1.png"),
    "its size alone": lambda car: (os.truncate(car / "a/image/1.png", 3), os.utime(car / "a/image/1.png", (1, 1))),
    "cameras": lambda car: rewrite(car / "b/cameras.npz"),
    "a picture more": lambda car: (car / "a/image/2.png").write_bytes(b"x"),
    "a picture less": lambda car: (car / "b/mask/0.png").unlink(),
    "a name": lambda car: (car / "b/mask/0.png").rename(car / "b/mask/00.png"),
    "another division": lambda car: (
        (car / "softras_train.lst").write_text("b\n"), (car / "softras_test.lst").write_text("a\n")),
    "an object more in the lists": lambda car: (car / "softras_val.lst").write_text("c\n"),
}  # fmt: skip
NO_CHANGES = {
    "an object that no list names": lambda car: rewrite(car / "c/image/1.png"),
    "what systems leave in folders": lambda car: [
        (car / "a" / name).write_bytes(b"x") for name in (".DS_Store", "Thumbs.db", "image/._0.png")
    ],
    "a NAS's folder": lambda car: ((car / "a/@eaDir").mkdir(), (car / "a/@eaDir/x").write_bytes(b"x")),
    "another class": lambda car: (car.parent / "chair").mkdir(),
    "the encoding of a list": lambda car: (car / "softras_train.lst").write_bytes("a\r\n".encode("utf-16")),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_changes_it(root, what):
    before = taken(root)
    assert taken(root) == before
    CHANGES[what](root / "car")
    assert taken(root).identity != before.identity


@pytest.mark.parametrize("what", NO_CHANGES)
def test_what_does_not(root, what):
    before = taken(root)
    NO_CHANGES[what](root / "car")
    assert taken(root).identity == before.identity


def test_a_copy_with_its_times_is_the_same_wherever_it_lies(root, tmp_path):
    subprocess.run(["cp", "-a", root, tmp_path / "copy"], check=True)
    assert taken(tmp_path / "copy").to_json() == taken(root).to_json()


def test_meshes_and_parts_of_a_data_set(tmp_path):
    for name in ("train/a.off", "train/b.off", "test/c.off"):
        (tmp_path / "bed" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "bed" / name).write_text("OFF")
    params = modelnet.Params(path=str(tmp_path), classes=("bed",), instances=1)
    before = take(modelnet, params)
    rewrite(tmp_path / "bed/train/b.off", b"OFF")  # not among the first of their part
    assert take(modelnet, params) == before
    rewrite(tmp_path / "bed/test/c.off", b"OFF")
    assert take(modelnet, params) != before


def test_differences_in_words(root):
    before = taken(root, missing="skip")
    rewrite(root / "car/a/image/1.png")
    (root / "car/b/cameras.npz").unlink()
    (root / "car/softras_val.lst").write_text("c\n")
    after = taken(root, missing="skip")
    assert differences(before, after) == [
        "1 object more: car/c",
        "1 object fewer: car/b",
        "1 object with files of other sizes or times: car/a",
    ]
    assert after.describe().endswith("1 left out that are not there: b") and differences(after, after) == []


def test_jobs_refuse_what_has_changed_since_the_inventory(root):
    entry = taken(root).classes["car"]["a"]
    check_unchanged(str(root), entry)
    with pytest.raises(UserError, match=r"car/a: changed since this run was planned; start snakemake again"):
        check_unchanged(str(root), dataclasses.replace(entry, files="0" * 16))
    (root / "car/a").rename(root / "gone")
    with pytest.raises(UserError, match=r"car/a: cannot be read: No such file"):
        check_unchanged(str(root), entry)


def test_files_of_one_object_do_not_pass_for_each_others(tmp_path):
    for name in ("a/x", "b/x"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (1, 1))
    assert identity_of(tmp_path, "a") != identity_of(tmp_path, "b")
    assert identity_of(tmp_path, "a", "b") != identity_of(tmp_path, "b", "a")


def test_checksums_are_those_of_sha256sum(root, tmp_path):
    files = [root / "car/b/cameras.npz", root / "car/a/image/0.png", root / "car/a/image/0.png"]
    with noting_files() as read:
        for file in files:
            regular_file(file, 100, "a file")
    regular_file(root / "car/c/cameras.npz", 100, "a file")  # nobody takes notes any more
    assert read == files
    write_checksums(read, str(root), tmp_path / "sums")
    digest = hashlib.sha256(b"pixels").hexdigest()
    assert (tmp_path / "sums").read_text().splitlines()[1] == f"{digest}  car/a/image/0.png"
    subprocess.run(["sha256sum", "-c", "--strict", tmp_path / "sums"], cwd=root, check=True)
    write_checksums([], "", tmp_path / "none")
    assert (tmp_path / "none").read_text().startswith("# 0 files of a published data set were read")
