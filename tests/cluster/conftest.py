import pytest
import slurm


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
