"""Shards: no bit is lost, same frames give the same bytes, and a damaged file is named."""

import dataclasses
import errno
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robust3d.data.frame import Frame
from robust3d.data.manifest import Shard, Views, held_by
from robust3d.data.shards import places, read_shards, write_classes, write_shard
from robust3d.errors import UserError


def frame(instance="a", view=0, side=16, box=(3, 4, 12, 9), seed=0):
    rng = np.random.default_rng([seed, view, *instance.encode()])
    top, left, bottom, right = box
    inside = np.zeros((side, side), bool)
    inside[top:bottom, left:right] = True
    mask = inside & (rng.random((side, side)) < 0.8)
    alpha = np.where(mask, 255, np.where(inside, rng.integers(0, 255, (side, side)), 0)).astype(np.uint8)
    rgba = rng.integers(0, 256, (side, side, 4), dtype=np.uint8) * (alpha > 0)[..., None]
    rgba[..., 3] = alpha
    depth = np.where(mask, rng.uniform(1, 4, (side, side)), np.inf).astype(np.float32)
    return Frame(instance, view, rgba, mask, depth, rng.normal(size=(4, 4)), rng.normal(size=(3, 3)))


def block(instances=("a", "b", "c"), views=2, **more):
    return [frame(instance, view, **more) for instance in instances for view in range(views)]


def write(path, frames, class_name="cone", side=16, extent=1.5):
    return write_shard(path, iter(frames), class_name=class_name, resolution_px=side, extent=extent)


def assert_same(read, place, wanted):
    for name in ("rgba", "mask", "depth", "world_to_camera", "intrinsics"):
        stored, original = getattr(read, name)[place], getattr(wanted, name)
        assert stored.dtype == original.dtype
        np.testing.assert_array_equal(stored, original)
    assert (read.instance[place], read.view[place]) == (wanted.instance, wanted.view)


def test_names_in_any_letters(tmp_path):
    names = ("fauteuil.é", "a.名前", "b.ü ö", "c")
    assert write(tmp_path / "a.h5", block(names, views=1), class_name="véhicule")["instances"] == sorted(names)
    read = read_shards([tmp_path / "a.h5"], {names[1]})
    assert read.instance.tolist() == [names[1]] and read.class_name.tolist() == ["véhicule"]
    assert {instance for instance, _ in places(tmp_path / "a.h5")} == set(names)


def test_every_bit_comes_back(tmp_path):
    frames = block()
    entry = write(tmp_path / "cone.h5", frames)
    read = read_shards([tmp_path / "cone.h5"])
    assert len(read.rgba) == 6 and read.extent == 1.5
    assert set(read.class_name) == {"cone"}
    for place, wanted in enumerate(frames):
        assert_same(read, place, wanted)
    content = (tmp_path / "cone.h5").read_bytes()
    assert entry["sha256"] == sha256(content).hexdigest() and entry["bytes"] == len(content)
    assert entry["class"] == "cone" and list(entry["instances"]) == ["a", "b", "c"]


def test_a_soft_edge_outside_the_mask_is_kept(tmp_path):
    wanted = frame()
    wanted.rgba[2, 4:9] = (10, 20, 30, 40)  # a row of pixels whose centres miss the object
    assert not wanted.mask[2].any()
    write(tmp_path / "one.h5", [wanted])
    assert_same(read_shards([tmp_path / "one.h5"]), 0, wanted)


@settings(deadline=None, max_examples=40)
@given(
    st.integers(2, 33).flatmap(
        lambda side: st.tuples(st.just(side), *[st.tuples(st.integers(0, side), st.integers(0, side))] * 2)
    ),
    st.integers(0, 2**32 - 1),
)
def test_any_size_and_box_comes_back(tmp_path_factory, shape, seed):
    """Also a frame without object, and one that fills the image."""
    side, rows, columns = shape
    box = (min(rows), min(columns), max(rows), max(columns))
    path = tmp_path_factory.mktemp("shard") / "one.h5"
    wanted = frame(side=side, box=box, seed=seed)
    write(path, [wanted], side=side)
    assert_same(read_shards([path]), 0, wanted)


def test_nans_and_denormal_depths_are_kept_bit_by_bit(tmp_path):
    wanted = frame()
    depth = wanted.depth.copy()
    at = np.argwhere(wanted.mask)[:3]
    depth[tuple(at.T)] = np.float32([np.nan, 1e-42, -0.0])
    write(tmp_path / "odd.h5", [replace(wanted, depth=depth)])
    read = read_shards([tmp_path / "odd.h5"]).depth[0]
    np.testing.assert_array_equal(read.view(np.uint32), depth.view(np.uint32))


