"""Parts of verify that need no results: the seal, and how findings are told."""

import pytest

from robust3d.provenance.files import seal, sealed
from robust3d.provenance.verify import Finding, tell

RECORD = {"job": "a", "spec": {"seed": 0}, "host": {"name": "x", "gpu": None}, "seconds": 1.5}


@pytest.mark.parametrize("change", [{"job": "b"}, {"host": {"name": "y", "gpu": None}}, {"seconds": 1.6}, {"extra": 1}])
def test_the_seal_covers_everything(change):
    record = sealed(RECORD)
    assert record["seal"] == seal(record)
    assert record["seal"] != seal(record | change)


def test_findings_are_told_once_and_counted():
    findings = [Finding("OK", "a"), Finding("OK", "b", "a remark"), Finding("CHANGED", "c", "why"), Finding("OK", "d")]
    told = tell(findings).splitlines()
    assert told == ["OK         b: a remark", "CHANGED    c: why", "1 CHANGED, 3 OK"]
    assert [finding.is_bad for finding in findings] == [False, False, True, False]
