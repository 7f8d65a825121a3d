import os

import pytest

# One thread, as the jobs run: sums come out the same and two test processes do not fight over the cores.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")


def pytest_collection_modifyitems(items):
    wanting = [item for item in items if item.get_closest_marker("gpu")]
    if not wanting:
        return
    import torch

    if not torch.cuda.is_available():
        for item in wanting:
            item.add_marker(pytest.mark.skip(reason="PyTorch sees no GPU here"))


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A `Project` with tables 1 to 4 of the tests' scale by two cores; a test that changes it puts it back."""
    from project import Project

    project = Project(tmp_path_factory.mktemp("two-cores") / "project")
    project.make("--cores", "2", *(f"results/table{number}.csv" for number in (1, 2, 3, 4)))
    return project
