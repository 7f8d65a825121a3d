"""Divisions of images into those that a regression is fitted on and those that it is tested on."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from robust3d.errors import UserError
from robust3d.seeds import numpy_generator

Index = npt.NDArray[np.int64]
Protocol = Literal["ten_fold", "brainscore"]


class Split(NamedTuple):
    """Places of images, in rising order."""

    fit: Index
    test: Index


def folds(images: int, count: int, seed: int) -> list[Split]:
    """Cross-validation (Flatland 3.4: tenfold): each image is tested once, the sizes differ by at most one.

    Raises:
        UserError: more folds than images.
    """
    if not 2 <= count <= images:
        raise UserError(f"folds: {count} of {images} images; take between 2 folds and one for each image")
    order = numpy_generator(seed, "folds").permutation(images)
    parts = [np.sort(part) for part in np.array_split(order, count)]
    return [Split(np.sort(np.concatenate(parts[:i] + parts[i + 1 :])), part) for i, part in enumerate(parts)]


def shuffled(groups: Sequence[str], count: int, share: float, seed: int) -> list[Split]:
    """Brain-Score's splits: `count` times a random `share` to fit on, with the groups in equal shares in both parts.

    Brain-Score stratifies by `object_name`, with ten splits and a share of 0.9 (scikit-learn's
    `StratifiedShuffleSplit`; its draws are others than ours).

    Args:
        groups: of each image.
        count: of splits; an image may be tested in several of them, or in none.
        share: to fit on.
        seed: of the draws.

    Raises:
        UserError: a group is too small to be in both parts.
    """
    names = np.asarray(groups)
    places = [np.flatnonzero(names == name) for name in sorted(set(groups))]
    if small := [name for name, part in zip(sorted(set(groups)), places, strict=True) if len(part) < 2]:
        raise UserError(f"group {small[0]!r} has one image, which cannot be in both parts of a split; use `ten_fold`")
    found = []
    for number in range(count):
        generator = numpy_generator(seed, "shuffled", number)
        test = []
        for part in places:
            tested = min(max(round(len(part) * (1 - share)), 1), len(part) - 1)
            test.append(generator.permutation(part)[:tested])
        tested_places = np.sort(np.concatenate(test))
        found.append(Split(np.setdiff1d(np.arange(len(names)), tested_places), tested_places))
    return found


def splits_of(protocol: Protocol, groups: Sequence[str], seed: int, count: int = 10) -> list[Split]:
    """The splits of a protocol, by its name; `count` is the number of folds."""
    return folds(len(groups), count, seed) if protocol == "ten_fold" else shuffled(groups, 10, 0.9, seed)
