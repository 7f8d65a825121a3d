import pytest
from project import Project

TABLES = ("results/table3.csv", "results/table4.csv")


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Project:
    """Tables 1 to 4 of the tests' scale with two cores; a test that changes it puts it back."""
    project = Project(tmp_path_factory.mktemp("two-cores") / "project")
    project.make("--cores", "2", "results/table1.csv", "results/table2.csv", *TABLES)
    return project