def test_same_frames_same_bytes(tmp_path):
    first = write(tmp_path / "first.h5", block())
    second = write(tmp_path / "second.h5", block())
    assert first == second
    assert (tmp_path / "first.h5").read_bytes() == (tmp_path / "second.h5").read_bytes()
    changed = block()
    pixel = changed[3].rgba.copy()
    pixel[5, 5, 0] ^= 1
    changed[3] = replace(changed[3], rgba=pixel)
    assert write(tmp_path / "third.h5", changed)["sha256"] != first["sha256"]


def test_some_instances_of_several_shards(tmp_path):
    write(tmp_path / "cone.h5", block(("a", "b")))
    write(tmp_path / "horn.h5", block(("b", "c"), seed=1), class_name="horn")
    read = read_shards([tmp_path / "cone.h5", tmp_path / "horn.h5"], {"b"})
    assert list(zip(read.class_name, read.instance, read.view)) == [
        ("cone", "b", 0),
        ("cone", "b", 1),
        ("horn", "b", 0),
        ("horn", "b", 1),
    ]
    assert_same(read, 3, frame("b", 1, seed=1))
    with pytest.raises(ValueError, match="no frames"):
        read_shards([tmp_path / "cone.h5"], {"z"})


def test_a_smooth_frame_is_small(tmp_path):
    """The bar is 60 KB a view at 224 px; noise would not compress, a shaded ball does."""
    side = 224
    y, x = np.mgrid[:side, :side] / side - 0.5
    height = 0.35**2 - x**2 - y**2
    mask = height > 0
    depth = np.where(mask, 3 - np.sqrt(np.maximum(height, 0)), np.inf).astype(np.float32)
    grey = np.where(mask, 60 + 400 * np.maximum(height, 0), 0).astype(np.uint8)
    rgba = np.stack([grey, grey, grey, np.where(mask, 255, 0).astype(np.uint8)], axis=-1)
    frames = [Frame("a", view, rgba, mask, depth, np.eye(4), np.eye(3)) for view in range(4)]
    assert write(tmp_path / "ball.h5", frames, side=side)["bytes"] / 4 < 60_000


