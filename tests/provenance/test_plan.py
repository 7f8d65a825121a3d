"""How an outlook is told: one screen, causes by kind, the roots before what follows from them."""

from pathlib import Path

from robust3d.provenance.changes import Change
from robust3d.provenance.plan import FIRST, Outlook, Pending, as_text, brief, tell_plan
from robust3d.registry import MAIN
from robust3d.study.plan import Plan
from robust3d.study.reading import read_study
from robust3d.study.targets import target_path, targets

ROOT = Path(__file__).parents[2]
INPUT = Change("input", "views differs")


def jobs():
    """Some real jobs: six trainings."""
    plan = Plan(read_study([ROOT / "config.yaml"], {"scale": "test"}))
    plan.target("table4")
    return [job for job in plan.jobs.values() if job.stage == "train_classifier"][:6]


def pending(causes, copy_of=None, seconds=50.0):
    return tuple(Pending(job, cause, copy_of, seconds) for job, cause in zip(jobs(), causes, strict=True))


def test_all_that_the_papers_scale_makes_for_the_first_time_is_a_line_a_stage(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = read_study([ROOT / "config.yaml"], {"scale": "paper"})
    lines = tell_plan([target_path(name) for name in targets(MAIN)], study).splitlines()
    assert len(lines) <= 20 and max(map(len, lines)) <= 112
    assert "read_shard: 104 jobs: shapenet-airplane-000 … shapenet-vessel-007" in lines
    assert lines[-3] == "all because made for the first time" and "because" not in "".join(lines[:-3])
    assert len(tell_plan(["results/table4.csv"], study, full=True).splitlines()) > len(lines)


def test_causes_stand_by_kind_with_their_numbers():
    epochs, rate = Change("parameter", "epochs: 1 → 2"), Change("parameter", "learning_rate: 0.02 → 0.03")
    code = Change("code", "src/robust3d/training/loop.py: step")
    causes = [(epochs, INPUT), (epochs, INPUT), (epochs, code, INPUT), (rate, INPUT), (FIRST,), (INPUT,)]
    outlook = Outlook(pending(causes), {"x": 3})
    first, *lines = brief(outlook).splitlines()
    assert first.startswith(
        "train_classifier: 6 jobs, about 5 min, 1 copied if their inputs turn out to be the same: categories-"
    )
    assert lines == [
        "all because code src/robust3d/training/loop.py: step (1 of them)",
        "all because parameter epochs: 1 → 2 (3 of them)",
        "all because parameter learning_rate: 0.02 → 0.03 (1 of them)",
        "all because made for the first time (1 of them)",
        "all because its inputs differ (1 of them)",
        "reused as they are: 3 x",
        "6 jobs in all, one after another about 5 min",
    ]
    full = as_text(outlook)
    assert full.count("because input views differs") == 4 and all(job.label in full for job in jobs())


def test_what_only_follows_is_told_and_may_be_copied():
    told = brief(Outlook(pending([(INPUT,)] * 6), {}))
    assert "6 copied if their inputs turn out to be the same" in told and "because input views differs" in told
    told = brief(Outlook(pending([(INPUT,)] * 6, copy_of="earlier"), {}))
    assert "6 copied from earlier ones" in told and told.endswith("one after another no time")


def test_many_causes_fit_a_line():
    many = tuple(Change("parameter", f"key{number}: {number} → {'9' * number}") for number in range(40, 0, -1))
    lines = brief(Outlook(pending([many] * 6), {})).splitlines()
    assert len(lines) == 4 and lines[1].startswith("all because 40 changes of parameter: key1: 1 → 9, key2: 2 → 99, ")
    assert len(lines[1]) == 112 and lines[1].endswith("…")


def test_stages_with_causes_of_their_own_have_them_below():
    plan = Plan(read_study([ROOT / "config.yaml"], {"scale": "test"}))
    plan.target("table4")
    made = {job.stage: job for job in plan.jobs.values()}
    code = Change("code", "src/robust3d/seeds.py: numpy_generator")
    shared = [Pending(made[stage], (code,), None, None) for stage in ("build_shapes", "render_shard")]
    assert brief(Outlook(tuple(shared), {})).splitlines()[2:3] == [f"all because code {code.text}"]
    first = Pending(made["draw_set"], (FIRST,), None, None)
    lines = brief(Outlook((*shared, first), {})).splitlines()
    assert [line.split()[0] for line in lines[:6]] == [
        "build_shapes:",
        "because",
        "render_shard:",
        "because",
        "draw_set:",
        "because",
    ]
    assert lines[5] == "    because made for the first time"
