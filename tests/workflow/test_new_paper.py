"""A paper is one package, with its section of the configuration in it; nothing else is edited."""

import pytest
from examples import example
from project import Project

TARGET = "results/toy/table1.csv"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    project = Project(tmp_path_factory.mktemp("paper") / "project", set())
    files = example("A paper")
    project.take_source()
    for name, text in files.items():
        (project.folder / name).parent.mkdir(exist_ok=True)
        (project.folder / name).write_text(text)
    project.make(TARGET)
    return project


def say(project: Project, *arguments: str) -> str:
    told = project.robust3d(*arguments)
    assert told.returncode == 0, told.stdout + told.stderr
    return told.stdout


def test_the_papers_targets_are_made_under_its_name(project):
    assert (project.folder / TARGET).read_text().startswith("probe,AT\naccuracy,")
    assert "Nothing to be done" in project.make("toy")
    assert not list((project.folder / "results").glob("*.csv"))


def test_the_audit_knows_them(project):
    told = say(project, "why", TARGET, "--row", "accuracy", "--column", "AT")
    assert "index_views" in told and "probe accuracy" in told
    say(project, "verify")
    assert "nothing" in say(project, "plan", TARGET).lower()
    say(project, "site")
    assert "Table 1 of toy" in (project.folder / "results/site/index.html").read_text()
    project.make("--report", "report.html", TARGET)
    assert "toy/table1" in (project.folder / "report.html").read_text()


@pytest.mark.parametrize(
    ("papers", "says"),
    [
        ({"toy": {"experiment": "nowhere"}}, "papers.toy.experiment: 'nowhere' is not defined"),
        ({"toy": {"probe": "nothing"}}, "papers.toy.probe: 'nothing' is not defined"),
        ({"toy": {"colour": 1}}, "papers.toy.colour: unknown key"),
        ({"tyo": {}}, "there is no paper called 'tyo'"),
        ({"toy": None}, "papers.toy"),
    ],
)
def test_a_wrong_section_and_a_missing_one_are_named(project, papers, says):
    before = project.values
    project.change({"papers": papers})
    told = project.snakemake("-n", "--", TARGET)
    project.configure(before)
    assert told.returncode == 1 and says in told.stderr and "Traceback" not in told.stderr
