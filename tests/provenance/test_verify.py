"""Parts of verify that need no tables: the seal, how findings are told, and files that cannot be read."""

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from robust3d import cli
from robust3d.files import seal, sealed
from robust3d.provenance import runner
from robust3d.provenance.verify import Finding, tell, verify
from robust3d.study.config import Study
from robust3d.study.plan import Plan
from robust3d.study.reading import read_study

ROOT = Path(__file__).parents[2]
SCALE = ROOT / "workflow/scales/test.yaml"

RECORD = {"job": "a", "spec": {"seed": 0}, "host": {"name": "x", "gpu": None}, "seconds": 1.5}


@pytest.mark.parametrize("change", [{"job": "b"}, {"host": {"name": "y", "gpu": None}}, {"seconds": 1.6}, {"extra": 1}])
def test_the_seal_covers_everything(change):
    record = sealed(RECORD)
    assert record["seal"] == seal(record)
    assert record["seal"] != seal(record | change)


def test_findings_are_told_once_and_counted():
    findings = [Finding("OK", "a"), Finding("OK", "b", "a remark"), Finding("CHANGED", "c", "why"), Finding("OK", "d")]
    told = tell(findings).splitlines()
    assert told == ["CHANGED    c: why", "OK         b: a remark", "1 CHANGED, 3 OK"]
    assert [finding.is_bad for finding in findings] == [False, False, True, False]


def test_a_screen_folds_what_is_the_same_and_counts_the_rest():
    findings = [Finding("OK", f"src/{name}.py", "only prose differs") for name in "abc"]
    findings += [Finding("STALE", f"results/{number}", "packages: numpy") for number in range(50)]
    assert tell(findings).splitlines() == [
        "STALE      results/0 and 49 more: packages: numpy",
        "OK         src/a.py and 2 more: only prose differs",
        "3 OK, 50 STALE",
    ]
    assert len(tell(findings, full=True).splitlines()) == 54
    told = tell(findings + [Finding("STALE", "results/x", f"code: {number}") for number in range(60)]).splitlines()
    assert len(told) <= 40 and told[-2] == "… 28 more lines with --full" and told[-1] == "3 OK, 110 STALE"
    assert tell([Finding("OK", "a")] * 200) == "200 OK"


def test_each_damaged_file_is_named():
    """Five flipped bytes are five files to look at, not one and a number."""
    findings = [Finding("CHANGED", f"results/{number}", "other bytes than recorded") for number in range(5)]
    assert tell(findings).splitlines() == [
        *(f"CHANGED    results/{number}: other bytes than recorded" for number in range(5)),
        "5 CHANGED",
    ]
    told = tell([Finding("MISSING", f"results/{number}", "gone") for number in range(100)]).splitlines()
    assert len(told) == 21 and told[-2] == "MISSING    results/19 and 80 more: gone"


@contextlib.contextmanager
def another_user() -> Iterator[None]:
    """Root reads everything; anybody else may not read what is closed to its owner."""
    user = os.geteuid()
    os.seteuid(user or 61002)
    try:
        yield
    finally:
        os.seteuid(user)


def study() -> Study:
    return read_study([Path("config.yaml"), SCALE])


@pytest.fixture
def shapes(monkeypatch) -> Iterator[list[Path]]:
    """Three finished jobs in a folder that other users may enter."""
    folder = Path(tempfile.mkdtemp(prefix="robust3d-verify-", dir="/tmp"))
    folder.chmod(0o755)
    (folder / "envs").symlink_to(ROOT / "envs")
    shutil.copy(ROOT / "config.yaml", folder)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(runner, "_check_imports", lambda roots: None)  # the tests' process has imported more
    plan, made = Plan(study()), []
    for name in ("cone", "cuboid", "horn"):
        job = plan.build_shapes("geons", name)
        outputs = {name: Path(job.output(name)) for name in ("shapes", "manifest", "record")}
        runner.run(job.spec, job.id, {}, outputs, 1, ["robust3d", "run"])
        made.append(outputs["shapes"])
    with another_user():
        if not os.access(SCALE, os.R_OK, effective_ids=True):
            pytest.skip("other users cannot read this checkout")
        assert not any(finding.is_bad for finding in verify([], study()))
    yield made
    shutil.rmtree(folder)


def test_what_cannot_be_read_is_neither_missing_nor_changed(shapes):
    cone, cuboid, horn = shapes
    cone.chmod(0)
    cuboid.with_name("record.json").chmod(0)
    horn.parent.chmod(0)
    try:
        with another_user():
            found = {(finding.state, finding.path): finding.detail for finding in verify([], study())}
            named = verify([str(cone)], study())
    finally:
        horn.parent.chmod(0o755)
    closed = {path for state, path in found if state == "UNREADABLE"}
    assert closed == {str(cone), str(cuboid.with_name("record.json")), str(horn.parent)}
    assert {found["UNREADABLE", path] for path in closed} == {"cannot be read (permission)"}
    assert not {"MISSING", "CHANGED"} & {state for state, _ in found}
    assert [(finding.state, finding.path) for finding in named if finding.is_bad] == [("UNREADABLE", str(cone))]


def test_a_command_that_may_not_read_a_file_says_so_in_one_line(shapes, monkeypatch, capsys):
    shapes[0].chmod(0)
    monkeypatch.setitem(cli.COMMANDS, "site", lambda arguments: shapes[0].read_bytes())
    monkeypatch.setattr(sys, "argv", ["robust3d", "site"])
    with another_user(), pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 2
    assert capsys.readouterr().err == f"robust3d: {shapes[0]}: no permission; ask its owner for access\n"


def test_a_result_may_be_named_by_its_full_path(shapes):
    cone = shapes[0]
    for name in (cone.resolve(), Path("results/../results").joinpath(*cone.parts[1:])):
        findings = verify([str(name)], study())
        assert {finding.state for finding in findings} == {"OK"} and str(cone) in {one.path for one in findings}
    elsewhere = Path(tempfile.gettempdir()).resolve() / "robust3d-elsewhere"
    Path("results").rename(elsewhere)
    Path("results").symlink_to(elsewhere)
    try:
        for name in (cone.absolute(), cone.resolve()):
            assert {finding.state for finding in verify([str(name)], study())} == {"OK"}
    finally:
        Path("results").unlink()
        elsewhere.rename("results")


@pytest.mark.parametrize("command", ["verify", "site"])
def test_an_interrupted_command_says_so_in_one_line(command, monkeypatch, capsys):
    def interrupted(arguments):
        raise KeyboardInterrupt

    monkeypatch.setitem(cli.COMMANDS, command, interrupted)
    monkeypatch.setattr(sys, "argv", ["robust3d", command])
    with pytest.raises((SystemExit, KeyboardInterrupt)) as stopped:
        cli.main()
    assert isinstance(stopped.value, SystemExit) and stopped.value.code == 130
    assert capsys.readouterr().err == "robust3d: interrupted\n"


def test_jobs_see_an_interruption_themselves(monkeypatch):
    def interrupted(arguments):
        raise KeyboardInterrupt

    monkeypatch.setitem(cli.COMMANDS, "run", interrupted)
    monkeypatch.setattr(sys, "argv", ["robust3d", "run", "--job", "a", "--spec", "{}"])
    with pytest.raises(KeyboardInterrupt):
        cli.main()
