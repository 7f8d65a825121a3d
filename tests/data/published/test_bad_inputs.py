"""More than a thousand bad files: each gives a clean result or one message that names it, soon and without harm.

The files are good ones cut off, with flipped bits, with another's content or with zeros, and hostile ones by hand.
"""

import faulthandler
import io
import json
import os
import pickle
import random
import struct
import sys
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file

from robust3d.data.frame import Frame
from robust3d.data.manifest import Shard, Views
from robust3d.data.published import nmr, srn
from robust3d.data.published.archives import extract_archive
from robust3d.data.published.check import check_views
from robust3d.data.published.export import export_views, write_exr
from robust3d.data.published.files import read_exr_depth, read_npz, read_png
from robust3d.data.published.inventory import Inventory
from robust3d.data.published.meshes import BrokenMesh, read_mesh
from robust3d.data.published.params import NMRParams
from robust3d.data.published.text import read_lines
from robust3d.data.sets import read_set, save_set
from robust3d.data.shards import read_shards, write_shard
from robust3d.data.textures import Textures
from robust3d.errors import UserError
from robust3d.models.files import load_state
from robust3d.shapes.mesh import Mesh
from robust3d.shapes.store import load_meshes, save_meshes
from robust3d.study.reading import load_study, read_yaml

SEED = 20240917
SLOWEST_S = 2.0  # of CPU
HANGS_S = 20.0
GROWTH_MIB = 300  # for one file
ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Reader:
    """One way to read a file.

    Attributes:
        read: takes the file's path.
        good: content of a good file.
        suffix: of its name.
        check: asserts that what was read is sound.
        mutants: how many spoilt files.
    """

    read: Callable
    good: bytes
    suffix: str
    check: Callable = lambda result: None
    mutants: int = 60


