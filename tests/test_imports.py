"""Which module imports which: the contracts of `pyproject.toml`, no circles, and nothing heavy before it is needed."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import grimp
import networkx
import pytest

ROOT = Path(__file__).parents[1]
Edge = tuple[str, str]


def imports() -> list[Edge]:
    """(module, what it imports), for all modules of ours."""
    graph = grimp.build_graph("robust3d", cache_dir=None, exclude_type_checking_imports=True)
    return [(module, other) for module in graph.modules for other in graph.find_modules_directly_imported_by(module)]


def circles(edges: Iterable[Edge]) -> list[set[str]]:
    """Modules that import each other, directly or not."""
    return [found for found in networkx.strongly_connected_components(networkx.DiGraph(edges)) if len(found) > 1]


def packages(edges: Iterable[Edge]) -> list[Edge]:
    """The same between what lies directly below `robust3d`."""
    short = [tuple(".".join(module.split(".")[:2]) for module in edge) for edge in edges]
    return [(a, b) for a, b in short if a != b]


def test_no_module_and_no_package_imports_itself_in_a_circle():
    found = imports()
    assert len(found) > 500 and not circles(found) and not circles(packages(found))


def test_a_circle_is_found():
    chain = [("robust3d.a.x", "robust3d.b.y"), ("robust3d.b.y", "robust3d.c"), ("robust3d.c", "robust3d.d")]
    assert not circles(chain)
    assert circles([*chain, ("robust3d.d", "robust3d.b.y")]) == [{"robust3d.b.y", "robust3d.c", "robust3d.d"}]
    through_packages = [*chain, ("robust3d.b.z", "robust3d.a.w")]
    assert not circles(through_packages)
    assert circles(packages(through_packages)) == [{"robust3d.a", "robust3d.b"}]


def lint(folder: Path, source: Path) -> subprocess.CompletedProcess[str]:
    """`lint-imports` in a folder, on the code in `source`."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    environment = os.environ | {"PYTHONPATH": f"{source}:{os.environ.get('PYTHONPATH', '')}"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_the_contracts_hold():
    told = lint(ROOT, ROOT / "src")
    assert told.returncode == 0, told.stdout[-3000:]


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("models/files.py", "import robust3d.study.plan", "Imports point down"),
        ("stages/draw.py", "import robust3d.papers.geon3d.table1", "Imports point down"),
        ("data/frame.py", "import bpy", "Only rendering needs Blender"),
        ("study/plan.py", "def _late():\n    import snakemake.io", "Nothing but the rules needs Snakemake"),
        ("provenance/diff.py", "import torch", "Neutral modules compute nothing"),
    ],
)
def test_a_broken_contract_is_found(module, line, broken, tmp_path):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    path = tmp_path / "src/robust3d" / module
    path.write_text(f"{path.read_text()}\n{line}\n")
    told = lint(tmp_path, tmp_path / "src")
    assert told.returncode == 1 and f"{broken}" in told.stdout
    assert [text for text in told.stdout.splitlines() if "BROKEN" in text and broken in text], told.stdout


HEAVY = ("torch._dynamo", "torchvision", "pandas", "pyarrow", "scipy", "sympy", "matplotlib", "lightning_fabric", "bpy")


@pytest.mark.parametrize("stage", ["train_classifier", "pretrain"])
def test_a_training_starts_without_what_it_may_not_need(stage):
    """Each of these takes from a quarter of a second to over a second to import."""
    code = f"import sys, robust3d.stages.{stage}; print([name for name in {HEAVY} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
