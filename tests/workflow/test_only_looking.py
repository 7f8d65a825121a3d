"""Looking changes nothing: results of another study stay as they are until a job has made those asked for."""

import os
import subprocess
from collections.abc import Sequence

import pytest
from project import Project

from robust3d.files import sha256

pytestmark = pytest.mark.slow

TABLES = ("results/table1.csv", "results/table2.csv")
ROW, COLUMN = "--row", "--column"
LOOKS = (  # not --export-cwl, with which Snakemake 9.27 runs the workflow
    ("--lint",),
    ("--summary",),
    ("--detailed-summary",),
    ("--rulegraph",),
    ("--filegraph",),
    ("--dag",),
    ("--d3dag",),
    ("--list-rules",),
    ("--list-target-rules",),
    ("--list-resources",),
    ("--list-changes", "params"),
    ("--list-changes", "input"),
    ("--list-changes", "code"),
    ("--list-input-changes",),
    ("--list-params-changes",),
    ("--list-untracked",),
    ("--print-compilation",),
    ("--report", "papers.geon3d.html"),
    ("--archive", "archive.tar.gz"),
    ("--unlock",),
    ("--cleanup-shadow",),
    ("--dry-run",),
    ("-n", "--quiet"),
    ("-n", "-j", "unlimited"),
    ("--touch",),
    ("--containerize",),
    ("--generate-unit-tests", "unit-tests"),
)
COMMANDS = (
    ("check",),
    ("doctor", "--quick"),
    ("plan", *TABLES),
    ("plan", "--scale", "gpu"),
    ("why", TABLES[0], ROW, "Axis", COLUMN, "Codes"),
    ("verify",),
    ("verify", *TABLES),
    ("verify", "--recompute", "1"),
    ("diff", "results", "results"),
    ("export", TABLES[0], "--crate", "crate"),
    ("site",),
    ("gc",),
    ("gc", "--scale", "gpu"),
    ("accept", "tabulate", "--reason", "none"),
    ("export-views", "geons", "--format", "dvr", "--out", "views"),
    ("check-views", "results"),
    ("publish", "results/nothing/record.json", "--output", "table", TABLES[0]),
)


def snapshot(project: Project) -> dict[str, tuple[int, str]]:
    """Times and hashes of everything under results/ but the site."""
    results = project.folder / "results"
    found = [path for path in sorted(results.rglob("*")) if path.relative_to(results).parts[0] != "site"]
    return {
        str(path.relative_to(results)): (path.stat().st_mtime_ns, sha256(path)) if path.is_file() else (0, "folder")
        for path in found
    }


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    """Two tables of one study, and the configuration of another."""
    project = Project(tmp_path_factory.mktemp("looking") / "project")
    project.make("--cores", "2", *TABLES)
    project.change({"study": "another", "seed": 1})
    return project


def changes(project: Project, command: Sequence[str]) -> tuple[set[str], subprocess.CompletedProcess[str]]:
    """What a command changes under results/, by name; and what it said."""
    before = snapshot(project)
    told = subprocess.run(command, cwd=project.folder, env=project.environment, capture_output=True, text=True)
    after = snapshot(project)
    return {name for name in {*before, *after} if before.get(name) != after.get(name)}, told


@pytest.mark.parametrize("look", LOOKS, ids=" ".join)
def test_looking_with_snakemake_changes_nothing(project, look):
    # Options first: some take any number of values.
    found, told = changes(project, ["snakemake", *look, "--", *TABLES])
    assert not found
    if look[0] != "--generate-unit-tests":  # which wants files of every job and ends in Snakemake's own way without
        assert "Traceback" not in told.stderr
    if look[0] in ("--summary", "--dry-run", "--rulegraph", "--report"):
        assert told.returncode == 0, told.stderr[-2000:]
        said = "results/table1.csv is of study 'test'; it stays until that of study 'another' is made"
        assert said in told.stderr + told.stdout


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command[:2]))
def test_looking_with_robust3d_changes_nothing(project, command):
    found, told = changes(project, ["robust3d", *command])
    assert not found
    assert "Traceback" not in told.stderr


def outputs(project: Project) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (project.folder / "results").iterdir() if path.is_file()}


def test_a_table_is_replaced_only_by_one_that_was_made(tmp_path):
    project = Project(tmp_path / "project")
    source = project.take_source()
    project.make("--cores", "2", *TABLES)
    before, first = outputs(project), project.values
    project.change({"study": "another"})
    module = source / "papers/geon3d/table1.py"
    text = module.read_text()
    module.write_text(text.replace("def write(", "def write(job):\n    raise OSError('no such luck')\n\n\ndef other("))
    told = project.snakemake("--cores", "2", "--quiet", "all", "--", TABLES[0])
    assert told.returncode == 1 and "robust3d: failed: tabulate table1-" in told.stderr
    assert outputs(project) == before
    module.write_text(text)
    # Only what is asked for is looked at, and made.
    told = project.make(TABLES[0])
    assert "results/table1.csv is of study 'test'" in told and "table2" not in told
    after = outputs(project)
    assert {name for name in before if before[name] != after[name]} == {"table1.cells.json", "table1.record.json"}
    # Back again: the earlier one is copied, nothing is made.
    project.configure(first)
    told = project.make(TABLES[0])
    assert "tabulate" not in told
    assert {name: text for name, text in outputs(project).items() if "record" not in name} == {
        name: text for name, text in before.items() if "record" not in name
    }
    assert "Nothing to be done" in project.make(*TABLES)
    # What is damaged is no more copied than made: the old ones stay.
    project.change({"study": "another"})
    (damaged,) = (path for path in (project.folder / "results/tabulate").glob("table1-*/cells.json")
                  if '"another"' in path.read_text())  # fmt: skip
    damaged.write_text(damaged.read_text() + " ")
    before = outputs(project)
    told = project.snakemake("--", TABLES[0])
    assert told.returncode == 1 and "differs from its record" in told.stderr
    assert outputs(project) == before
    # Somebody forces it: it is made, not copied.
    project.make("-f", TABLES[0])
    assert '"another"' in (project.folder / "results/table1.cells.json").read_text()


@pytest.mark.parametrize(
    "name", ["results/table9.csv", "table4", "results/table4.png", "results/pretrain/x-0/model.pt"]
)
def test_a_name_that_is_no_target_is_answered_in_one_line(project, name):
    found, told = changes(project, ["snakemake", "--quiet", "all", "--", name])
    assert told.returncode == 1 and not found
    lines = [line for line in told.stderr.splitlines() if "profile" not in line]
    assert len(lines) == 1 and lines[0].startswith(f"{name}: no such target"), told.stderr


def test_what_changes_is_found(project):
    """A look that deletes one file while the workflow is read, as it once did; the last test of this project."""
    path = project.folder / "results/table2.cells.json"
    text, stat = path.read_text(), path.stat()
    project.take_source()
    common = project.folder / "workflow/rules/common.smk"
    common.write_text(f"{common.read_text()}\nPath('results/table2.cells.json').unlink(missing_ok=True)\n")
    assert changes(project, ["snakemake", "--list-rules"])[0] == {"table2.cells.json"}
    common.write_text(common.read_text().replace("unlink(missing_ok=True)", "touch()"))
    path.write_text(text)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert changes(project, ["snakemake", "--list-rules"])[0] == {"table2.cells.json"}
