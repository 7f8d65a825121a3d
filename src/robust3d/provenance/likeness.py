"""How far two files of the same kind lie apart, number by number."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

TOLERANCE = 1e-4  # of the largest number in an array; of each number in a text
STEPS, SHARE = 2, 0.01  # 8-bit pictures: at most this share of values differs, by at most so many steps
TOLERANCE_TEXT = (
    f"numbers within {TOLERANCE:g} of the largest beside them; of 8-bit pictures at most {SHARE:.0%} of the values, "
    f"by at most {STEPS}"
)
_NUMBER = re.compile(r"-?\d+\.?\d*(?:[eE][-+]?\d+)?")
_HASH = re.compile(r"\b[0-9a-f]{64}\b")
Arrays = dict[str, np.ndarray]


def apart(a: Path, b: Path) -> str | None:
    """What differs beyond the tolerance between two files, in words; None: nothing."""
    read = _READERS.get(a.suffix)
    if read is None:
        return "other bytes"
    ours, theirs = read(a), read(b)
    if ours.keys() != theirs.keys():
        return f"other entries: {', '.join(sorted(ours.keys() ^ theirs.keys())[:3])}"
    return next((f"{name}: {text}" for name in ours if (text := _array_apart(ours[name], theirs[name]))), None)


def _array_apart(a: np.ndarray, b: np.ndarray) -> str | None:
    if a.shape != b.shape or a.dtype.kind != b.dtype.kind:
        return f"{a.dtype} {a.shape} against {b.dtype} {b.shape}"
    if a.dtype == np.uint8:
        off = np.abs(a.astype(int) - b.astype(int))
        differing = float((off > 0).mean()) if off.size else 0.0
        if differing <= SHARE and off.max(initial=0) <= STEPS:
            return None
        return f"{differing:.2%} of the values differ, by up to {off.max()}"
    if not np.issubdtype(a.dtype, np.floating):
        differing = float(np.mean(a != b)) if a.size else 0.0
        return f"{differing:.2%} of the values differ" if differing else None
    if not np.array_equal(np.isfinite(a), np.isfinite(b)):
        return "other values are not finite"
    finite = np.isfinite(a)
    largest = float(np.abs(a[finite]).max(initial=0))
    off_by = float(np.abs(a[finite] - b[finite]).max(initial=0))
    return None if off_by <= TOLERANCE * largest else f"up to {off_by:.3g} apart, the largest being {largest:.3g}"


def _npz(path: Path) -> Arrays:
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def _safetensors(path: Path) -> Arrays:
    from safetensors.numpy import load_file

    return load_file(path)


def _parquet(path: Path) -> Arrays:
    import pandas as pd

    frame = pd.read_parquet(path)
    columns = {str(name): frame[name].to_numpy() for name in frame}
    return {name: column.astype(str) if column.dtype == object else column for name, column in columns.items()}


def _h5(path: Path) -> Arrays:
    import h5py

    found: Arrays = {}

    def take(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            value = np.asarray(item[()])
            found[name] = value.astype("S") if value.dtype == object else value

    with h5py.File(path, "r", locking=False) as file:
        file.visititems(take)
    return found


def _picture(path: Path) -> Arrays:
    from PIL import Image

    with Image.open(path) as picture:
        return {"picture": np.asarray(picture)}


def _text(path: Path) -> Arrays:
    """The numbers of a text, and the words between them; a hash stands for another file, which is compared itself."""
    text = _HASH.sub("hash", path.read_text(encoding="utf-8"))
    numbers = (np.asarray(float(number)) for number in _NUMBER.findall(text))
    # Each number is measured by itself.
    return {"words": np.array(_NUMBER.split(text)), **{f"number {i}": number for i, number in enumerate(numbers)}}


def _json(path: Path) -> Arrays:
    return {key: np.asarray(value) for key, value in _leaves(json.loads(path.read_text(encoding="utf-8")), "")}


def _leaves(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Every leaf under its path; sizes and hashes of other files apart."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name not in ("sha256", "bytes"):
                yield from _leaves(item, f"{key}/{name}")
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _leaves(item, f"{key}/{place}")
    else:
        yield key, str(value) if value is None else value


_READERS: dict[str, Callable[[Path], Arrays]] = {
    ".npz": _npz, ".safetensors": _safetensors, ".parquet": _parquet, ".h5": _h5, ".png": _picture, ".json": _json,
    ".csv": _text, ".svg": _text,
}  # fmt: skip
