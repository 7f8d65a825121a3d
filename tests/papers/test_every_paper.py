"""What holds for each paper's package, and where all of them are named."""

import importlib
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml

from robust3d.registry import MAIN, TOP_LEVEL, paper_of
from robust3d.study.targets import papers, targets

ROOT = Path(__file__).parents[2]


PAPERS = [paper for paper in papers() if paper == MAIN or paper not in TOP_LEVEL]  # the comparison is none


@pytest.mark.parametrize("paper", PAPERS)
def test_a_paper_says_what_it_is_and_is_cited(paper):
    package = importlib.import_module(f"robust3d.papers.{paper}")
    assert package.NAME and package.QUESTION.endswith("?")
    references = yaml.safe_load((ROOT / "CITATION.cff").read_text())["references"]
    assert [package.TITLE.lower()] == [
        entry["title"].lower() for entry in references if f"short name {paper}" in entry["notes"]
    ]
    assert paper in (ROOT / "README.md").read_text()


def test_targets_without_a_prefix_have_names_of_their_own():
    names = [name for paper in TOP_LEVEL for name in targets(paper)]
    assert len(names) == len(set(names)) and {paper_of(name) for name in targets("comparison")} == {"comparison"}


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no git checkout, so there is no commit to release")
def test_a_release_is_the_commit_with_its_lock(tmp_path):
    copy = tmp_path / "copy"
    subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{ROOT}", str(copy)], check=True)
    done = subprocess.run(["make", "release"], cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (archive,) = (copy / "dist").iterdir()
    with tarfile.open(archive) as files:
        names = {name.partition("/")[2] for name in files.getnames()}
    tracked = subprocess.run(["git", "ls-files"], cwd=copy, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    assert set(tracked) <= names and "envs/requirements.lock" in names and not any("results/" in name for name in names)
    first = archive.read_bytes()
    subprocess.run(["make", "release"], cwd=copy, check=True, capture_output=True)
    assert archive.read_bytes() == first
    (copy / "README.md").write_text("changed")
    refused = subprocess.run(["make", "release"], cwd=copy, capture_output=True, text=True)
    assert refused.returncode != 0 and "not committed" in refused.stderr
