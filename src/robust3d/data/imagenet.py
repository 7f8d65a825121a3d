"""ImageNet's 1,000 classes (ILSVRC 2012): their order and names, from the lists that timm ships."""

import functools
import re
import unicodedata
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import metadata
from pathlib import Path

from robust3d.errors import UserError

CLASSES = 1000
_SHOWN = 3


@functools.cache
def synsets() -> tuple[str, ...]:
    """WordNet's ids, such as n01440764, in the order of a classifier's outputs."""
    return tuple(_lines("imagenet_synsets.txt"))


@functools.cache
def names() -> tuple[str, ...]:
    """The classes' names in the same order, synonyms separated by commas: "tench, Tinca tinca"."""
    found = dict(line.split("\t", 1) for line in _lines("imagenet_synset_to_lemma.txt"))
    return tuple(found[synset] for synset in synsets())


def class_index(text: str) -> int:
    """The class, 0 to 999, that a synset id, an index or a name means; `_` and `-` are spaces there.

    Raises:
        UserError: it means none, or several: "crane" is a bird and a machine.
    """
    word = _plain(text)
    if re.fullmatch(r"[0-9]{1,4}", word) and int(word) < CLASSES:
        return int(word)
    found = _by_name().get(word, ())
    if len(found) == 1:
        return found[0]
    if found:
        several = ", ".join(f"{synsets()[index]} ({names()[index]})" for index in found)
        raise UserError(f"{text!r} is the name of several classes of ImageNet; take an id: {several}")
    near = get_close_matches(word, _by_name(), _SHOWN)
    hint = f"; is it {' or '.join(map(repr, near))}?" if near else ""
    raise UserError(f"{text!r} is no class of ImageNet, neither a synset id, an index from 0 to 999 nor a name{hint}")


def class_indices(texts: Sequence[str]) -> list[int]:
    """`class_index` of several.

    Raises:
        UserError: as there, for the first that is none.
    """
    return [class_index(text) for text in texts]


@functools.cache
def _by_name() -> dict[str, tuple[int, ...]]:
    """The classes that each id, name and synonym may mean."""
    found: dict[str, tuple[int, ...]] = {}
    for index, (synset, name) in enumerate(zip(synsets(), names(), strict=True)):
        for word in {_plain(word) for word in (synset, name, *name.split(","))}:
            found[word] = (*found.get(word, ()), index)
    return found


def _plain(text: str) -> str:
    return re.sub(r"[_\s]+|(?<=\w)-(?=\w)", " ", unicodedata.normalize("NFC", text)).strip().casefold()


def _lines(name: str) -> list[str]:
    try:
        path = Path(str(metadata.distribution("timm").locate_file(f"timm/data/_info/{name}")))
        return path.read_text(encoding="utf-8").splitlines()
    except (metadata.PackageNotFoundError, OSError):
        raise UserError("ImageNet's class names come from the package timm, which is not installed") from None
