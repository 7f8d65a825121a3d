"""Writes an image set of any kind as pictures in folders, which torchvision's `ImageFolder` and others read."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
from PIL import Image

from robust3d.data.images import open_set
from robust3d.data.params import SplitName
from robust3d.data.published.archives import new_folder
from robust3d.data.sets import read_noticed_set
from robust3d.progress import ProgressLine

_BATCH = 256
RECORD = "set.json"  # what the pictures are


def export_images(params: Mapping[str, Any], inputs: Mapping[str, Sequence[Path]], folder: Path) -> int:
    """Write `<split>/<class>/<number>-<id>.png` and `set.json`; returns the number of pictures.

    The number is the row of the set's table, so that the pictures of a class have the order of the set.

    Args:
        params: of the set.
        inputs: its files, as of a job that opens it.
        folder: new or empty.

    Raises:
        UserError: the folder is not empty, or a file of the set is missing or damaged.
    """
    table, notices = read_noticed_set(inputs["set"][0])
    there = [split for split in get_args(SplitName) if (table["split"] == split).any()]
    written = 0
    line = ProgressLine(f"write {folder}", total=int(table["split"].isin(there).sum()), unit="pictures")
    with new_folder(folder) as hidden:
        for split in there:
            data = open_set(params, inputs, split, resident_bytes=0)
            notices = list(dict.fromkeys([*notices, *data.notices]))
            names = data.rows["class_name"].tolist()
            for name in set(names):
                (hidden / split / _safe(name)).mkdir(parents=True)
            ids = data.ids
            for first in range(0, len(data), _BATCH):
                here = range(first, min(first + _BATCH, len(data)))
                for place, image in zip(here, data.batch(list(here)).permute(0, 2, 3, 1).numpy(), strict=True):
                    file = f"{place:07d}-{_safe(ids[place].partition('/')[2] or ids[place])}.png"
                    Image.fromarray(np.ascontiguousarray(image)).save(hidden / split / _safe(names[place]) / file)
                    written += 1
                if line.due():
                    line.show(written)
        record = {"set": params, "classes": list(data.classes), "notices": notices}
        (hidden / RECORD).write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return written


def _safe(name: str) -> str:
    """A name as one part of a path, on any system."""
    return "".join(sign if sign.isalnum() or sign in "._-" else "_" for sign in name).strip(".") or "_"
