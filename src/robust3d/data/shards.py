"""Shards of rendered frames: a block of instances of one or more classes in an HDF5 file; equal frames, equal bytes.

A shard of several classes also stores the class of each instance. A frame is cropped to its object and packed
without loss: sRGB colour and alpha, the exact mask as bits, depth as float32 with bytes grouped by significance,
which compresses better.
"""

import mmap
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from robust3d.data.frame import Frame
from robust3d.errors import DamagedFile, UserError, why_unreadable

_FORMAT = "robust3d-views-1"  # of one class, whose name is an attribute
_FORMAT_CLASSES = "robust3d-views-2"  # of several classes: `instances` has a row for each (class, instance)
Place = tuple[str, str, int]  # class, instance, view
_HEAP = b"GCOL\x01\0\0\0"  # first bytes of a heap of texts in HDF5
_LEVEL = 6  # of zlib
_LARGEST_PX = 8192  # side of a frame


@dataclass(frozen=True)
class Frames:
    """N frames of one family.

    Attributes:
        rgba: (N, H, W, 4) uint8, sRGB, straight alpha.
        mask: (N, H, W) bool.
        depth: (N, H, W) float32 camera z, inf at the background.
        world_to_camera: (N, 4, 4) float64.
        intrinsics: (N, 3, 3) float64, px.
        class_name: (N,) str.
        instance: (N,) str.
        view: (N,) int64.
        extent: side of the origin-centred cube that contains every object, world units.
    """

    rgba: np.ndarray
    mask: np.ndarray
    depth: np.ndarray
    world_to_camera: np.ndarray
    intrinsics: np.ndarray
    class_name: np.ndarray
    instance: np.ndarray
    view: np.ndarray
    extent: float


def write_shard(
    path: Path, frames: Iterable[Frame], *, class_name: str, resolution_px: int, extent: float
) -> dict[str, Any]:
    """Write a shard of one class; see `write_classes`."""
    return write_classes(path, {class_name: frames}, resolution_px=resolution_px, extent=extent)


def write_classes(
    path: Path, frames: Mapping[str, Iterable[Frame]], *, resolution_px: int, extent: float
) -> dict[str, Any]:
    """Write a shard frame by frame, so that only packed bytes are in memory.

    Args:
        path: of the new file.
        frames: of each class, in the order of the file; classes may share instance ids.
        resolution_px: side of every frame.
        extent: of the family.

    Returns:
        The manifest's entry: instances by class, views, frames, sha256, bytes; for one class its name and
        instances.

    Raises:
        ValueError: a frame of another size.
    """
    packed, boxes, cameras, optics, names, views = [], [], [], [], [], []
    for class_name, its_frames in frames.items():
        for frame in its_frames:
            if frame.mask.shape != (resolution_px, resolution_px):
                raise ValueError(f"a frame of {frame.mask.shape} pixels in a shard of {resolution_px}")
            box, streams = _pack(frame)
            boxes.append(box)
            packed.append(streams)
            cameras.append(frame.world_to_camera)
            optics.append(frame.intrinsics)
            names.append((class_name, frame.instance))
            views.append(frame.view)
    pairs = sorted(set(names))
    row = {pair: number for number, pair in enumerate(pairs)}
    instances = {name: [instance for held, instance in pairs if held == name] for name in frames}
    blob = b"".join(stream for streams in packed for stream in streams)
    # No HDF5 locks, also when reading: many shared file systems do not support them, and no other job writes this file.
    with h5py.File(path, "w", libver="latest", track_order=False, locking=False) as file:
        if len(frames) == 1:
            file.attrs.update(format=_FORMAT, class_name=next(iter(frames)))
        else:
            file.attrs.update(format=_FORMAT_CLASSES)
            file["instance_class"] = _texts([name for name, _ in pairs])
        file.attrs.update(resolution_px=resolution_px, extent=extent)
        file["instances"] = _texts([instance for _, instance in pairs])
        file["frame_instance"] = np.array([row[pair] for pair in names], np.int32)
        file["frame_view"] = np.array(views, np.int32)
        file["world_to_camera"] = np.array(cameras, np.float64).reshape(-1, 4, 4)
        file["intrinsics"] = np.array(optics, np.float64).reshape(-1, 3, 3)
        file["box"] = np.array(boxes, np.int32).reshape(-1, 4)
        file["stream_bytes"] = np.array([[len(s) for s in streams] for streams in packed], np.int64).reshape(-1, 3)
        file["streams"] = np.frombuffer(blob, np.uint8)
    content = path.read_bytes()
    held: dict[str, Any] = {"classes": instances}
    if len(frames) == 1:
        held = {"class": class_name, "instances": instances[class_name]}
    return held | {
        "views": sorted(set(views)),
        "frames": len(packed),
        "sha256": sha256(content).hexdigest(),
        "bytes": len(content),
    }


def _texts(names: Sequence[str]) -> np.ndarray:
    return np.array([name.encode() for name in names] or np.zeros(0, "S1"))


