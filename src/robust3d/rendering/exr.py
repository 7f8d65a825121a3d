"""Reads the uncompressed float32 OpenEXR files that Blender writes: exact values, no extra library."""

import struct
from pathlib import Path

import numpy as np

_MAGIC = 20000630
_FLOAT = 2


def read_exr(path: Path) -> dict[str, np.ndarray]:
    """All channels of a single-part scan-line file by name, each float32 (H, W).

    Raises:
        ValueError: another kind of EXR: compressed, tiled, or with channels that are not float32.
    """
    data = path.read_bytes()
    if struct.unpack_from("<I", data)[0] != _MAGIC or data[5] & 0x1A:
        raise ValueError(f"{path}: not a single-part scan-line OpenEXR file")
    attributes, at = _header(data)
    if attributes["compression"] != b"\0":
        raise ValueError(f"{path}: compressed")
    left, top, right, bottom = struct.unpack("<4i", attributes["dataWindow"])
    width, height = right - left + 1, bottom - top + 1
    names = _channels(attributes["channels"], path)
    # A table of offsets, then each line: y, size, and every channel's row in the header's order.
    line = np.dtype([("y", "<i4"), ("bytes", "<i4"), ("values", "<f4", (len(names), width))])
    lines = np.frombuffer(data, line, height, at + 8 * height)
    order = np.argsort(lines["y"])
    return {name: lines["values"][order, i] for i, name in enumerate(names)}


def _header(data: bytes) -> tuple[dict[str, bytes], int]:
    attributes, at = {}, 8
    while data[at]:
        name_end = data.index(0, at)
        type_end = data.index(0, name_end + 1)
        (size,) = struct.unpack_from("<i", data, type_end + 1)
        start = type_end + 5
        attributes[data[at:name_end].decode()] = data[start : start + size]
        at = start + size
    return attributes, at + 1


def _channels(data: bytes, path: Path) -> list[str]:
    names, at = [], 0
    while data[at]:
        end = data.index(0, at)
        names.append(data[at:end].decode())
        if struct.unpack_from("<i", data, end + 1)[0] != _FLOAT:
            raise ValueError(f"{path}: channel {names[-1]} is not float32")
        at = end + 17
    return names