@pytest.mark.parametrize("damage", ["cut", "flip", "text", "foreign", "empty", "missing"])
def test_a_damaged_shard_is_named(tmp_path, damage):
    path = tmp_path / "cone.h5"
    write(path, block(side=32, box=(2, 2, 30, 30)), side=32)
    content = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(content[: len(content) * 2 // 3])
    elif damage == "flip":
        with h5py.File(path, "r") as file:
            at, size = file["streams"].id.get_offset(), file["streams"].size
        content[at + size // 2] ^= 0xFF
        path.write_bytes(content)
    elif damage == "text":
        path.write_text("<html>not found</html>")
    elif damage == "foreign":
        path.unlink()
        with h5py.File(path, "w") as file:
            file["images"] = np.zeros(3)
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        path.unlink()
    with pytest.raises(UserError, match=r"cone\.h5"):
        read_shards([path])


def test_shards_of_different_families_do_not_mix(tmp_path):
    write(tmp_path / "small.h5", block())
    write(tmp_path / "large.h5", block(side=32), side=32)
    write(tmp_path / "other.h5", block(), extent=1.0)
    for wrong in ("large.h5", "other.h5"):
        with pytest.raises(UserError, match=wrong.replace(".", r"\.")):
            read_shards([tmp_path / "small.h5", tmp_path / wrong])


def test_an_empty_shard_is_whole_and_a_wrong_size_is_not_written(tmp_path):
    assert write(tmp_path / "none.h5", [])["frames"] == 0 and places(tmp_path / "none.h5") == []
    with pytest.raises(ValueError, match="no frames to read"):
        read_shards([tmp_path / "none.h5"])
    with pytest.raises(ValueError, match="shard of 32"):
        write(tmp_path / "size.h5", block(), side=32)


NO_LOCKS = "#include <errno.h>\nint flock(int fd, int op) { errno = ENOLCK; return -1; }\n"
LOCKED = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_shards import block, read_shards, write
import fcntl
try:
    fcntl.flock(open({folder!r} + "/other", "w"), fcntl.LOCK_EX)
    sys.exit("there are locks")
except OSError:
    pass
for path in (Path({folder!r}, "before.h5"), Path({folder!r}, "here.h5")):
    if path.stem == "here":
        write(path, block())
    assert len(read_shards([path]).rgba) == 6
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler to make a file system without locks")
def test_a_file_system_without_locks_is_no_obstacle(tmp_path):
    (tmp_path / "nolocks.c").write_text(NO_LOCKS)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", "nolocks.so", "nolocks.c"], cwd=tmp_path, check=True)
    write(tmp_path / "before.h5", block())
    told = subprocess.run(
        [sys.executable, "-c", LOCKED.format(tests=str(Path(__file__).parent), folder=str(tmp_path))],
        env=os.environ | {"LD_PRELOAD": str(tmp_path / "nolocks.so")}, capture_output=True, text=True,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert (tmp_path / "before.h5").read_bytes() == (tmp_path / "here.h5").read_bytes()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EIO, errno.EACCES, errno.ESTALE])
def test_nobody_is_told_to_delete_a_good_file(tmp_path, monkeypatch, number):
    write(tmp_path / "a.h5", block())
    monkeypatch.setattr(h5py, "File", lambda *_, **__: (_ for _ in ()).throw(OSError(number, "x")))
    with pytest.raises(UserError, match=rf"a.h5: cannot be read: {os.strerror(number)}$"):
        read_shards([tmp_path / "a.h5"])


def test_a_shard_of_several_classes_keeps_the_class_of_each_instance(tmp_path):
    """Two classes with instances of the same id; every reader gives what shards of one class would."""
    cone, horn = block("ab"), block("a", seed=1)
    path = tmp_path / "both.h5"
    entry = write_classes(path, {"cone": iter(cone), "horn": iter(horn)}, resolution_px=16, extent=1.5)
    assert held_by(entry) == {"cone": ("a", "b"), "horn": ("a",)} and entry["frames"] == len(cone) + len(horn)
    for name, frames in (("cone", cone), ("horn", horn)):
        write(tmp_path / f"{name}.h5", frames, class_name=name)
    apart, together = read_shards([tmp_path / "cone.h5", tmp_path / "horn.h5"]), read_shards([path])
    for field in dataclasses.fields(apart):
        assert np.array_equal(getattr(apart, field.name), getattr(together, field.name)), field.name
    some = read_shards([path], {"a"}, {("horn", "a", 1), ("cone", "b", 0)}, colour_only=True)
    assert list(zip(some.class_name, some.instance, some.view)) == [("horn", "a", 1)]
    assert np.array_equal(some.rgba[0], horn[1].rgba) and horn[1].rgba.any() and not some.mask.any()

    shard = Shard(str(path), held_by(entry), entry["sha256"], entry["bytes"])
    views = Views("solids", ("cone", "horn"), 2, 16, 1.5, {"train": ("a",), "test": ("b",)}, (shard,))
    views.write(tmp_path / "manifest.json")
    views = Views.read(tmp_path / "manifest.json")
    assert views.objects("train") == {"cone": ("a",), "horn": ("a",)}
    assert views.objects("test") == {"cone": ("b",), "horn": ()}
    assert set(views.frames(["train"]).class_name) == {"cone", "horn"}
    assert set(views.frames(["test"]).instance) == {"b"}


def test_a_shard_of_one_class_has_the_bytes_it_always_had(tmp_path):
    entry = write(tmp_path / "cone.h5", block())
    with h5py.File(tmp_path / "cone.h5") as file:
        assert file.attrs["format"] == "robust3d-views-1" and "instance_class" not in file
    assert entry["class"] == "cone" and "classes" not in entry


@pytest.mark.parametrize("size", [0, 2**64 - 16])
def test_a_heap_whose_end_hdf5_would_look_for_forever_is_refused(tmp_path, size):
    """The class's name is a text in a heap; the last object of a heap is its free space, of index 0."""
    write(tmp_path / "shard.h5", block())
    content = bytearray((tmp_path / "shard.h5").read_bytes())
    place = content.index(b"GCOL") + 16
    while content[place : place + 2] != bytes(2):
        place += 16 + -(-int.from_bytes(content[place + 8 : place + 16], "little") // 8) * 8
    content[place + 8 : place + 16] = size.to_bytes(8, "little")
    (tmp_path / "shard.h5").write_bytes(content)
    with pytest.raises(UserError, match=r"shard\.h5: damaged: a heap of texts"):
        read_shards([tmp_path / "shard.h5"])
