"""The GPU checks: their machinery here, and all of them where there is a GPU (`pytest -m gpu`)."""

import importlib.util
import json
import math
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from safetensors.numpy import save_file
from torch.autograd import DeviceType

from robust3d import seeds

HERE = Path(__file__).parent


def load(path: Path) -> ModuleType:
    """A script as a module of its own, which other tests cannot mistake for theirs."""
    spec = importlib.util.spec_from_file_location(f"gpu_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


check = load(HERE / "check.py")
stages = load(HERE / "stages.py")
compare = load(HERE / "compare.py")
harness = load(HERE.parent / "benchmarks/harness.py")
prepare = load(HERE / "prepare.py")

BLOCKER = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"trimesh", "bpy", "snakemake", "grimp", "pyautoattack"}:
            raise ImportError(f"{name} is not on a bare machine")

sys.meta_path.insert(0, Refuse())
"""


def test_a_section_that_fails_or_hangs_leaves_its_rows_and_the_others(tmp_path, monkeypatch):
    row = {"what": "speed", "met": False, "bar": 2, "ours": {"median": 1}, "unit": "1/s", "ratio": None, "note": ""}

    def job(name, part):
        part.write_text(json.dumps({"rows": [row], "facts": {"reached": name}}))
        if name == "fails":
            raise ValueError("a reason")
        if name == "is killed":
            os.kill(os.getpid(), 9)
        if name == "hangs":
            time.sleep(60)

    limits = {"hangs": 0.5}
    monkeypatch.setattr(check, "SHORTEST_S", 0.1)
    found = check.run_all(("fails", "is killed", "hangs", "ends"), job, tmp_path, 10, limits)
    assert json.loads((tmp_path / "gpu.json").read_text()) == found and len(list(tmp_path.iterdir())) == 1
    status = {name: section["status"] for name, section in found.items()}
    assert status == {"fails": "failed with exit code 1", "is killed": "failed with exit code -9",
                      "hangs": "stopped after 0.5 s", "ends": "done"}  # fmt: skip
    assert all(section["facts"] == {"reached": name} for name, section in found.items())
    assert "a reason" in found["fails"]["words"] and check.is_good(found["ends"]) and not check.is_good(found["hangs"])
    text = check.summary(found)
    assert text.count("speed: 1 1/s, at least 2: NO") == 4 and "ValueError: a reason" in text
    assert check.run(lambda: None, 0.05) == {"status": "no time left", "seconds": 0.0}
    found["ends"]["rows"][0]["what"] = "loss, agreement with the CPU"
    assert not check.is_good(found["ends"])


def test_busy_time_is_the_union_of_kernels(monkeypatch):
    assert harness.covered([]) == 0
    assert harness.covered([(5, 6), (0, 2), (1, 3), (1.5, 2.5)]) == 4  # 0 to 3 and 5 to 6
    event = lambda kind, start, end, note=False: SimpleNamespace(  # noqa: E731
        device_type=kind, time_range=SimpleNamespace(start=start, end=end), is_user_annotation=note
    )
    events = [
        event(DeviceType.CUDA, 0, 3e5), event(DeviceType.CUDA, 2e5, 4e5), event(DeviceType.CPU, 0, 9e6),
        event(DeviceType.CUDA, 0, 9e6, note=True),
    ]  # fmt: skip
    profile = contextmanager(lambda: iter([SimpleNamespace(events=lambda: events)]))
    monkeypatch.setattr(harness.torch.profiler, "profile", profile)
    row = harness.busy_row("share", lambda: None, 2, 0.25, bar=0.9)  # 0.4 s in two runs of 0.25 s
    assert row.ours.median == pytest.approx(0.8) and row.met is False and row.note.startswith("1 kernels of 200000 us")
    del events[:2], events[1]
    row = harness.busy_row("share", lambda: None, 2, 0.25, bar=0.9)
    assert math.isnan(row.ours.median) and row.met is False


def test_distances_in_closed_form(tmp_path):
    def made(name, scale, shift, rows):
        folder = tmp_path / name
        folder.mkdir()
        save_file({"a": np.full(4, 1.0 * scale), "initial/a": np.ones(9) * scale}, folder / "model.safetensors")
        metrics = {"rows": [{"training": {"loss": 2.0 + shift}, "validation": {"mse": 4.0, "accuracy": shift}}]}
        (folder / "metrics.json").write_text(json.dumps(metrics))
        table = pd.DataFrame({"robust": [row < rows for row in range(8)], "radius": np.linspace(0, shift, 8)})
        table.to_parquet(folder / "outcomes.parquet")
        Image.fromarray(np.full((2, 2), 51 * (scale > 1), np.uint8)).save(folder / "picture.png")
        files = {"model": "model.safetensors", "metrics": "metrics.json", "outcomes": "outcomes.parquet"}
        return {name: folder / file for name, file in files.items()} | {"picture": folder / "picture.png"}

    ours, theirs = made("ours", 1.5, 0.5, 5), made("theirs", 1.0, 0.0, 4)
    found = {what: apart for what, apart, _ in compare.distances(ours, theirs, compare.PLAIN)}
    wanted = {"model": 0.5, "training loss": 0.25, "validation": 0.0, "outcomes": 1 / 8, "picture": 0.2}
    assert found == pytest.approx(wanted)
    assert all(apart == 0 for _, apart, _ in compare.distances(theirs, theirs, compare.PLAIN))


def test_random_numbers_are_drawn_on_the_cpu_while_compared(monkeypatch):
    before = seeds.torch_generator
    early, late = (ModuleType(f"robust3d.{name}") for name in ("early", "late"))
    early.torch_generator = before
    monkeypatch.setitem(sys.modules, early.__name__, early)
    with stages.cpu_draws():
        assert early.torch_generator(1, "step", device="cuda").get_state().equal(before(1, "step").get_state())
        late.torch_generator = seeds.torch_generator  # of a module that is imported meanwhile
        monkeypatch.setitem(sys.modules, late.__name__, late)
    assert seeds.torch_generator is early.torch_generator is late.torch_generator is before
    told = {"loop": {"learning_rate": 0.1, "steps": 9}, "attack": {"step_size": 0.2, "steps": 7}}
    wanted = {"loop": {"learning_rate": 0.001, "steps": 9}, "attack": {"step_size": 0.2, "steps": stages.ATTACK_STEPS}}
    assert stages.gentle(told) == wanted


def test_every_wheel_has_a_locked_version():
    assert all(prepare.version(name)[0].isdigit() for name in prepare.PACKAGES)
    with pytest.raises(SystemExit, match="no nonesuch"):
        prepare.version("nonesuch")


def run_check(data, output, *arguments, **environment):
    command = [sys.executable, str(HERE / "check.py"), *arguments, "--data", str(data), "--output", str(output)]
    said = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)
    return said, json.loads((output / "gpu.json").read_text())


@pytest.fixture(scope="module")
def packed(finished, tmp_path_factory):
    """What `prepare.py` takes along of the tests' scale."""
    place = tmp_path_factory.mktemp("packed")
    stages.pack(finished.folder, place)
    return place


