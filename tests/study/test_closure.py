import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from robust3d.study import closure
from robust3d.study.stages import STAGES

STAGE_MODULES = [f"robust3d.stages.{stage}" for stage in STAGES]


def meaning(tmp_path: Path, text: str) -> str:
    path = tmp_path / f"{abs(hash(text))}.py"
    path.write_text(text)
    return closure.file_digest(path)


CODE = '''"""Module."""
import math

def area(r: float) -> float:
    """Of a disc."""
    return math.pi * r * r  # formula
'''


@pytest.mark.parametrize(
    "same",
    [
        CODE.replace("Of a disc.", "Something else."),
        CODE.replace("  # formula", ""),
        CODE.replace("r: float) -> float", "r: int) -> int"),
        CODE.replace('    """Of a disc."""\n', ""),
        CODE.replace("math.pi * r * r", "(math.pi * r\n            * r)"),
    ],
)
def test_prose_layout_and_annotations_do_not_count(tmp_path, same):
    assert same != CODE
    assert meaning(tmp_path, same) == meaning(tmp_path, CODE)


@pytest.mark.parametrize(
    "other",
    [
        CODE.replace("r * r", "r * 2"),
        CODE.replace("import math", "import cmath as math"),
        CODE.replace("def area", "def volume"),
        CODE.replace("return", "yield"),
        CODE + "\nX = 1\n",
        CODE.replace("math.pi * r * r", "math.pi * r - r"),
    ],
)
def test_real_edits_count(tmp_path, other):
    assert meaning(tmp_path, other) != meaning(tmp_path, CODE)


def test_a_closure_holds_what_a_stage_imports_and_nothing_neutral():
    modules = closure.closure(("robust3d.stages.train_classifier", "robust3d.trainings.pgd"))
    assert {"robust3d.attacks.pgd", "robust3d.training.loop", "robust3d.seeds", "robust3d.training"} <= set(modules)
    assert not any(closure.is_neutral(module) for module in modules)
    assert "robust3d.rendering.scene" not in modules and "robust3d.attacks.autoattack" not in modules


@pytest.mark.parametrize(
    ("stage", "mine", "other"),
    [
        ("train_classifier", "robust3d.trainings.standard", "robust3d.trainings.pgd"),
        ("train_classifier", "robust3d.trainings.pgd", "robust3d.trainings.standard"),
        ("probe", "robust3d.probes.shift", "robust3d.attacks.autoattack"),
        ("probe", "robust3d.probes.autoattack", "robust3d.probes.accuracy"),
    ],
)
def test_what_a_stage_loads_by_name_is_no_part_of_the_others(stage, mine, other):
    """Else an edit of one training or probe would make all of them run again."""
    modules = closure.closure((f"robust3d.stages.{stage}", mine))
    assert mine in modules and other not in modules


@pytest.mark.parametrize("module", STAGE_MODULES)
def test_only_rendering_needs_blender_and_nothing_needs_snakemake(module):
    sources = "".join(closure.module_file(name).read_text() for name in closure.closure((module,)))
    assert ("import bpy" in sources) == (module == "robust3d.stages.render_shard")
    assert "import snakemake" not in sources and "from snakemake" not in sources


def test_planning_loads_no_heavy_package():
    code = (
        "import sys, pathlib;"
        "from robust3d.study.reading import read_study; from robust3d.study.plan import Plan;"
        "plan = Plan(read_study([pathlib.Path('config.yaml')]));"
        "plan.every_job();"
        "heavy = ('torch', 'bpy', 'trimesh', 'lightning', 'matplotlib', 'pandas', 'scipy', 'h5py', 'PIL');"
        "print([m for m in heavy if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def python_3_12() -> str | None:
    """An interpreter that starts; the name alone may be a shim with nothing behind it."""
    found = [shutil.which("python3.12"), *map(str, sorted(Path.home().glob(".pyenv/versions/3.12*/bin/python3.12")))]
    for path in filter(None, found):
        if subprocess.run([path, "-c", ""], capture_output=True).returncode == 0:
            return path
    return None


def test_digests_are_the_same_on_python_3_12():
    code = (
        "import pathlib, sys, types\n"
        "sys.path.insert(0, 'src')\n"
        "sys.modules['grimp'] = types.ModuleType('grimp')\n"  # the graph alone needs it
        "sys.modules['grimp'].ImportGraph = None\n"
        "from robust3d.study.closure import file_digest\n"
        "for path in sorted(pathlib.Path('src/robust3d').rglob('*.py')):\n"
        "    print(path, file_digest(path))\n"
    )
    python = python_3_12()
    if python is None:
        pytest.skip("no Python 3.12 on this machine")
    told = subprocess.run([python, "-c", code], capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    theirs = dict(line.split() for line in told.stdout.splitlines())
    ours = {str(path): closure.file_digest(path) for path in sorted(Path("src/robust3d").rglob("*.py"))}
    assert theirs == ours


@pytest.mark.parametrize(
    "path", sorted(closure.SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(closure.SOURCE))
)
def test_prose_in_any_module_means_nothing(path, tmp_path):
    """Another docstring, a comment and another layout at the end leave the digest, a statement does not."""
    text = path.read_text()
    prose = text.replace('"""', '"""Other words. ', 1) if text.startswith('"""') else text
    before = closure.file_digest(path)
    for name, edited, same in (("prose", f"{prose}\n# a remark\n\n", True), ("edit", f"{text}\n_X = 1\n", False)):
        (tmp_path / f"{name}.py").write_text(edited)
        assert (closure.file_digest(tmp_path / f"{name}.py") == before) is same
