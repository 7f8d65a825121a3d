"""Names, blocks and splits of the objects of an inventory, and what all families from disk have in common."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from robust3d.data.params import SPLITS, SplitParams
from robust3d.data.published.inventory import Entry, Inventory
from robust3d.data.published.text import read_text
from robust3d.data.splits import split_instances
from robust3d.seeds import numpy_generator, seed_of

VALIDATION_SHARE = 0.1  # of a published training part that comes without a validation part


def only(params: Any, class_name: str) -> Any:
    """The parameters of a published data set that one class depends on."""
    return params.model_copy(update={"classes": (class_name,)})


def extent(params: Any) -> float:
    """Side of the origin-centred cube that holds every object, in world units: readers scale into it."""
    return 1.0


def read_inventory(path: Path) -> Inventory:
    """Read what the inventory job wrote."""
    return Inventory.from_json(read_text(path, limit_bytes=1 << 30), str(path))


def name_of(class_name: str, key: str) -> str:
    """An object's name: one and the same id may stand in several published classes, on different sides of a split."""
    return f"{class_name}.{key}"


def members(inventory: Inventory, class_name: str, block: int, blocks: int) -> dict[str, Entry]:
    """The objects of one block of a class, sorted by name: a hash decides, so a new object moves no other."""
    named = {name_of(class_name, key): entry for key, entry in sorted(inventory.classes[class_name].items())}
    return {name: entry for name, entry in named.items() if seed_of("block", name) % blocks == block}


def split_groups(inventory: Inventory, params: SplitParams, seed: int, there: Collection[str]) -> dict[str, set[str]]:
    """Names of those objects that are `there`, by split: each class divided by the ratio, twins into one part.

    Raises:
        UserError: a class has too few objects, or groups of twins, for the parts.
    """
    names: dict[str, set[str]] = {split: set() for split in SPLITS}
    for label, entries in inventory.classes.items():
        groups = {name_of(label, key): entry.group or f"alone {key}" for key, entry in entries.items()}
        held = [name for name in groups if name in there]
        for split, part in split_instances(held, params, seed, groups.__getitem__, of=label).items():
            names[split].update(part)
    return names


def published_splits(inventory: Inventory, seed: int, there: Collection[str]) -> dict[str, set[str]]:
    """Names of those objects that are `there`, by split.

    A validation part that is not published is drawn from the training part of each class.
    """
    names: dict[str, set[str]] = {split: set() for split in SPLITS}
    for label, parts in inventory.splits.items():
        for split in SPLITS:
            names[split] |= {name for key in parts[split] if (name := name_of(label, key)) in there}
        if not parts["val"]:
            train = sorted(name for key in parts["train"] if (name := name_of(label, key)) in there)
            order = numpy_generator(seed, "published validation", label).permutation(len(train))
            drawn = {train[place] for place in order[: max(1, round(VALIDATION_SHARE * len(train)))]}
            names["train"] -= drawn
            names["val"] |= drawn
    return names
