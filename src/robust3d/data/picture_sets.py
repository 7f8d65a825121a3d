"""Draws a classification set from a list of pictures: chooses the pictures, splits and labels.

The list has class, id and split (or none) of each picture; the pictures are not opened.
"""

from collections.abc import Sequence
from itertools import chain

import pandas as pd

from robust3d.data.params import SPLITS, PictureSetParams, equal_counts, ordered_labels
from robust3d.data.splits import split_counts
from robust3d.errors import UserError
from robust3d.seeds import numpy_generator

COLUMNS = ("split", "class_index", "class_name", "instance", "view", "texture")
"""As in a set of views: `instance` is the picture's id, `view` is 0 and `texture` empty."""

ANY = "any"  # split of a picture without a split
_SHOWN = 5
Held = dict[str, dict[str, list[str]]]  # ids by split and class


def draw_pictures(
    classes: Sequence[str], rows: pd.DataFrame, params: PictureSetParams, seed: int
) -> tuple[pd.DataFrame, list[str]]:
    """Draw a set. Classes alternate, so the first n rows of a split are themselves a class-balanced set.

    Pictures without a split are divided by `params.ratio`, class by class. If there are only training and validation
    pictures (ImageNet), the validation pictures become the test images. Missing validation images are drawn from the
    training images.

    Args:
        classes: names in the source's order.
        rows: one per picture: `split` ("train", "val", "test" or `ANY`), `class_name`, and `instance` (unique id).
        params: of the set.
        seed: the study's seed.

    Returns:
        One row per image with `COLUMNS`, and flags for every number that depends on the set.

    Raises:
        UserError: too few classes or images, or an unknown class or split.
    """
    labels = ordered_labels(params.label_order, tuple(classes))
    if len(labels) < 2:
        raise UserError(f"a set needs two classes or more, and this one has {len(labels)}: {', '.join(labels)}")
    held, notices = _divided(labels, rows, params, seed)
    table = []
    for position, split in enumerate(SPLITS):
        counts = _counts(held[split], split, labels, params)
        for label, (name, count) in enumerate(zip(labels, counts, strict=True)):
            ids = held[split][name]
            order = numpy_generator(seed, "set", split, name).permutation(len(ids))[:count]
            table += [(position, rank, label, name, ids[i]) for rank, i in enumerate(order)]
        if empty := [name for name in labels if not held[split][name]]:
            if split == "train":
                raise UserError(f"{_first(empty)} without a training image; add some, or choose classes by label_order")
            notices.append(f"{_first(empty)} without an image in {split}")
    table.sort(key=lambda row: row[:3])
    columns = zip(*((SPLITS[position], label, name, key, 0, "") for position, _, label, name, key in table))
    return pd.DataFrame(dict(zip(COLUMNS, columns, strict=True))), notices


def _counts(held: dict[str, list[str]], split: str, labels: Sequence[str], params: PictureSetParams) -> Sequence[int]:
    """Number of images per class in a split."""
    there = [len(held[name]) for name in labels]
    if not any(there):
        raise UserError(f"no image in {split}")
    if params.images is None:
        return there
    return equal_counts(params.images[SPLITS.index(split)], "images", split, len(labels), min(there))  # type: ignore[arg-type]


def _divided(labels: Sequence[str], rows: pd.DataFrame, params: PictureSetParams, seed: int) -> tuple[Held, list[str]]:
    """Sorted ids by split and class; no split is empty."""
    found: Held = {split: {name: [] for name in labels} for split in (*SPLITS, ANY)}
    for split, name, instance in zip(rows["split"], rows["class_name"], rows["instance"], strict=True):
        if split not in found:
            raise UserError(f"{instance}: split {split!r}; there are {', '.join(found)}")
        if name in found[split]:
            found[split][name].append(instance)
    if rows["instance"].duplicated().any():
        raise UserError(f"{rows['instance'][rows['instance'].duplicated()].iloc[0]}: two pictures with this id")
    for name in chain(*found.values()):
        for split in found:
            found[split][name].sort()
    there = [split for split in SPLITS if any(found[split].values())]
    pool = found.pop(ANY)
    if any(pool.values()):
        if there:
            raise UserError(f"some pictures are in a split ({', '.join(there)}) and others in none; put all in one")
        return _by_ratio(pool, SPLITS, params.ratio, seed), []
    if there == ["train"]:
        return _by_ratio(found["train"], SPLITS, params.ratio, seed), []
    notices = []
    if "test" not in there and "val" in there:
        found["test"], found["val"] = found["val"], {name: [] for name in labels}
        notices.append("the validation images of the source are the test images; it has no others")
    if not any(found["val"].values()):
        found |= _by_ratio(found["train"], SPLITS[:2], params.ratio[:2], seed)
    return found, notices


def _by_ratio(pool: dict[str, list[str]], splits: Sequence[str], ratio: Sequence[int], seed: int) -> Held:
    """The ids of every class, divided at random."""
    held: Held = {split: {} for split in splits}
    for name, ids in pool.items():
        if not ids:
            held |= {split: held[split] | {name: []} for split in splits}
            continue
        if len(ids) < len(splits):
            raise UserError(
                f"class {name}: {len(ids)} image(s) cannot fill {len(splits)} splits ({', '.join(splits)}); add some, "
                "or leave the class out by label_order"
            )
        shuffled = [ids[i] for i in numpy_generator(seed, "split", name).permutation(len(ids))]
        for split, count in zip(splits, split_counts(len(ids), ratio), strict=True):
            held[split][name], shuffled = sorted(shuffled[:count]), shuffled[count:]
    return held


def _first(names: Sequence[str]) -> str:
    """Number of classes, and the first names."""
    shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
    return f"{len(names):,} class{'es' * (len(names) > 1)} ({shown})"
