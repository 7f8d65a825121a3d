"""Classes of real objects: a text file for each, which a person can read and correct.

A line names one object: its catalogue, id, name and creator, and the group of its twins, separated by ``|``. Twins are
objects of one shape, or almost, such as a lamp in two colours; a group goes to one side of a split. An object without a
group is alone. Lines that begin with # are comments.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from robust3d.data.published.inventory import check_id
from robust3d.data.published.text import read_text
from robust3d.errors import UserError

FOLDER = Path(__file__).parent / "classes"


class Listed(NamedTuple):
    """An object of a class."""

    catalogue: str  # file name without its suffix
    key: str  # id in the catalogue
    name: str  # as the catalogue says, in English
    creator: str
    group: str  # of twins; empty: none


def known_classes() -> tuple[str, ...]:
    """Names of the classes that have a list here."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.txt")))


def read_lists(classes: Collection[str], own: Mapping[str, str]) -> dict[str, list[Listed]]:
    """The objects of classes.

    Args:
        classes: their names.
        own: the user's lists by class, in place of ours.

    Raises:
        UserError: a list is missing or malformed, or an object stands in two.
    """
    found: dict[str, list[Listed]] = {}
    places: dict[str, str] = {}
    for name in classes:
        path = Path(own[name]) if name in own else FOLDER / f"{name}.txt"
        if name not in own and name not in known_classes():
            raise UserError(
                f"classes: there is no list for {name!r}; there are {', '.join(known_classes())}; name a file of "
                f"your own under lists: {{{name}: …}}"
            )
        found[name] = read_list(path)
        for listed in found[name]:
            if listed.key in places:
                raise UserError(f"{path}: {listed.key} stands in {places[listed.key]} too; leave it in one class")
            places[listed.key] = str(path)
    return found


def read_list(path: Path) -> list[Listed]:
    """The objects of one list.

    Raises:
        UserError: missing, malformed, empty, or an object stands there twice.
    """
    found: dict[str, Listed] = {}
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        fields = [field.strip() for field in line.split("|")]
        if len(fields) != 5 or not all(fields[:3]):
            raise UserError(
                f"{path}: line {number}: expected catalogue | id | name | creator | twins, got {line!r:.120}"
            )
        listed = Listed(*fields)
        check_id(listed.key, path)
        check_id(listed.catalogue, path)
        if listed.key in found:
            raise UserError(f"{path}: line {number}: {listed.key} stands there twice")
        found[listed.key] = listed
    if not found:
        raise UserError(f"{path}: names no object")
    return list(found.values())