def read_shards(
    paths: Sequence[Path],
    instances: set[str] | None = None,
    wanted: set[Place] | None = None,
    colour_only: bool = False,
) -> Frames:
    """Read the frames of some shards of one family.

    Args:
        paths: of the shards, all of one resolution.
        instances: which ones to read, of every class; None: all.
        wanted: which frames of these to read; None: all.
        colour_only: leave masks empty and depths unknown, which halves the time.

    Raises:
        UserError: a file is missing, damaged, not a shard, or does not fit the others.
        ValueError: no frames are left to read.
    """
    kept = [_Kept(Path(path), instances, wanted) for path in paths]
    total = sum(len(part.frames) for part in kept)
    if total == 0:
        raise ValueError("no frames to read")
    side, extent = kept[0].resolution_px, kept[0].extent
    frames = Frames(
        rgba=np.zeros((total, side, side, 4), np.uint8),
        mask=np.zeros((total, side, side), bool),
        depth=np.full((total, side, side), np.inf, np.float32),
        world_to_camera=np.concatenate([part.world_to_camera for part in kept]),
        intrinsics=np.concatenate([part.intrinsics for part in kept]),
        class_name=np.concatenate([part.class_name for part in kept]),
        instance=np.concatenate([part.instance for part in kept]),
        view=np.concatenate([part.view for part in kept]).astype(np.int64),
        extent=extent,
    )
    at = 0
    for part in kept:
        if (part.resolution_px, part.extent) != (side, extent):
            raise UserError(f"{part.path}: {part.resolution_px} px, extent {part.extent}; others {side} px, {extent}")
        for place, (box, streams) in enumerate(part.packed(), at):
            _unpack(frames, place, box, streams, part.path, colour_only)
        at += len(part.frames)
    return frames


def read_frames(path: Path, instances: set[str], wanted: set[Place] | None = None) -> Iterator[Frame]:
    """The frames of some instances in one shard, as passed to `write_shard`; with `wanted` only these of them.

    Raises:
        UserError: the file is missing, damaged or not a shard.
    """
    frames = read_shards([path], instances, wanted)
    fields = (frames.instance.tolist(), frames.view.tolist(), frames.rgba, frames.mask, frames.depth)
    for values in zip(*fields, frames.world_to_camera, frames.intrinsics, strict=True):
        yield Frame(*values)


def places(path: Path) -> list[tuple[str, int]]:
    """(instance, view) of every frame in a shard, without unpacking.

    Raises:
        UserError: the file is missing, damaged or not a shard.
    """
    kept = _Kept(path)
    return list(zip(kept.instance.tolist(), kept.view.tolist(), strict=True))


