"""The configuration at the tests' scale, before it is checked: tests change it and load it."""

from pathlib import Path
from typing import Any

from robust3d.study.like import merge
from robust3d.study.reading import read_papers, read_yaml

ROOT = Path(__file__).parents[2]


def at_test_scale() -> dict[str, Any]:
    """The papers' own files, config.yaml and the overlay of the scale, as the product reads them."""
    shared = merge(read_papers(), read_yaml(ROOT / "config.yaml"))
    return merge(shared, read_yaml(ROOT / "workflow/scales/test.yaml"))
