"""Toy solids with closed-form images: common ground of the reconstruction pre-trainings' learning tests."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest

SOLIDS = Path(__file__).parents[1] / "benchmarks" / "solids.py"


@pytest.fixture(scope="session")
def toy_solids():
    """Training and held-out solids at 32 px, and `draw` for others."""
    spec = importlib.util.spec_from_file_location("solids", SOLIDS)
    solids = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(solids)
    return SimpleNamespace(
        train=solids.draw(24, 12, 32, seed=1), held_out=solids.draw(6, 12, 32, seed=2), draw=solids.draw
    )
