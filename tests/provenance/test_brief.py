"""The lineage of a cell on one screen, for the cells that the scales of this project have."""

import json
from pathlib import Path
from typing import Any

import pytest

from robust3d.provenance.brief import LINES, WIDTH, brief
from robust3d.study.jobs import Job
from robust3d.study.needs import made_from
from robust3d.study.plan import Plan
from robust3d.study.reading import read_study

ROOT = Path(__file__).parents[2]
HOST = {"name": "node7", "gpu": None, "threads": 1, "processor": "Intel(R) Xeon(R) Platinum 8275CL"}
HOST |= {"instruction_set": {"torch": "AVX512", "onednn": "AVX512_CORE"}}
FLAGS = [
    "procedural categories stand in for ShapeNet's thirteen",
    "classifier collapsed: the classifier gives one class to 100% of the validation images (accuracy 0.250)",
]


def step(job: Job | None = None, **changes: Any) -> dict[str, Any]:
    """What `why` tells of a step."""
    facts = {
        "stage": job.stage if job else "tabulate",
        "job": job.id if job else "table1",
        "made_from": [],
        "params": json.loads(job.spec)["params"] if job else {"study": "s"},
        "code": {"robust3d.seeds": {"file": "src/robust3d/seeds.py", "sha256": "0" * 64}},
        "lock": "ab" * 32,
        "python": "3.11.7",
        "host": HOST,
        "started": "2026-07-01T10:20:30+00:00",
        "seconds": 61.0,
        "reused": None,
        "accepted": [],
    }
    return facts | changes


def answer(steps: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    """A cell of Table 4 with three seeds."""
    told = {
        "table": "results/table4.csv",
        "study": "s",
        "row": "Linf 8/255",
        "column": "DVR+AT",
        "text": "12.3",
        "value": 12.34,
        "unit": "%",
        "n": 65,
        "clean_accuracy": 0.875,
        "chance": 0.0769,
        "formula": "mean over seeds of robust images / test images, x 100, one decimal",
        "interval": {"low": 0.101, "high": 0.146, "kind": "t over 3 seeds, 95 %"},
        "difference_to_AT": {"value": 0.031, "low": -0.012, "high": 0.074, "kind": "t over 3 seeds", "seeds": 3}
        | {"verdict": "does not differ", "note": None},
        "printed": {"row": "Linf 24/255", "value": 31.2, "comparable": False},
        "flags": FLAGS,
        "sources": [
            {"file": f"results/attack/{seed}/metrics.json", "pointer": "/robust", "sha256": ""} for seed in "012"
        ],
        "steps": {str(number): facts for number, facts in enumerate(steps)},
    }
    return told | changes


def chain(jobs: list[Job]) -> list[dict[str, Any]]:
    """The steps behind some jobs, users before makers."""
    return [step(job) for job in made_from(jobs)]


def probed(plan: Plan, target: str) -> list[Job]:
    """The probes that a table reads, in the order of its cells."""
    inputs = plan.target(target).inputs
    return [job for name, ((job, _),) in inputs.items() if name.startswith("metrics:")]


@pytest.mark.parametrize("scale", [None, "test", "gpu", "paper"])
def test_every_cell_of_tables_3_and_4_fits_a_screen(scale):
    plan = Plan(read_study([ROOT / "config.yaml"], {"scale": scale, "training_seeds": [0, 1, 2]}))
    for table in ("table3", "table4"):
        jobs = probed(plan, table)
        for first in range(0, len(jobs), 3):
            lines = brief(answer(chain(jobs[first : first + 3]))).splitlines()
            assert len(lines) <= LINES and max(map(len, lines)) <= WIDTH, "\n".join(lines)
            told = "\n".join(lines)
            stages = {job.stage for job in made_from(jobs[first : first + 3])}
            assert all(f"\n{stage} " in told for stage in stages)
            assert "seed 0 | 1 | 2" in told and "\ntrain_classifier   3 jobs" in told
            assert all(flag[:40] in told for flag in FLAGS)
            assert "2026-07-01 10:20, 3 min" in told  # three times 61 s


def test_what_the_cell_says_stands_first():
    assert brief(answer([step()], flags=FLAGS[:1])).splitlines() == [
        "results/table4.csv of study 's': Linf 8/255 · DVR+AT",
        "  value      12.3 % of 65 images, clean 87.5, chance 7.7",
        "  interval   10.1 to 14.6 % (t over 3 seeds, 95 %)",
        "  difference to AT +3.1 points, -1.2 to +7.4: does not differ; t over 3 seeds",
        "  printed    31.2 for Linf 24/255 in the paper: not comparable",
        "  formula    mean over seeds of robust images / test images, x 100, one decimal",
        "  read from  results/attack/0/metrics.json /robust and 2 more",
        "  flag       procedural categories stand in for ShapeNet's thirteen",
        "tabulate           table1                                       2026-07-01 10:20, 61 s",
        "    study s",
        "  ran on     node7 (Intel(R) Xeon(R) Platinum 8275CL, AVX512, AVX512_CORE), no GPU, Python 3.11.7",
        "61 s in all, 1 code file, lock abababababab; --full: every parameter, hash and command",
    ]


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ({"value": 0.1, "low": 0.05, "high": 0.15, "verdict": "differs"}, "+10.0 points, +5.0 to +15.0: differs"),
        (
            {"value": 0.1, "low": 0.05, "high": 0.15, "verdict": None, "note": "one training run"},
            "+10.0 points, +5.0 to +15.0: no verdict; one training run",
        ),
        ({"value": -0.1, "low": None, "high": None, "verdict": None}, "-10.0 points, no interval: no verdict"),
        ({"value": None}, None),
        (None, None),
    ],
)
def test_a_difference_comes_with_its_verdict(told, text):
    found = brief(answer([step()], difference_to_AT=told))
    assert f"difference to AT {text}" in found if text else "difference" not in found
    assert "difference" not in brief(answer([step()], difference_to_AT=told, column="AT"))


