import subprocess

import pytest
import slurm
from head import Head


def _cluster(accounting: bool):
    try:
        slurm.start(accounting)
    except slurm.ClusterError as error:
        slurm.stop()
        pytest.skip(str(error))
    yield
    slurm.stop()


@pytest.fixture(scope="module")
def cluster():
    """A running cluster without accounting."""
    yield from _cluster(accounting=False)


@pytest.fixture(scope="module")
def cluster_with_accounting():
    """A running cluster with slurmdbd."""
    yield from _cluster(accounting=True)


@pytest.fixture(autouse=True)
def nothing_left_behind():
    """The heads that a failed test has left would disturb the next one."""
    before = set(Head.running)
    yield
    for head in Head.running:
        if head not in before and head.process.poll() is None and not head.lasting:
            head.kill()
            subprocess.run(["scancel", "--name", head.name])
