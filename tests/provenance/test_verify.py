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
