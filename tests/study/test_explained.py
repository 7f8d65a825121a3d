"""Every key of the shipped configuration has a comment: on its line or directly above it, where it first stands."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from robust3d.study.reading import SECTIONS
from robust3d.study.targets import paper_files

ROOT = Path(__file__).parents[2]


def keys(node: yaml.Node, path: tuple[str, ...] = ()) -> Iterator[tuple[str, int]]:
    """(key, line) of every key; the names of entries, which users choose, are `*`."""
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        is_entry = (len(path) == 1 and path[0] in SECTIONS and path[0] != "papers") or path[-1:] == ("left_out",)
        place = (*path, "*" if is_entry else key.value)
        yield ".".join(place), key.start_mark.line
        yield from keys(value, place)


def unexplained(text: str) -> list[str]:
    lines = text.splitlines()
    explained: dict[str, bool] = {}
    for key, line in keys(yaml.compose(text)):
        here = "#" in lines[line] or (line > 0 and lines[line - 1].strip().startswith("#"))
        explained[key] = explained.get(key, False) or here or key.endswith(".*")
    return [key for key, found in explained.items() if not found]


@pytest.mark.parametrize("path", [ROOT / "config.yaml", *paper_files().values()], ids=str)
def test_every_key_is_explained(path):
    assert unexplained(path.read_text()) == []


def test_a_key_without_a_comment_is_found():
    text = "seed: 0 # of all\n# above\nsets:\n  a:\n    family: x\n  b:\n    family: y # where from\n    images: 3\n"
    assert unexplained(text) == ["sets.*.images"]
