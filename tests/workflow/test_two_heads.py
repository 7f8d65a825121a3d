"""Two `snakemake` in one folder: the second is refused by name, nobody removes what the other makes.

More pairs than by default: ``ROBUST3D_PAIRS=20 pytest tests/workflow/test_two_heads.py``.
"""

import fcntl
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from project import Project

from robust3d.files import sha256

pytestmark = pytest.mark.slow

PAIRS = int(os.environ.get("ROBUST3D_PAIRS", "3"))
OVERLAPPING = ("plan.index_views('geons').output('manifest')", "plan.draw_set('black').output('table')")


def make_project(folder: Path) -> Project:
    project = Project(folder)
    classes = ["cone", "cuboid"]
    project.change({"families": {"geons": {"shapes": {"classes": classes}, "cameras": {"views": 3}}}})
    project.change({"experiments": {"correlated": {"pretrain_input": {"mapping": ["zigzagged", "banded"]}}}})
    project.change({"sets": {"black": {"images": [24, 4, 4]}}})
    for name in ("correlated", "shifted"):
        project.change({"sets": {name: {"background": {"mapping": ["zigzagged", "banded"]}}}})
    return project


def hashes(project: Project) -> dict[str, str]:
    """Of everything that was made, the records apart: they tell times."""
    results = project.folder / "results"
    files = [path for path in results.rglob("*") if path.is_file() and not path.name.endswith("record.json")]
    found = {str(path.relative_to(results)): sha256(path) for path in files}
    return {name: digest for name, digest in found.items() if not name.startswith(".")}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Project:
    project = make_project(tmp_path_factory.mktemp("undisturbed") / "project")
    project.make("--cores", "2", *map(project.path, OVERLAPPING))
    return project


def start(project: Project, target: str, number: int) -> tuple[subprocess.Popen[bytes], Path]:
    log = project.folder / f"head-{number}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            ["snakemake", "--cores", "2", "--", target], cwd=project.folder, env=project.environment,
            stdout=file, stderr=file, start_new_session=True,
        )  # fmt: skip
    return process, log


def kill(process: subprocess.Popen[bytes], everything: bool) -> None:
    """With -9: the head alone, whose jobs live on, or its jobs too."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL) if everything else process.kill()


@pytest.mark.parametrize("seed", range(PAIRS))
def test_two_overlapping_targets_end_well(undisturbed, tmp_path, seed):
    draw = random.Random(seed)
    project = make_project(tmp_path / "project")
    targets = [project.path(ask) for ask in draw.sample(OVERLAPPING, 2)]
    first = start(project, targets[0], 0)
    time.sleep(draw.uniform(0, 10))
    second = start(project, targets[1], 1)
    victim = draw.choice([first, second]) if seed % 3 == 0 else None
    if victim:
        time.sleep(draw.uniform(0, 20))
        kill(victim[0], everything=draw.random() < 0.5)
    refused = 0
    for process, log in (first, second):
        code, text = process.wait(), log.read_text()
        assert "Traceback" not in text and "Error" not in text, text[-3000:]
        if code == 1:
            refused += 1
            assert "another snakemake is running on these results: process" in text, text[-3000:]
        assert code in (0, 1) or victim
    assert refused <= 1
    told = project.make("--cores", "2", *targets)
    assert "Traceback" not in told
    assert hashes(project) == hashes(undisturbed)
    verified = project.robust3d("verify", *targets)
    assert verified.returncode == 0, verified.stdout


def test_what_is_made_again_hides_nothing_that_is_missing(undisturbed, tmp_path):
    """Such as a file that outlived its head: Snakemake calls it incomplete. The rest is still made in the same run."""
    project = make_project(tmp_path / "project")
    target = project.path(OVERLAPPING[0])
    shutil.copytree(undisturbed.folder / "results", project.folder / "results")
    shutil.rmtree((project.folder / target).parent)
    told = project.make("--cores", "2", "-R", "render_shard", "--", target)
    assert "rule render_shard:" in told and (project.folder / target).is_file()
    finished = project.make("--cores", "2", "-R", "render_shard", "--", target)
    assert "rule render_shard:" in finished and "rule index_views:" not in finished  # finished, so not made again


def test_a_head_refuses_no_look_and_is_named(tmp_path):
    project = make_project(tmp_path / "project")
    target = project.path(OVERLAPPING[0])
    process, log = start(project, target, 0)
    owner = project.folder / "results/.progress/.head/owner"
    while not owner.is_file() and process.poll() is None:
        time.sleep(0.1)
    told = project.snakemake("--cores", "1", "--quiet", "all", "--", "results/table1.csv")
    assert told.returncode == 1 and f"process {process.pid} on " in told.stderr and f"making {target}" in told.stderr
    for look in (("-n",), ("--summary",), ("--list-rules",)):
        assert project.snakemake(*look, "--", target).returncode == 0
    assert process.wait() == 0, log.read_text()[-3000:]
    assert not owner.parent.exists()
    project.make("--cores", "1", "results/table1.csv")


def test_nothing_is_deleted_while_a_head_is_at_work(tmp_path):
    project = make_project(tmp_path / "project")
    target = project.path("plan.build_shapes('geons', 'cone').output('shapes')")
    project.make("--cores", "1", target)
    head = project.folder / "results/.progress/.head/owner"
    head.parent.mkdir(parents=True)
    with head.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write("process 1 on a node, making results/table4.csv")
        file.flush()
        for option in ("--delete-all-output", "--delete-temp-output"):
            told = project.snakemake("--cores", "1", option, "--", target)
            assert told.returncode == 1 and "another snakemake is running" in told.stderr, told.stderr
        assert project.snakemake("--cores", "1", "--delete-all-output", "--dry-run", "--", target).returncode == 0
        assert (project.folder / target).is_file()
    head.unlink()
    assert project.snakemake("--cores", "1", "--delete-all-output", "--", target).returncode == 0
    assert not (project.folder / target).exists() and not head.parent.exists()
