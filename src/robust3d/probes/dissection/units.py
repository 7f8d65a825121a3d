"""What units detect: their best concepts, how many are detectors, and how diverse they are (Bau et al. 2017)."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from robust3d.data.published.text import read_text
from robust3d.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

    from robust3d.data.images import ImageData

DETECTS = 0.04  # a unit with a larger IoU is a detector of its concept
RESPONDS = 0.01  # a concept of this IoU or more counts for the diversity of a unit (Shape bias section 3.3.2)
LEAST_IMAGES = 5  # that a unit could be on all over: with fewer, its IoU tells which images these are
COLUMNS = ("unit", "category", "label", "score")
_LARGEST = 64 << 20


class Detectors(NamedTuple):
    """Units above the IoU of a detector.

    Attributes:
        units: how many.
        concepts: how many different ones they detect.
        by_category: units of each category.
    """

    units: int
    concepts: int
    by_category: dict[str, int]


def best_concepts(iou: npt.NDArray[np.float64], names: Sequence[str], categories: Sequence[str]) -> pd.DataFrame:
    """The concept of each unit with the largest IoU, as `COLUMNS`; of equal ones the first, none at an IoU of 0.

    Args:
        iou: (units, concepts).
        names: of the concepts.
        categories: of the concepts.
    """
    best, scores = iou.argmax(1).tolist(), iou.max(1)
    of_best = [
        [words[place] if score > 0 else None for place, score in zip(best, scores, strict=True)]
        for words in (categories, names)
    ]
    return pd.DataFrame(dict(zip(COLUMNS, [range(len(iou)), *of_best, scores], strict=True)))


def why_void(share: float, images: int) -> str | None:
    """Why units that are on at a share of all positions say nothing about concepts; None: they do.

    What a unit is on at are images rather than positions: maps of few positions, and those behind a max-pool, are on
    all over an image or not at all, and positions of one image are alike.
    """
    whole = round(share * images, 9)
    if whole >= LEAST_IMAGES:
        return None
    return (
        f"void: {share:g} of the positions of {images} images is {whole:g} whole images, fewer than {LEAST_IMAGES}; a "
        "unit's best concept is what these few happen to show"
    )


def detectors(units: pd.DataFrame, above: float = DETECTS) -> Detectors:
    """The detectors among units with `COLUMNS`: those whose score is above a bound."""
    found = units[units["score"] > above]
    counts = {str(name): int(count) for name, count in found["category"].value_counts().sort_index().items()}
    return Detectors(len(found), found[["category", "label"]].drop_duplicates().shape[0], counts)


def diversity(iou: npt.NDArray[np.float64], at_least: float = RESPONDS) -> npt.NDArray[np.int64]:
    """How many concepts each unit responds to, of an IoU (units, concepts)."""
    return np.asarray((iou >= at_least).sum(1), np.int64)


def read_units(path: Path) -> pd.DataFrame:
    """The units of a file that NetDissect wrote (`…-result.csv`), with `COLUMNS` and whatever else it holds.

    Raises:
        UserError: missing, no such table, or a score that is none.
    """
    import csv
    import io

    rows = list(csv.DictReader(io.StringIO(read_text(path, _LARGEST)), restval="", strict=True))
    absent = [column for column in COLUMNS if not rows or column not in rows[0]]
    if absent:
        raise UserError(f"{path}: no column {absent[0]!r}; NetDissect's tables of units have {', '.join(COLUMNS)}")
    table = pd.DataFrame(rows)
    for column in ("unit", "score"):
        numbers = pd.to_numeric(table[column], errors="coerce")
        if (bad := ~np.isfinite(numbers.to_numpy(float))).any():
            line = int(np.flatnonzero(bad)[0])
            raise UserError(f"{path}, line {line + 2}: {column} is {table[column][line]!r}, not a number")
        table[column] = numbers
    if (outside := ~table["score"].between(0, 1)).any():
        line = int(np.flatnonzero(outside)[0])
        raise UserError(f"{path}, line {line + 2}: score is {table['score'][line]}; an IoU is between 0 and 1")
    if table["unit"].duplicated().any():
        raise UserError(f"{path}: unit {table['unit'][table['unit'].duplicated()].iloc[0]} has two rows")
    return table


def draw_top_images(
    images: "ImageData", outcomes: pd.DataFrame, layer: dict[str, Any], name: str, units: Sequence[int]
) -> "Image":
    """The images that some units of a layer are most active on, a row each, with the concept that it is labelled with.

    Args:
        images: of the probe.
        outcomes: of the probe.
        layer: its metrics, `metrics["layers"][name]`.
        name: of the layer.
        units: which ones.

    Raises:
        UserError: a unit that the layer does not have.
    """
    from robust3d.data.pictures import sheet

    rows, words = [], []
    for unit in units:
        mine = outcomes[(outcomes["layer"] == name) & (outcomes["unit"] == unit)].sort_values("rank")
        if not len(mine):
            raise UserError(f"{name}: no unit {unit}; there are 0 to {len(layer['label']) - 1}")
        rows.append(list(images.batch(mine["image"].tolist()).permute(0, 2, 3, 1).cpu().numpy()))
        words.append(f"{name}, {unit}\n{layer['label'][unit] or 'no concept'}\nIoU {layer['score'][unit]:.3f}")
    return sheet(rows, row_labels=words)
