"""A paper is a package and its section of the configuration; nothing else is edited."""

import pytest
from project import Project

SECTION = '''"""What the toy's table shows."""

from pydantic import Field

from robust3d.params import Params
from robust3d.study.keys import check_known


class Section(Params):
    """Of a table that counts the views of a family."""

    family: str
    label: str = Field("views", min_length=1)

    def check(self, study):
        """Whether the family is defined."""
        check_known("family", self.family, study.families)
'''
TABLE = '''"""How many views there are of each class."""

import json

from robust3d.tables.cells import source, write_table


def sources(plan, section):
    """The family's manifest."""
    told = {"study": plan.study.study, "label": section.label}
    return told, {"views": ((plan.index_views(section.family), "manifest"),)}, {}


def write(job):
    """One row."""
    import pandas as pd

    path = job.input("views")
    views, label = json.loads(path.read_text())["views"], job.params["label"]
    table = pd.DataFrame({label: [str(views)]}, index=pd.Index(["each object"], name="of"))
    cell = {"row": "each object", "column": label, "text": str(views), "value": views, "formula": "as in the manifest"}
    write_table(job, table, "Views.", [{**cell, "sources": [source(path, "/views")]}])
'''
TARGET = "results/toy/table1.csv"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    project = Project(tmp_path_factory.mktemp("paper") / "project", set())
    package = project.take_source() / "papers/toy"
    package.mkdir()
    (package / "__init__.py").write_text('"""A toy."""\n\nTABLES = ("table1",)\n')
    (package / "section.py").write_text(SECTION)
    (package / "table1.py").write_text(TABLE)
    project.change({"papers": {"toy": {"family": "geons"}}})
    project.make(TARGET)
    return project


def say(project: Project, *arguments: str) -> str:
    told = project.robust3d(*arguments)
    assert told.returncode == 0, told.stdout + told.stderr
    return told.stdout


def test_the_papers_targets_are_made_under_its_name(project):
    assert (project.folder / TARGET).read_text().startswith("of,views\neach object,")
    assert "Nothing to be done" in project.make("toy")
    assert not list((project.folder / "results").glob("*.csv"))


def test_the_audit_knows_them(project):
    assert "index_views" in say(project, "why", TARGET, "each object", "views")
    say(project, "verify")
    assert "nothing" in say(project, "plan", TARGET).lower()
    say(project, "site")
    assert "Table 1 of toy" in (project.folder / "results/site/index.html").read_text()
    project.make("--report", "report.html", TARGET)
    assert "toy/table1" in (project.folder / "report.html").read_text()


def test_a_wrong_section_and_a_missing_one_are_named(project):
    project.change({"papers": {"toy": {"family": "nowhere"}}})
    assert "papers.toy.family: 'nowhere' is not defined" in project.snakemake("-n", "--", TARGET).stderr
    project.change({"papers": {"toy": {"family": "geons", "colour": 1}}})
    assert "papers.toy.colour: unknown key" in project.snakemake("-n", "--", TARGET).stderr
    project.change({"papers": {"tyo": {}}})
    assert "there is no paper called 'tyo'" in project.snakemake("-n", "--", TARGET).stderr
