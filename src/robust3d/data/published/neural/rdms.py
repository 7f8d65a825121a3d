"""Matrices of dissimilarities from a file: MATLAB's (version 5), NumPy's, or text."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from robust3d.brain.rsa import pairs
from robust3d.data.published.files import MIB, read_npz, reading, regular_file
from robust3d.data.published.text import read_lines
from robust3d.errors import UserError

LARGEST = 512 * MIB
Array = npt.NDArray[np.float64]


def read_rdms(path: Path) -> dict[str, Array]:
    """All matrices of a file as pairs (n (n - 1) / 2,), by name.

    In a `.mat` file they are structures with a field `RDM`, and a field `name` or else their place, as in the toolbox
    of Kriegeskorte's group; in `.npz` arrays (n, n); a `.npy`, `.csv` or `.txt` file has one matrix, named like it.

    Raises:
        UserError: unreadable, of another kind, without a matrix, or with one that is no RDM.
    """
    ending = path.suffix.lower()
    kinds = {".mat": _from_mat, ".npz": read_npz, ".npy": _from_npy, ".csv": _from_text, ".txt": _from_text}
    if ending not in kinds:
        raise UserError(f"{path}: RDMs are read from {', '.join(kinds)}; save them as one of these")
    regular_file(path, LARGEST, "a file of RDMs")
    with reading(path, f"not a readable {ending} file of RDMs", "save it again; MATLAB's with -v6 or -v7"):
        found = kinds[ending](path)  # type: ignore[operator]
    if not found:
        raise UserError(f"{path}: no RDM in it; structures with a field RDM are needed")
    vectors = {name: pairs(values, f"{path}, {name}") for name, values in found.items()}
    if len({len(values) for values in vectors.values()}) > 1:
        raise UserError(f"{path}: its RDMs are of different numbers of images; split the file")
    return vectors


def _from_mat(path: Path) -> dict[str, Any]:
    from scipy.io import loadmat

    found: dict[str, Any] = {}
    for variable, values in loadmat(path).items():
        if not (isinstance(values, np.ndarray) and values.dtype.names and "RDM" in values.dtype.names):
            continue
        for place, entry in enumerate(values.ravel()):
            name = str(np.squeeze(entry["name"])) if "name" in values.dtype.names else f"{variable}[{place}]"
            if name in found:
                raise UserError(f"{path}: two RDMs are called {name!r}; give each its own name")
            found[name] = entry["RDM"]
    return found


def _from_npy(path: Path) -> dict[str, Any]:
    return {path.stem: np.load(path, allow_pickle=False)}


def _from_text(path: Path) -> dict[str, Any]:
    lines = read_lines(path, LARGEST)
    between = next((mark for mark in (";", ",") if lines and mark in lines[0]), None)
    return {path.stem: np.loadtxt(lines, delimiter=between, ndmin=2)}