@pytest.mark.slow
def test_all_sections_run_on_a_bare_machine_without_a_gpu(packed, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(BLOCKER)
    hidden = {"CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(tmp_path)}
    said, found = run_check(packed, tmp_path / "out", "--toy", "--seconds", "3000", **hidden)
    assert said.returncode == 0, said.stdout + said.stderr
    assert list(found) == list(check.LIMITS_S)
    assert all(section["status"] == "done" for section in found.values())
    rows = found["stages"]["rows"]
    assert {"pretrain", "extract_encoder", "train_classifier"} <= {row["what"].split()[0] for row in rows}
    assert all(row["ours"]["median"] == 1 for row in rows)  # the same device twice: the same bytes
    said, found = run_check(packed, tmp_path / "other", "training", CUDA_VISIBLE_DEVICES="")
    assert said.returncode == 1 and "sees no GPU here; --toy" in said.stdout


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["none", "normalisation", "draws", "optimiser"])
def test_a_fault_on_one_device_is_seen(packed, tmp_path, monkeypatch, fault):
    from robust3d.models.encoder import Normalise
    from robust3d.training import loop

    root = tmp_path / "root"
    shutil.copytree(packed, root)
    job = next(job for job in stages.learning_jobs(root) if "method ae" in job.choices)
    theirs = stages.run(job, root)
    if fault == "normalisation":
        monkeypatch.setattr(Normalise, "forward", lambda self, images: (images - self.mean) / (1.02 * self.std))
    if fault == "draws":
        monkeypatch.setattr(loop, "torch_generator", lambda *parts, **rest: seeds.torch_generator(*parts, "other"))
    if fault == "optimiser":
        monkeypatch.setattr(loop, "learning_rate", lambda params, step: 2 * params.learning_rate)
    found = list(compare.distances(stages.run(job, root, tmp_path / "again"), theirs, compare.PLAIN))
    assert any(apart > allowed for _, apart, allowed in found) == (fault != "none")


@pytest.mark.gpu
def test_every_learning_stage_on_the_gpu_gives_what_it_gives_on_the_cpu(tmp_path):
    place = tmp_path / "data"
    stages.pack(prepare.make_project(tmp_path / "project"), place)
    said, found = run_check(place, tmp_path / "out", "machine", "stages", "attack", "--seconds", "1800")
    assert found["machine"]["facts"]["gpu"]
    assert said.returncode == 0, said.stdout
