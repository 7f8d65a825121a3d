"""Divides instance ids into train, validation and test, with the same ids for every class (paper §3)."""

from collections.abc import Callable, Sequence

import numpy as np

from robust3d.data.params import SPLITS, SplitParams
from robust3d.errors import UserError
from robust3d.seeds import numpy_generator

_TRIES = 64  # random orders of the groups that are tried for counts close to the ratio


def split_counts(items: int, ratio: Sequence[int]) -> tuple[int, ...]:
    """Sizes of the parts: largest remainder, then one item from the largest part to each empty one.

    Args:
        items: number of things to divide, at least one per part.
        ratio: positive weights.

    Returns:
        One positive count per weight, summing to `items`; 1331 by 8:1:1 gives 1065, 133, 133.

    Raises:
        UserError: fewer items than parts.
    """
    if items < len(ratio):
        raise UserError(
            f"split.ratio: {items} item(s) cannot fill {len(ratio)} parts "
            f"({':'.join(map(str, ratio))}) and leave none empty; use more instances per class"
        )
    total = sum(ratio)
    counts = [items * weight // total for weight in ratio]
    by_remainder = sorted(range(len(ratio)), key=lambda part: -(items * ratio[part] % total))
    for part in by_remainder[: items - sum(counts)]:
        counts[part] += 1
    for part in range(len(counts)):
        if counts[part] == 0:
            counts[counts.index(max(counts))] -= 1
            counts[part] = 1
    return tuple(counts)


def split_instances(
    ids: Sequence[str], params: SplitParams, seed: int, orbit: Callable[[str], str] | None = None, of: str = ""
) -> dict[str, tuple[str, ...]]:
    """Divide instance ids; the result depends on the set of ids, not on their order.

    Args:
        ids: distinct instance ids, shared by all classes.
        params: ratio and mode. `random` is the paper's; `orbit` keeps ids with one `orbit` key together, so
            that near-duplicates are always in one part, with counts as close to the ratio as the groups allow.
        seed: the study's seed.
        orbit: key of an id's near-duplicate group; needed for mode `orbit`.
        of: name of the class whose ids these are; empty: of all.

    Returns:
        ``{"train": ids, "val": ids, "test": ids}``, disjoint, none empty, each sorted.

    Raises:
        UserError: a part would be empty.
    """
    if len(set(ids)) != len(ids):
        raise ValueError("instance ids must be unique")
    if params.mode == "orbit" and orbit is None:
        raise ValueError("mode orbit needs the family's orbit function")
    counts = split_counts(len(ids), params.ratio)
    rng = numpy_generator(seed, "split", params.mode, *filter(None, [of]))
    if params.mode == "random":
        shuffled = [sorted(ids)[i] for i in rng.permutation(len(ids))]
        ends = np.cumsum(counts)
        parts = [shuffled[end - count : end] for count, end in zip(counts, ends, strict=True)]
    else:
        groups: dict[str, list[str]] = {}
        for name in sorted(ids):
            groups.setdefault(orbit(name), []).append(name)  # type: ignore[misc]
        parts = _divide_groups([groups[key] for key in sorted(groups)], counts, rng, of)
    return {name: tuple(sorted(part)) for name, part in zip(SPLITS, parts, strict=True)}


def _divide_groups(
    groups: list[list[str]], counts: tuple[int, ...], rng: np.random.Generator, of: str
) -> list[list[str]]:
    """The division of whole groups with counts closest to the wanted ones, among `_TRIES` random divisions."""
    if len(groups) < len(counts):
        where, remedy = (f" of class {of}", "objects") if of else ("", "instances per class, or mode random")
        raise UserError(
            f"split.mode: orbit finds {len(groups)} group(s) of near-duplicates{where} for {len(counts)} parts and "
            f"would leave one empty; use more {remedy}"
        )
    tries = (_deal(groups, counts, rng) for _ in range(_TRIES))
    return min(tries, key=lambda parts: sum(abs(len(part) - n) for part, n in zip(parts, counts, strict=True)))


def _deal(groups: list[list[str]], counts: tuple[int, ...], rng: np.random.Generator) -> list[list[str]]:
    """Deal groups in random order to parts with room for them, chosen with a probability proportional to the room."""
    parts: list[list[str]] = [[] for _ in counts]
    for dealt, i in enumerate(rng.permutation(len(groups))):
        room = np.array([count - len(part) for count, part in zip(counts, parts, strict=True)], float)
        empty = np.array([not part for part in parts])
        if len(groups) - dealt == empty.sum():  # the last groups go to parts that are still empty
            part = int(np.argmax(np.where(empty, room, -np.inf)))
        elif (room >= len(groups[i])).any():
            chance = np.where(room >= len(groups[i]), room, 0)
            part = int(rng.choice(len(parts), p=chance / chance.sum()))
        else:
            part = int(np.argmax(room))
        parts[part] += groups[i]
    return parts
