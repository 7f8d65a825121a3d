"""Chooses the classes of a mixture of sets, and reads its images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from robust3d.data.params import SPLITS
from robust3d.errors import UserError
from robust3d.seeds import numpy_generator

if TYPE_CHECKING:
    from robust3d.data.images import ImageData

KINDS = ("views", "textures", "images")  # of files that parts are read from


def object_of(class_name: str) -> str:
    """What a class shows: its name up to the first `-`."""
    return class_name.partition("-")[0]


def chosen_classes(
    classes: Mapping[str, Sequence[str]], counts: Sequence[int] | None, seed: int
) -> dict[str, list[str]]:
    """Classes of each part, drawn at random; no two parts show one object.

    Parts with few objects choose first, so that others can make way.

    Args:
        classes: of each part.
        counts: of classes to choose, in the order of the parts; None: equal shares of the smallest part's number.
        seed: the study's seed.

    Raises:
        UserError: a part has not as many, or not as many are left.
    """
    share = min(map(len, classes.values())) // len(classes)
    wanted = dict(zip(classes, counts or [share] * len(classes), strict=True))
    taken: dict[str, str] = {}
    found = {}
    for part in sorted(classes, key=lambda name: (len({object_of(one) for one in classes[name]}), name)):
        names = sorted(classes[part])
        order = [names[k] for k in numpy_generator(seed, "mixture", part).permutation(len(names))]
        free = [name for name in order if taken.get(object_of(name), part) == part]
        if len(free) < wanted[part] or not wanted[part]:
            others = len(order) - len(free)
            left = f"; {others} more show objects of {', '.join(sorted(set(taken.values())))}" if others else ""
            raise UserError(
                f"classes: {wanted[part]} of {part} are asked for, which has {len(free)}{left}; ask for fewer, or make "
                "that set larger"
            )
        found[part] = sorted(free[: wanted[part]])
        taken |= {object_of(name): part for name in found[part]}
    return {part: found[part] for part in classes}


def mixed(tables: Mapping[str, pd.DataFrame], counts: Sequence[int] | None, seed: int) -> pd.DataFrame:
    """The table of a mixture: as many images of every class in a split, classes in turn.

    Args:
        tables: of the parts.
        counts: of classes, see `chosen_classes`.
        seed: the study's seed.

    Returns:
        Columns split, class_index, class_name, instance, view, texture, `part` (name) and `row` (in the part's table).
    """
    names = {part: sorted(set(table["class_name"])) for part, table in tables.items()}
    kept = []
    for part, classes in chosen_classes(names, counts, seed).items():
        table = tables[part].assign(part=part, row=np.arange(len(tables[part])))
        kept.append(table[table["class_name"].isin(classes)])
    columns = ["split", "class_name", "instance", "view", "texture", "part", "row"]
    found = pd.concat([table[columns] for table in kept], ignore_index=True)
    found["class_name"] = found["part"] + "-" + found["class_name"]
    found["class_index"] = found["class_name"].map({name: k for k, name in enumerate(found["class_name"].unique())})
    found["rank"] = found.groupby(["split", "class_name"]).cumcount()
    smallest = found.groupby(["split", "class_name"]).size().groupby("split").min()
    found = found[found["rank"] < found["split"].map(smallest)]
    found["position"] = found["split"].map({split: k for k, split in enumerate(SPLITS)})
    found = found.sort_values(["position", "rank", "class_index"], kind="stable").reset_index(drop=True)
    return found[["split", "class_index", *columns[1:]]]


def open_mixture(params: Mapping[str, Any], files: Mapping[str, Sequence[Path]], rows: pd.DataFrame) -> "ImageData":
    """The images of rows of a mixture, not read yet.

    Raises:
        UserError: parts of different resolution, or pictures that are left out of a part.
    """
    import torch

    from robust3d import registry
    from robust3d.data.images import ImageData
    from robust3d.data.sets import read_set

    places = np.zeros(len(rows), np.int64)  # of a row in its part
    parts: dict[str, ImageData] = {}
    held = {kind: list(files.get(kind, ())) for kind in KINDS}
    for entry, path in zip(params["parts"], files["set"][1:], strict=True):
        part = entry["name"]
        its_files = {kind: [held[kind].pop(0) for _ in range(entry["files"][kind])] for kind in KINDS}
        mine = np.flatnonzero(rows["part"] == part)
        if not len(mine):
            continue
        places[mine] = np.arange(len(mine))
        here, module = rows["row"].to_numpy()[mine], registry.load("set", entry["params"]["kind"])
        parts[part] = module.open_images(entry["params"], its_files, read_set(path), here)
        if len(parts[part]) != len(mine):
            raise UserError(f"{part}: pictures of it cannot be read and are left out; repair them for a mixture")
    sides = {part: data.resolution_px for part, data in parts.items()}
    if len(set(sides.values())) > 1:
        shown = ", ".join(f"{part} {side} px" for part, side in sides.items())
        raise UserError(f"parts: of different resolution ({shown}); give all the same")
    owners = rows["part"].to_numpy()
    side = next(iter(sides.values()))

    def read(index: np.ndarray) -> torch.Tensor:
        images = torch.empty(len(index), 3, side, side, dtype=torch.uint8)
        for part, data in parts.items():
            mine = np.flatnonzero(owners[index] == part)
            if len(mine) and data.read is not None:
                images[mine] = data.read(places[index[mine]])
        return images

    notices = tuple(f"{part}: {notice}" for part, data in parts.items() for notice in data.notices)
    labels = torch.tensor(rows["class_index"].to_numpy("int64"))
    return ImageData(labels=labels, read=read, resolution_px=side, rows=rows, notices=notices)
