"""Brain-Score's assemblies (netCDF 4, which is HDF5), such as that of Majaj and Hong 2015.

The variable has the dimensions neuroid, presentation and, mostly, time_bin, in any order; further variables of one
dimension label them. Values that are missing, or packed as whole numbers, are so by the conventions of netCDF.
"""

from pathlib import Path
from typing import Any

import numpy as np

from robust3d.brain.assembly import Assembly, assembled
from robust3d.data.published.files import reading, regular_file
from robust3d.errors import UserError

LARGEST = 64 << 30
DIMENSIONS = ("presentation", "neuroid", "time_bin")
# netCDF's own fill values by kind and bytes of the numbers, which stand where nothing was written; bytes have none.
FILLS = {"f4": 9.969209968386869e36, "f8": 9.969209968386869e36, "i2": -32767, "i4": -2147483647, "i8": 2 - 2**63,
         "u2": 65535, "u4": 4294967295, "u8": 2**64 - 2}  # fmt: skip
STIMULUS = ("stimulus_id", "image_id")  # today's name and the earlier one


def read_assembly(path: Path, region: str | None = None, variation: int | None = None) -> Assembly:
    """Responses of one assembly.

    Args:
        path: of the `.nc` file.
        region: only its sites, such as IT; None: all.
        variation: only images of this level of variation (0, 3 or 6 in Majaj and Hong's; the 2,560 images of Flatland
            section 4.3 are 3); None: all.

    Raises:
        UserError: missing, damaged, or not such an assembly; no site or image of what is asked for.
    """
    import h5py

    regular_file(path, LARGEST, "an assembly")
    damaged = "not a readable assembly of Brain-Score, which is netCDF 4"
    with reading(path, damaged, "download it again"), h5py.File(path, "r", locking=False) as file:
        main, order = _responses(path, file)
        sizes = [main.shape[order.index(name)] if name in order else 1 for name in DIMENSIONS]
        if sizes[2] != 1:
            raise UserError(f"{path}: {sizes[2]} time bins; average them, or select one, before it is read")
        labels = {name: _labels(file, name, DIMENSIONS) for name in file if name != main.name.strip("/")}
        stimulus = _first(path, labels, STIMULUS, "presentation", sizes[0])
        object_name = _first(path, labels, ("object_name", *STIMULUS), "presentation", sizes[0])
        sites = _first(path, labels, ("neuroid_id",), "neuroid", sizes[1])
        regions = _first(path, labels, ("region",), "neuroid", sizes[1])
        animals = _first(path, labels, ("animal", "subject"), "neuroid", sizes[1], "unknown")
        axes = [order.index(name) for name in DIMENSIONS if name in order]
        trials = np.moveaxis(_unpacked(main), axes, range(len(order)))
        trials = trials.reshape(sizes[0], sizes[1])
        rows = np.ones(sizes[0], bool)
        if variation is not None:
            levels = _first(path, labels, ("variation",), "presentation", sizes[0])
            rows = np.array([str(level).lstrip("Vv").split(".")[0] == str(variation) for level in levels])
            if not rows.any():
                there = ", ".join(sorted(set(levels)))
                raise UserError(f"{path}: no image of variation {variation}; there are {there}")
        columns = np.array([region in (None, name) for name in regions])
        if not columns.any():
            raise UserError(f"{path}: no site in region {region!r}; there are {', '.join(sorted(set(regions)))}")
    kept, chosen = np.flatnonzero(rows).tolist(), np.flatnonzero(columns).tolist()
    return assembled(
        str(path),
        trials[rows][:, columns],
        [stimulus[place] for place in kept],
        [object_name[place] for place in kept],
        *([names[place] for place in chosen] for names in (sites, regions, animals)),
    )


def _responses(path: Path, file: Any) -> tuple[Any, list[str]]:
    """The variable with the responses, and its dimensions.

    Raises:
        UserError: none has the dimensions, or several.
    """
    orders = {name: _dimensions(variable) for name, variable in file.items()}
    found = [name for name, order in orders.items() if {"presentation", "neuroid"} <= set(order) <= set(DIMENSIONS)]
    if len(found) > 1:
        raise UserError(f"{path}: {', '.join(found)} may all be the responses; save a file with one of them")
    if not found:
        there = ", ".join(file) or "nothing"
        raise UserError(f"{path}: no variable over the dimensions presentation and neuroid in it; it holds {there}")
    return file[found[0]], orders[found[0]]


def _unpacked(variable: Any) -> np.ndarray:
    """Values as netCDF's conventions have them: fill values are NaN, packed ones scaled and shifted."""
    stored, told = variable[()], variable.attrs
    missing = [np.ravel(told[name]) for name in ("_FillValue", "missing_value") if name in told]
    if (fill := FILLS.get(stored.dtype.str[1:])) is not None:
        missing.append(np.array([fill], stored.dtype))
    values = stored.astype(np.promote_types(stored.dtype, np.float32))
    for one in missing:
        values[np.isin(stored, one)] = np.nan
    if "scale_factor" in told or "add_offset" in told:
        scale, shift = np.ravel(told.get("scale_factor", 1))[0], np.ravel(told.get("add_offset", 0))[0]
        values = values.astype(np.float64) * scale + shift
    return values


def _dimensions(variable: Any) -> list[str]:
    """Names of a variable's dimensions: netCDF 4 attaches them as HDF5's scales."""
    import h5py

    if not isinstance(variable, h5py.Dataset):
        return []
    if variable.ndim == 1 and not len(variable.dims[0]):
        return [variable.name.strip("/")]  # a dimension's own variable
    return [scale[0].name.strip("/") if len(scale) else "" for scale in variable.dims]


def _labels(file: Any, name: str, dimensions: tuple[str, ...]) -> tuple[str, list[str]] | None:
    """A label's dimension and its values as text."""
    variable = file[name]
    order = _dimensions(variable)
    if len(order) != 1 or order[0] not in dimensions:
        return None
    values = variable.asstr()[()] if variable.dtype.kind == "O" else variable[()]
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8")
    return order[0], [str(value) for value in values.tolist()]


def _first(
    path: Path, labels: dict[str, Any], names: tuple[str, ...], dimension: str, size: int, default: str | None = None
) -> list[str]:
    """The first label of some names that is there."""
    for name in names:
        if (found := labels.get(name)) and found[0] == dimension:
            return list(found[1])
    if default is not None:
        return [default] * size
    there = ", ".join(name for name, label in labels.items() if label and label[0] == dimension)
    raise UserError(f"{path}: no label {' or '.join(names)} of the {dimension}s; there are {there or 'none'}")