def _check_heaps(path: Path) -> None:
    """Refuse damaged heaps of texts on which the HDF5 library would loop for ever.

    A heap is a sequence of objects, each with its size. At a size of 0, or one that wraps around, the library loops.
    """
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        heap = content.find(_HEAP)
        while heap >= 0:
            end = min(heap + int.from_bytes(content[heap + 8 : heap + 16], "little"), len(content))
            place = heap + 16
            while place + 16 <= end:
                size = int.from_bytes(content[place + 8 : place + 16], "little")
                free = content[place : place + 2] == bytes(2)
                step = size if free else 16 + -(-size // 8) * 8
                if not 0 < step <= end - place:
                    raise DamagedFile(f"{path}: damaged: a heap of texts does not add up; delete it to render it again")
                place += step
            heap = content.find(_HEAP, heap + 1)


class _Kept:
    """The wanted frames of one shard, still packed."""

    def __init__(self, path: Path, instances: set[str] | None = None, places: set[Place] | None = None) -> None:
        self.path = path
        try:
            _check_heaps(path)
            with h5py.File(path, "r", locking=False) as file:
                if file.attrs.get("format") not in (_FORMAT, _FORMAT_CLASSES):
                    raise DamagedFile(f"{path}: an HDF5 file, but not a shard of views ({_FORMAT})")
                self._check(file)
                self.resolution_px = int(file.attrs["resolution_px"])
                self.extent = float(file.attrs["extent"])
                rows, views = file["frame_instance"][:], file["frame_view"][:]
                names = np.char.decode(file["instances"][:], "utf-8")[rows]
                classes = self._classes(file)[rows]
                wanted = np.isin(names, sorted(instances)) if instances is not None else np.ones(len(names), bool)
                if places is not None:
                    keys = zip(classes.tolist(), names.tolist(), views.tolist(), strict=True)
                    wanted &= np.fromiter((key in places for key in keys), bool, len(names))
                self.frames = np.flatnonzero(wanted)
                self.class_name, self.instance, self.view = (x[self.frames] for x in (classes, names, views))
                self.world_to_camera = file["world_to_camera"][:][self.frames]
                self.intrinsics = file["intrinsics"][:][self.frames]
                self._boxes, self._bytes = file["box"][:], file["stream_bytes"][:]
                self._ends = self._bytes.ravel().cumsum().reshape(self._bytes.shape)
                self._streams = self._read_streams(file["streams"])
        except FileNotFoundError:
            raise UserError(f"{path}: no such shard") from None
        except UserError:
            raise
        except Exception as error:  # h5py raises many kinds of exceptions for damaged files
            damaged = f"damaged, or not a shard of views: {error}; delete it to render it again"
            raise why_unreadable(path, error, damaged) from None

    @staticmethod
    def _classes(file: h5py.File) -> np.ndarray:
        """Class of each row of `instances`."""
        if file.attrs["format"] == _FORMAT:
            return np.full(len(file["instances"]), str(file.attrs["class_name"]))
        return np.char.decode(file["instance_class"][:], "utf-8")

    def _read_streams(self, stored: h5py.Dataset) -> dict[int, np.ndarray]:
        """The bytes of every wanted frame; for a few frames only their bytes are read."""
        firsts, lasts = self._ends[:, 0] - self._bytes[:, 0], self._ends[:, 2]
        source = stored[:] if 2 * len(self.frames) > len(lasts) else stored
        return {int(frame): source[firsts[frame] : lasts[frame]] for frame in self.frames}

    @staticmethod
    def _check(file: h5py.File) -> None:
        """Refuse impossible sizes before memory is allocated: HDF5 stores the streams uncompressed."""
        stored = sum(dataset.nbytes for dataset in file.values())
        if stored > file.id.get_filesize():
            raise ValueError(f"it claims {stored:,} bytes of data")
        frames = len(file["frame_instance"])
        shapes = {
            "frame_view": (frames,),
            "world_to_camera": (frames, 4, 4),
            "intrinsics": (frames, 3, 3),
            "box": (frames, 4),
            "stream_bytes": (frames, 3),
        }
        if file.attrs["format"] == _FORMAT_CLASSES:
            shapes["instance_class"] = file["instances"].shape
        wrong = [name for name, shape in shapes.items() if file[name].shape != shape]
        if wrong or not 1 <= int(file.attrs["resolution_px"]) <= _LARGEST_PX:
            raise ValueError(f"the shape of {wrong[0] if wrong else 'its frames'} is wrong")

    def packed(self) -> Iterator[tuple[np.ndarray, list[bytes]]]:
        for frame in self.frames:
            content, cuts = self._streams[int(frame)], self._bytes[frame].cumsum()
            yield self._boxes[frame], [part.tobytes() for part in np.split(content, cuts[:-1])]


def _pack(frame: Frame) -> tuple[tuple[int, int, int, int], list[bytes]]:
    """Box (top, left, bottom, right) of the object and the packed colour, mask and depth inside it."""
    seen = frame.mask | (frame.rgba[..., 3] > 0)
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    if not len(rows):
        return (0, 0, 0, 0), [b"", b"", b""]
    top, left, bottom, right = int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1
    inside = slice(top, bottom), slice(left, right)
    mask = frame.mask[inside]
    # Colour planes as differences along rows, as neighbours are similar. Depth inside the mask, bytes by significance.
    colour = np.diff(frame.rgba[inside].transpose(2, 0, 1), axis=2, prepend=np.uint8(0))
    depth = frame.depth[inside][mask].astype("<f4").view(np.uint8).reshape(-1, 4).T
    streams = [colour.tobytes(), np.packbits(mask).tobytes(), depth.tobytes()]
    return (top, left, bottom, right), [zlib.compress(stream, _LEVEL) for stream in streams]


def _inflate(stream: bytes, limit: int) -> bytes:
    """The content of a stream that unpacks to at most `limit` bytes."""
    unpacking = zlib.decompressobj()
    content = unpacking.decompress(stream, limit + 1)
    if len(content) > limit or not unpacking.eof:
        raise ValueError("a stream that is cut off or too long")
    return content


def _unpack(
    frames: Frames, place: int, box: np.ndarray, streams: list[bytes], path: Path, colour_only: bool = False
) -> None:
    top, left, bottom, right = (int(side) for side in box)
    height, width = bottom - top, right - left
    if height == 0:
        return
    try:
        side = frames.mask.shape[1]
        if not (0 <= top < bottom <= side and 0 <= left < right <= side):
            raise ValueError(f"a box of {(top, left, bottom, right)} in {side} px")
        wanted = streams[:1] if colour_only else streams
        colour, *others = (np.frombuffer(_inflate(stream, 4 * height * width), np.uint8) for stream in wanted)
        inside = slice(top, bottom), slice(left, right)
        planes = colour.reshape(4, height, width).cumsum(axis=2, dtype=np.uint8)
        frames.rgba[place][inside] = planes.transpose(1, 2, 0)
        if colour_only:
            return
        mask_bits, depth = others
        mask = np.unpackbits(mask_bits, count=height * width).astype(bool).reshape(height, width)
        values = np.ascontiguousarray(depth.reshape(4, -1).T).view("<f4")[:, 0]
        frames.mask[place][inside] = mask
        frames.depth[place][inside][mask] = values
    except (zlib.error, ValueError) as error:
        raise UserError(f"{path}: frame {place} is damaged: {error}; delete the file to render it again") from None