class Canary:
    """Its unpickling writes a file."""

    path = ""

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def spoilt(good: bytes, others: list[bytes], rng: random.Random, count: int):
    """Seeded spoilt contents."""
    for number in range(count):
        content = bytearray(good)
        way = number % 7
        if way == 0:
            content = content[: rng.randrange(len(good))]
        elif way in (1, 2):
            for _ in range(rng.choice((1, 4, 64))):
                content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        elif way == 3:  # near the beginning, where headers are
            for _ in range(rng.choice((1, 3))):
                content[rng.randrange(min(len(content), 200))] = rng.randrange(256)
        elif way == 4:
            at = rng.randrange(len(content))
            content[at : at + rng.randrange(1, 400)] = bytes(rng.randrange(1, 400))
        elif way == 5:
            content = bytearray(others[(number // 7) % len(others)])
        else:
            middle = rng.randrange(len(content))
            content = content[:middle] + rng.randbytes(rng.randrange(1, 300)) + content[middle:]
        yield ("cut", "flip", "flip", "head", "zeros", "mislabelled", "insert")[way], bytes(content)


def png(side=16) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 255, (side, side, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def huge_png() -> bytes:
    head = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(10_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def npz(**arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def zipped(*members, **infos) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content, mode in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return buffer.getvalue()


def tarred(*members, mode="w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.size = kind, len(content) if kind == tarfile.REGTYPE else 0
            info.linkname = "/etc/passwd"
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def npy_claiming(shape, dtype="<f8", content=b"\0" * 64, name="world_mat_0") -> bytes:
    """An .npz whose array claims more than it has."""
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}}}".encode()
    header += b" " * (63 - (len(header) + 10) % 64) + b"\n"
    member = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content
    return zipped((f"{name}.npy", member, 0o100644))


def shards_claiming_much():
    """Shards with a data set of a petabyte that is not there, enormous frames, and a stream that unpacks to 512 MiB."""
    rgba, intrinsics = np.full((4, 4, 4), 9, np.uint8), np.eye(3)
    frame = Frame("a", 0, rgba, np.ones((4, 4), bool), np.ones((4, 4), np.float32), np.eye(4), intrinsics)
    for way in ("petabyte", "side", "bomb", "box"):
        buffer = io.BytesIO()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a.h5"
            write_shard(path, iter([frame]), class_name="a", resolution_px=4, extent=1.0)
            with h5py.File(path, "a") as file:
                if way == "petabyte":
                    del file["streams"]
                    file.create_dataset("streams", (1 << 50,), np.uint8, chunks=(1 << 20,))
                elif way == "side":
                    file.attrs["resolution_px"] = 1_000_000
                elif way == "bomb":
                    stream = zlib.compress(bytes(1 << 29), 1)
                    del file["streams"]
                    file["streams"] = np.frombuffer(stream, np.uint8)
                    file["stream_bytes"][0] = [len(stream), 0, 0]
                else:
                    file["box"][0] = [-3, 0, 1 << 30, 4]
            buffer.write(path.read_bytes())
        yield buffer.getvalue()


OFF = b"OFF\n4 4 6\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n3 0 2 1\n3 0 1 3\n3 0 3 2\n3 1 2 3\n"
OBJ = b"mtllib a.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nvn 0 0 1\nf 1//1 3//1 2//1\nf 1 2 4\nf 1 4 3\nf 2 3 4\n"


def sound_mesh(mesh: Mesh) -> None:
    assert np.isfinite(mesh.vertices).all() and len(mesh.faces) and mesh.faces.min() >= 0
    assert mesh.faces.max() < len(mesh.vertices) and np.ptp(mesh.vertices, axis=0).max() <= 1 + 1e-9


def sound_frames(frames: list) -> None:
    for frame in frames:
        assert frame.rgba.shape == (*frame.mask.shape, 4) and frame.mask.dtype == bool
        assert np.isfinite(frame.world_to_camera).all() and np.isfinite(frame.intrinsics).all()


def sound_shard(frames) -> None:
    assert frames.rgba.dtype == np.uint8 and frames.rgba.shape[:3] == frames.mask.shape
    assert frames.world_to_camera.shape == (len(frames.rgba), 4, 4)


@pytest.fixture(scope="module")
def readers(family, tmp_path_factory) -> dict[str, Reader]:
    """Every reader with a good file."""
    work = tmp_path_factory.mktemp("good")
    views, frames = family
    small = Views("tiny", ("chair",), 8, 48, views.extent, {"train": ("0000",)}, views.shards[1:])
    export_views(small, work / "dvr", "dvr", visual_hull=False)
    export_views(small, work / "srn", "srn")
    dvr, flat = work / "dvr" / "chair" / "0000", work / "srn" / "chair_train" / "0000"

    def file_of(write, name) -> bytes:
        write(work / name)
        return (work / name).read_bytes()

    def instance(read, folder, place):
        """Read a whole object of which one file is the bad one."""

        def run(path: Path):
            good = (folder / place).read_bytes()
            try:
                (folder / place).write_bytes(path.read_bytes())
                return read(folder, "0000", 2)
            except UserError as error:
                assert Path(place).name in str(error) or folder.name in str(error), error
                raise UserError(f"{path}: {error}") from None
            finally:
                (folder / place).write_bytes(good)

        return run

    def checked(place):
        def run(path: Path):
            good = (dvr / place).read_bytes()
            try:
                (dvr / place).write_bytes(path.read_bytes())
                return check_views(dvr)
            finally:
                (dvr / place).write_bytes(good)

        return run

    def inventory(path: Path):
        root = path.parent / "tree"
        (root / "chair" / "a").mkdir(parents=True)
        try:
            (root / "chair" / "a" / "cameras.npz").write_bytes(b"x")
            for part in ("val", "test"):
                (root / "chair" / f"softras_{part}.lst").write_bytes(b"")
            path.rename(root / "chair" / "softras_train.lst")
            return nmr.take_inventory(root, NMRParams(path="x", classes=("chair",)))
        except UserError as error:
            assert "softras_train.lst" in str(error) or str(root) in str(error), error
            raise UserError(f"{path}: {error}") from None
        finally:
            (root / "chair" / "softras_train.lst").rename(path)
            for leaf in sorted(root.rglob("*"), reverse=True):
                leaf.rmdir() if leaf.is_dir() else leaf.unlink()
            root.rmdir()

    def extract(path: Path):
        target = path.parent / "unpacked"
        try:
            extract_archive(path, target, limit_bytes=10 << 20)
            assert not [p for p in target.rglob("*") if p.is_symlink()]
        finally:
            import shutil

            shutil.rmtree(target, ignore_errors=True)

    def study(path: Path):
        values = read_yaml(path)
        try:
            return load_study(values)
        except UserError as error:
            assert str(error).startswith("the configuration is wrong:\n  ") and ":" in str(error)[30:], error
            raise UserError(f"{path}: {error}") from None

    shard_frames = frames["chair", "0000"]
    shard = file_of(
        lambda p: write_shard(p, iter(shard_frames[:2]), class_name="chair", resolution_px=48, extent=1.5), "a.h5"
    )
    mesh = Mesh(np.eye(4)[:, :3], np.array([[0, 1, 2], [0, 2, 3]], np.int32), np.ones((2, 3), np.float32))
    meshes = file_of(lambda p: save_meshes({"a": mesh}, p, work / "m.json"), "a.npz")
    table = pd.DataFrame({"split": ["train"], "class_name": ["a"], "view": [1]})
    manifest = Views("f", ("a",), 1, 8, 1.0, {"train": ("x",)}, (Shard("s.h5", {"a": ("x",)}, "0", 1),))
    textures = Textures(np.zeros((2, 8, 8, 3), np.uint8), ("a",), np.zeros(2, np.int64), np.array(["train", "test"]))
    state = {"layer.weight": torch.ones(3, 4), "layer.bias": torch.zeros(3)}
    listing = Inventory.from_json(nmr.take_inventory(work / "dvr", NMRParams(path="x", classes=("chair",))).to_json())
    tar_members = (("a/b.txt", tarfile.REGTYPE, b"hello" * 50), ("a/c.txt", tarfile.REGTYPE, b"x" * 3000))
    everything = (ROOT / "config.yaml").read_bytes()
    return {
        "png": Reader(read_png, png(), ".png", lambda a: a.dtype == np.uint8 or pytest.fail(), 90),
        "npz": Reader(read_npz, npz(images=np.zeros((4, 5)), labels=np.arange(3)), ".npz", mutants=80),
        "cameras": Reader(nmr.read_cameras, (dvr / "cameras.npz").read_bytes(), ".npz"),
        "nmr cameras": Reader(
            instance(nmr.read_instance, dvr, "cameras.npz"), (dvr / "cameras.npz").read_bytes(), ".npz", sound_frames
        ),
        "nmr image": Reader(
            instance(nmr.read_instance, dvr, "image/0004.png"),
            (dvr / "image/0004.png").read_bytes(),
            ".png",
            sound_frames,
        ),
        "nmr mask": Reader(
            instance(nmr.read_instance, dvr, "mask/0000.png"),
            (dvr / "mask/0000.png").read_bytes(),
            ".png",
            sound_frames,
        ),
        "nmr depth": Reader(
            instance(nmr.read_instance, dvr, "depth/0000.exr"),
            (dvr / "depth/0000.exr").read_bytes(),
            ".exr",
            sound_frames,
        ),
        "srn pose": Reader(
            instance(srn.read_instance, flat, "pose/000004.txt"),
            (flat / "pose/000004.txt").read_bytes(),
            ".txt",
            sound_frames,
        ),
        "srn intrinsics": Reader(
            instance(srn.read_instance, flat, "intrinsics.txt"),
            (flat / "intrinsics.txt").read_bytes(),
            ".txt",
            sound_frames,
        ),
        "srn image": Reader(
            instance(srn.read_instance, flat, "rgb/000000.png"),
            (flat / "rgb/000000.png").read_bytes(),
            ".png",
            sound_frames,
        ),
        "checker": Reader(checked("cameras.npz"), (dvr / "cameras.npz").read_bytes(), ".npz", lambda r: r.text(), 14),
        "list": Reader(read_lines, b"aaaa\nbbbb\ncccc", ".lst", lambda a: isinstance(a, list) or pytest.fail(), 40),
        "inventory list": Reader(inventory, b"a\n", ".lst", mutants=40),
        "inventory": Reader(
            lambda p: Inventory.from_json(p.read_text("utf-8", "replace"), str(p)), listing.to_json().encode(), ".json"
        ),
        "off": Reader(read_mesh, OFF, ".off", sound_mesh, 110),
        "obj": Reader(read_mesh, OBJ, ".obj", sound_mesh, 110),
        "exr": Reader(read_exr_depth, file_of(lambda p: write_exr(np.ones((9, 9)), p), "a.exr"), ".exr", mutants=150),
        "zip": Reader(extract, zipped(("a/b.txt", b"hello" * 50, 0o100644), ("c.txt", b"y" * 500, 0)), ".zip"),
        "tar": Reader(extract, tarred(*tar_members), ".tar", mutants=40),
        "tar.gz": Reader(extract, tarred(*tar_members, mode="w:gz"), ".tar.gz", mutants=40),
        "shard": Reader(lambda p: read_shards([p]), shard, ".h5", sound_shard, 200),
        "views": Reader(Views.read, file_of(manifest.write, "views.json"), ".json", mutants=60),
        "set": Reader(read_set, file_of(lambda p: save_set(table, p), "set.parquet"), ".parquet", mutants=100),
        "meshes": Reader(lambda p: load_meshes(p, ["a"]), meshes, ".npz", mutants=80),
        "textures": Reader(Textures.load, file_of(textures.save, "textures.npz"), ".npz", mutants=60),
        "safetensors": Reader(load_state, file_of(lambda p: save_file(state, p), "m.safetensors"), ".safetensors"),
        "pt": Reader(load_state, file_of(lambda p: torch.save(state, p), "m.pt"), ".pt", mutants=60),
        "configuration": Reader(study, everything, ".yaml", mutants=70),
    }


def hostile(canary: Path) -> list[tuple[str, bytes]]:
    """(reader, content) made by hand."""
    Canary.path = str(canary)
    bomb = pickle.dumps(Canary())
    objects = io.BytesIO()
    np.savez(objects, world_mat_0=np.array([Canary()], dtype=object), index=np.array([Canary()], dtype=object))
    torch_bomb = io.BytesIO()
    torch.save({"a": Canary()}, torch_bomb)
    good_json = {"family": "f", "classes": ["a"], "views": 1, "resolution_px": 8, "extent": 1.0, "splits": {}}
    laughs = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(12)
    )
    nan_cameras = npz(**{f"{n}_mat_{i}": np.full((4, 4), np.nan) for n in ("world", "camera") for i in range(8)})
    escapes = ("../evil.txt", "/tmp/robust3d-evil.txt", "a/../../evil.txt", "..\\evil.txt", "C:/evil.txt")
    cases = [
        *[("zip", zipped((name, b"evil", 0o100644))) for name in escapes],
        *[("tar", tarred((name, tarfile.REGTYPE, b"evil"))) for name in escapes],
        ("zip", zipped(("link", b"/etc", 0o120777), ("link/evil.txt", b"evil", 0o100644))),
        ("zip", zipped(("pipe", b"", 0o010644))),
        ("zip", zipped(("big", bytes(50 << 20), 0o100644))),
        *[("tar", tarred(("thing", kind, b""))) for kind in (b"1", b"2", b"3", b"4", b"6")],
        ("tar.gz", tarred(("big", tarfile.REGTYPE, bytes(50 << 20)), mode="w:gz")),
        ("tar.gz", gzip_of_pax()),
        *[(name, objects.getvalue()) for name in ("npz", "cameras", "meshes", "textures", "nmr cameras")],
        *[(name, bomb) for name in ("npz", "cameras", "pt", "safetensors", "set", "shard", "png", "exr", "views")],
        ("pt", torch_bomb.getvalue()),
        ("npz", zipped(("world_mat_0.npy", bomb, 0o100644))),
        *[("npz", npy_claiming(shape)) for shape in ((1 << 40,), (-1,), (1 << 62, 1 << 62), (0, 1 << 60), (9,))],
        ("npz", npy_claiming((8,), "|O")),
        ("cameras", npy_claiming((1 << 40,))),
        *[("shard", content) for content in shards_claiming_much()],
        ("meshes", npy_claiming((1 << 44,), name="index")),
        ("textures", npy_claiming((1 << 44,), name="names")),
        ("npz", zipped(("a.npy", bytes(300 << 20), 0o100644))),
        ("cameras", nan_cameras),
        ("nmr cameras", nan_cameras),
        ("checker", nan_cameras),
        ("nmr cameras", npz(**{f"{n}_mat_{i}": np.eye(4)[::-1] for n in ("world", "camera") for i in range(8)})),
        ("nmr cameras", npz(**{f"{n}_mat_{i}": np.zeros((4, 4)) for n in ("world", "camera") for i in range(8)})),
        ("checker", npz(**{f"{n}_mat_{i}": np.zeros((4, 4)) for n in ("world", "camera") for i in range(8)})),
        ("nmr cameras", npz(**{f"{n}_mat_{i}": np.array("text") for n in ("world", "camera") for i in range(8)})),
        *[(name, huge_png()) for name in ("png", "nmr image", "nmr mask", "srn image")],
        ("png", png(2) + b"more"),
        ("nmr image", png(48)),
        ("nmr image", png(47)),
        ("off", b"OFF\n1000000000 1000000000 0\n0 0 0\n"),
        ("off", b"OFF1000000000 1000000000 0\n"),
        ("off", b"OFF\n" + b"9" * 5000 + b" 1 0\n"),
        ("off", b"OFF\n3 1 0\n0 0 0\n1 nan 0\n0 1 0\n3 0 1 2\n"),
        ("off", b"OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 3\n"),
        ("off", b"OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 -1 2\n"),
        ("off", b"OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n1000000000 0 1 2\n"),
        ("off", b"OFF\n3 1 0\n0 0 0\n1e308 0 0\n-1e308 1 0\n3 0 1 2\n"),
        ("off", b"OFF\n0 0 0\n"),
        ("obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 1000000000\n"),
        ("obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 0 1 2\n"),
        ("obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf -9 1 2\n"),
        ("obj", b"v 0 0 0\nv inf 0 0\nv 0 1 0\nf 1 2 3\n"),
        ("obj", b"v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n"),
        ("obj", b"v 0 0 0\nf 1 1 1\n" + b"f " + b"9" * 5000 + b" 1 1\n"),
        ("list", b"\xff\xfe\x00a"),
        ("inventory list", b"../../etc\n"),
        ("inventory list", b"a\na\nb\n"),
        ("inventory list", b"x" * 100_000),
        ("srn pose", b"nan " * 16),
        ("srn pose", b"1 " * 16),
        ("srn pose", b"0 " * 16),
        ("srn pose", b"1 2 3"),
        ("srn intrinsics", b"1e400 1 1 0\n48 48"),
        ("srn intrinsics", b"-5 24 24 0.\n0 0 0\n0\n1\n48 48\n"),
        ("srn intrinsics", b"5 24 24 0.\n0 0 0\n0\n1\n48 1e30\n"),
        *[("views", json.dumps(content).encode()) for content in ([], {}, {"a": 1}, "x", None, good_json)],
        ("views", json.dumps({**good_json, "shards": [{"path": 3}]}).encode()),
        ("views", json.dumps({**good_json, "shards": 7}).encode()),
        ("views", b"[" * 100_000),
        ("inventory", b"[" * 100_000),
        ("inventory", b'{"format": "robust3d-inventory-1"}'),
        ("safetensors", struct.pack("<Q", 1 << 62) + b"{}"),
        ("safetensors", safetensors_claiming(1 << 50)),
        ("configuration", laughs.encode()),
        ("configuration", b"a: &a [*a]\n"),
        ("configuration", b"study: 2020-01-01\n"),
        ("configuration", b"study: !!python/object/apply:os.system ['touch /tmp/robust3d-evil']\n"),
        ("configuration", b"[" * 5000),
        ("configuration", b"seed: " + b"9" * 5000),
        ("configuration", b"1: 2\n? [a, b]\n: c\n"),
        ("configuration", b"families: !!binary aGVsbG8=\n"),
    ]
    return cases


def gzip_of_pax() -> bytes:
    """A tar header that announces a hundred megabytes of further header."""
    import gzip

    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 100 << 20
    return gzip.compress(info.tobuf(tarfile.PAX_FORMAT) + bytes(100 << 20), 1)


def safetensors_claiming(size: int) -> bytes:
    header = json.dumps({"a": {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}}).encode()
    return struct.pack("<Q", len(header)) + header


def settings(rng: random.Random):
    """The configuration with one value replaced by something odd."""
    values = yaml.safe_load((ROOT / "config.yaml").read_text())
    odd = (None, "x", -1, [], {}, float("nan"), 1e308, "../..", "a" * 5000, True, [[]], 10**30, {"a": {"b": 1}}, "mesh")
    place, key = values, rng.choice(sorted(values))
    while isinstance(place[key], dict) and place[key] and rng.random() < 0.85:
        place = place[key]
        key = rng.choice(sorted(place, key=str))
    place[key] = rng.choice(odd)
    return yaml.safe_dump(values).encode()


def memory_mib(field: str) -> float:
    """A line of Linux's account of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024


def reset_peak_mib() -> float:
    """Let the peak of resident memory (VmHWM) begin anew; what is resident now."""
    Path("/proc/self/clear_refs").write_text("5")
    return memory_mib("VmRSS")


def snapshot(folder: Path) -> list[tuple[str, int]]:
    return sorted((str(path.relative_to(folder)), path.lstat().st_size) for path in folder.rglob("*"))


def test_bad_inputs(readers, tmp_path, capsys):
    rng = random.Random(SEED)
    canary = tmp_path / "canary"
    cases = [(name, "hostile", content) for name, content in hostile(canary)]
    cases += [("configuration", "odd value", settings(rng)) for _ in range(60)]
    goods = [reader.good for reader in readers.values()]
    for name, reader in readers.items():
        cases += [(name, way, bad) for way, bad in spoilt(reader.good, goods, rng, reader.mutants)]
        cases += [(name, "empty", b""), (name, "noise", rng.randbytes(3000)), (name, "good", reader.good)]
    work = tmp_path / "work"
    work.mkdir()
    read, refused, failures, most_mib = 0, 0, [], 0
    for number, (name, way, content) in enumerate(cases):
        reader = readers[name]
        path = work / f"case{number}{reader.suffix}"
        path.write_bytes(content)
        before = snapshot(tmp_path)
        resident_mib = reset_peak_mib()
        started = time.process_time()  # not of the other programs on the machine
        faulthandler.dump_traceback_later(HANGS_S, exit=True, file=sys.__stderr__)  # also inside C code
        try:
            reader.check(reader.read(path))
            read += 1
            told = None
        except UserError as error:
            refused += 1
            told = str(error)
        except BaseException as error:
            failures.append(f"{number} {name} ({way}): {type(error).__name__}: {str(error)[:300]}")
            told = None
            if isinstance(error, KeyboardInterrupt):
                raise
        took = time.process_time() - started
        faulthandler.cancel_dump_traceback_later()
        grown_mib = memory_mib("VmHWM") - resident_mib
        most_mib = max(most_mib, grown_mib)
        if grown_mib > GROWTH_MIB:
            failures.append(f"{number} {name} ({way}): {grown_mib:.0f} MiB")
        if took > SLOWEST_S:
            failures.append(f"{number} {name} ({way}): {took:.1f} s of CPU")
        if told is not None and path.name not in told:
            failures.append(f"{number} {name} ({way}): the message does not name the file: {told[:200]}")
        if way == "good" and told is not None:
            failures.append(f"{number} {name}: the good file is refused: {told}")
        if snapshot(tmp_path) != before or canary.exists():
            failures.append(f"{number} {name} ({way}): something was written")
        path.unlink(missing_ok=True)
    with capsys.disabled():
        print(f"\n{len(cases)} bad inputs: {refused} refused, {read} read, at most {most_mib:.0f} MiB for one")
    assert not failures, f"{len(failures)} of {len(cases)}:\n" + "\n".join(failures[:60])
    assert len(cases) >= 1000
    assert not Path("/tmp/robust3d-evil.txt").exists() and not Path("/tmp/robust3d-evil").exists()


@pytest.mark.parametrize(
    "name, content",
    [
        ("unreadable", b"OFF\n\x01\x02"),
        ("empty", b"OFF\n0 0 0\n"),
        ("nan", b"OFF\n3 1 0\n0 0 0\n1 nan 0\n0 1 0\n3 0 1 2\n"),
        ("flat", b"OFF\n3 1 0\n0 0 0\n1 1 1\n2 2 2\n3 0 1 2\n"),
    ],
)
def test_broken_meshes_are_told_by_name(name, content, tmp_path):
    (tmp_path / f"{name}.off").write_bytes(content)
    with pytest.raises(BrokenMesh, match=f"{name}.off: "):
        read_mesh(tmp_path / f"{name}.off")
