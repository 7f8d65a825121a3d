import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from configuration import at_test_scale
from safetensors.numpy import save_file

from robust3d import cli
from robust3d.command_line import parser
from robust3d.errors import UserError
from robust3d.files import sealed, sha256
from robust3d.provenance import recompute as module
from robust3d.provenance import runner
from robust3d.provenance.likeness import apart
from robust3d.provenance.recompute import recompute, tell
from robust3d.study.jobs import Job
from robust3d.study.plan import Plan
from robust3d.study.reading import load_study

ROOT = Path(__file__).parents[2]


@pytest.fixture
def jobs(tmp_path, monkeypatch) -> list[Job]:
    """Two cheap finished jobs, in a folder of their own."""
    values = at_test_scale()
    (tmp_path / "envs").symlink_to(ROOT / "envs")
    monkeypatch.chdir(tmp_path)
    # The tests' process has imported more than a job may.
    monkeypatch.setattr(runner, "_check_imports", lambda roots: None)
    plan = Plan(load_study(values))
    jobs = [plan.build_shapes("geons", name) for name in ("cone", "cuboid")]
    for job in jobs:
        outputs = {name: Path(job.output(name)) for name in ("shapes", "manifest", "record")}
        runner.run(job.spec, job.id, {}, outputs, 1, ["robust3d", "run"])
    return jobs


def edit(job: Job, **changes):
    """Change a record and seal it again."""
    path = Path(job.output("record"))
    record = json.loads(path.read_text())
    for name, output in record["outputs"].items():
        output["sha256"] = sha256(Path(job.output(name)))
    path.write_text(json.dumps(sealed(record | changes | {"host": record["host"] | changes.get("host", {})})))


def shift(job: Job, by: float):
    """Move the vertices of a finished job's meshes."""
    with np.load(job.output("shapes")) as file:
        arrays = dict(file)
    moved = {k: (v + v.dtype.type(by) if np.issubdtype(v.dtype, np.floating) else v) for k, v in arrays.items()}
    np.savez(job.output("shapes"), **moved)


def contents():
    return {path: path.stat().st_mtime_ns for path in Path("results").rglob("*")}


def test_a_repetition_gives_the_same_bytes_and_touches_nothing(jobs):
    before = contents()
    found = recompute(5, (), ())
    assert {output.verdict for output in found.outputs} == {"same bytes"} and found.is_good
    assert {output.job for output in found.outputs} == {f"build_shapes {job.id}" for job in jobs}
    assert contents() == before
    assert "4 same bytes" in tell(found)


def test_no_job_at_all_is_refused(jobs, monkeypatch):
    for count in ("0", "-3"):
        monkeypatch.setattr(sys, "argv", ["robust3d", "verify", "--recompute", count])
        with pytest.raises(SystemExit):
            cli.main()
    with pytest.raises(UserError, match="--recompute 0: name at least one job"):
        cli.COMMANDS["verify"](parser(None).parse_args(["verify", "--recompute", "0"]))


def test_a_result_by_its_full_path_is_made_again(jobs):
    (output, *_) = recompute(1, [str(Path(jobs[1].output("shapes")).resolve())], ()).outputs
    assert output.verdict == "same bytes" and output.job == f"build_shapes {jobs[1].id}"


def test_the_cheapest_goes_first(jobs):
    edit(jobs[0], cpu_seconds=9.0)
    edit(jobs[1], cpu_seconds=2.0)
    assert {output.job for output in recompute(1, (), ()).outputs} == {f"build_shapes {jobs[1].id}"}


def test_other_bytes_on_this_processor_are_different(jobs):
    shift(jobs[0], 1e-6)
    edit(jobs[0])
    found = recompute(2, (), ())
    verdicts = {(output.job, output.output): output.verdict for output in found.outputs}
    assert verdicts[f"build_shapes {jobs[0].id}", "shapes"] == "different" and not found.is_good
    assert verdicts[f"build_shapes {jobs[1].id}", "shapes"] == "same bytes"


def test_another_processor_may_round_otherwise(jobs):
    """... by a little: the same within a tolerance that is said; by more: different."""
    for by, verdict in ((1e-6, "within tolerance"), (0.01, "different")):
        shift(jobs[0], by)
        edit(jobs[0], host={"processor": "Another One"})
        found = recompute(2, (), ())
        mine = next(o for o in found.outputs if o.output == "shapes" and o.job.endswith(jobs[0].id))
        assert mine.verdict == verdict and "made on Another One" in mine.detail
        assert "tolerance: numbers within 0.0001" in tell(found)


def test_other_code_or_inputs_are_left_out_with_a_reason(jobs, monkeypatch):
    monkeypatch.setattr(module, "closure_digest", lambda roots: "0" * 64)
    found = recompute(2, (), ())
    assert not found.outputs and set(found.left_out.values()) == {"its code has changed since"} and not found.is_good
    assert "nothing could be run again" in tell(found)


def test_stages_are_chosen_by_name(jobs):
    assert not recompute(1, (), ["pretrain"]).outputs
    with pytest.raises(UserError, match="--stage teapot: no such stage; there are inventory"):
        recompute(1, (), ["teapot"])
    with pytest.raises(UserError, match="--recompute 0"):
        recompute(0, (), ())


def test_files_of_every_kind_are_compared_by_their_numbers(tmp_path):
    rng = np.random.default_rng(0)
    values = rng.random(50).astype(np.float32)
    flags = rng.random(50) < 0.5

    def write(folder, by, flip=False):
        folder.mkdir()
        other = flags ^ (np.arange(50) == 3) if flip else flags
        save_file({"w": values + np.float32(by)}, folder / "a.safetensors")
        pd.DataFrame({"v": values + np.float32(by), "robust": other}).to_parquet(folder / "b.parquet")
        (folder / "c.json").write_text(json.dumps({"x": [0.5 + by, 1], "sha256": str(by), "ok": bool(other[3])}))
        (folder / "d.csv").write_text(f"threat,AT\nLinf 8/255,{40 * (1 + by):.6f}\n")
        return folder

    one = write(tmp_path / "one", 0.0)
    near, far, flipped = write(tmp_path / "near", 2e-5), write(tmp_path / "far", 0.01), write(tmp_path / "f", 0, True)
    for name in ("a.safetensors", "b.parquet", "c.json", "d.csv"):
        assert apart(one / name, near / name) is None, name
        assert apart(one / name, far / name) is not None, name
    assert "robust" in apart(one / "b.parquet", flipped / "b.parquet")
    assert "ok" in apart(one / "c.json", flipped / "c.json")
    (tmp_path / "e.csv").write_text("threat,XX\nLinf 8/255,40.000000\n")
    assert "words" in apart(one / "d.csv", tmp_path / "e.csv")