def test_a_difference_to_another_row_says_what_is_left_of_it_among_all_comparisons():
    apart = {"to": "Scratch", "value": 0.1, "low": 0.05, "high": 0.15, "verdict": "differs", "p": 0.012}
    found = brief(answer([step()], difference_to_AT=None, difference=apart))
    assert "  difference to Scratch +10.0 points, +5.0 to +15.0: differs (p 0.012)\n" in found
    apart |= {"p_holm": 0.24, "comparisons": 20, "verdict_holm": "does not differ"}
    found = " ".join(brief(answer([step()], difference_to_AT=None, difference=apart)).split())
    assert "differs (p 0.012); among 20 comparisons does not differ (Holm's p 0.24)" in found
    found = brief(answer([step()], difference_to_AT=None, difference=apart, unit="r"))
    assert "  difference to Scratch +0.100 r, +0.050 to +0.150: differs (p 0.012)" in found


def test_each_difference_has_its_line():
    apart = {"value": 0.2, "low": 0.1, "high": 0.3, "verdict": "differs", "to": "the mean of AE+AT and VAE+AT"}
    found = brief(answer([step()], difference_to_2D=apart))
    assert "  difference to AT +3.1 points" in found
    assert "  difference to the mean of AE+AT and VAE+AT +20.0 points, +10.0 to +30.0: differs\n" in found


def test_a_cell_that_is_a_difference_has_its_own_verdict():
    apart = {"value": 0.123, "low": None, "high": None, "verdict": None, "note": "one training run"}
    found = brief(answer([step()], difference_to_AT=None, difference=apart, unit="points"))
    assert "  difference +12.3 points, no interval: no verdict; one training run\n" in found
    assert "  interval   10.1 to 14.6 points (t over 3 seeds, 95 %)\n" in found


def test_small_numbers_have_the_decimals_that_their_interval_lets_know():
    """As the depth error's 0.134, whose interval of a thousandth would be `0.1 to 0.1`."""
    bounds = {"low": 0.13371, "high": 0.13429, "kind": "t over 3 seeds"}
    found = brief(answer([step()], unit="units of the depth", interval=bounds, difference_to_AT=None))
    assert "  interval   0.13371 to 0.13429 units of the depth" in found


def test_flags_take_the_room_that_is_left_and_the_rest_is_counted():
    plan = Plan(read_study([ROOT / "config.yaml"], {"scale": "paper"}))
    steps = chain([probed(plan, "table4")[3]])
    steps[0]["accepted"] = [{"reason": "harmless", "by": "me", "on": "today"}]
    flags = [f"flag number {number}: " + "a long sentence " * 12 for number in range(60)]
    lines = brief(answer(steps, flags=flags)).splitlines()
    assert len(lines) == LINES and "flag number 0" in "\n".join(lines)
    (left,) = [line for line in lines if "more lines with --full" in line]
    assert int(left.split()[1]) > 100
    told = brief(answer(steps, flags=flags[:1]))
    assert "accepted   code change of probe: harmless (me, today)" in told


def test_shared_pretraining_copies_and_machines_are_told():
    plan = Plan(read_study([ROOT / "config.yaml"], {"scale": "test", "training_seeds": [0, 1, 2]}))
    jobs = probed(plan, "table4")
    steps = [facts for facts in chain(jobs[3:6]) if facts["stage"] != "pretrain" or facts["params"]["seed"] == 0]
    for facts in steps:
        if facts["stage"] == "pretrain":
            facts |= {"host": {"name": "gpu1", "gpu": "H100", "threads": 4}, "reused": {"job": "x"}}
    told = brief(answer(steps))
    pretrain = next(line for line in told.splitlines() if line.startswith("pretrain "))
    assert "jobs" not in pretrain and pretrain.endswith("2026-07-01 10:20, 61 s, copied")
    assert "\n             gpu1, H100, Python 3.11.7: pretrain\n" in told and "  ran on     node7 (Intel" in told


def test_a_cell_of_words_has_neither_interval_nor_unit():
    cell = answer([step()], text="S, C", value="S, C", unit=None, flags=[], sources=[], interval=None)
    for key in ("unit", "n", "interval", "difference_to_AT", "printed", "flags", "clean_accuracy", "chance"):
        del cell[key]
    lines = brief(cell).splitlines()
    assert lines[1] == "  value      S, C" and len(lines) == 7
