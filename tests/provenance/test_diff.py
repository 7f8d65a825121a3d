"""Planted differences between two small results folders, each named by its kind and place."""

import copy
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from robust3d.errors import UserError
from robust3d.files import sealed
from robust3d.provenance.diff import diff, tell

Records = dict[str, dict[str, Any]]


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def record(stage: str, job: str, inputs: dict[str, list[tuple[str, str]]], outputs: dict[str, str]) -> dict[str, Any]:
    """A record: inputs as (path, content), outputs as path → content."""
    return {
        "job": job,
        "spec": {
            "stage": stage,
            "params": {"width": 3, "light": {"sun": 0.5}, "seed": 0},
            "modules": [f"robust3d.stages.{stage}"],
            "code": sha(f"code of {stage}"),
            "packages": {"numpy": "1.26.4"},
        },
        "code": {
            f"robust3d.stages.{stage}": {
                "file": f"src/robust3d/stages/{stage}.py",
                "sha256": sha("bytes"),
                "meaning": sha("meaning"),
                "parts": {"run": "a" * 12, "helper": "b" * 12},
            }
        },
        "inputs": {
            name: [{"path": path, "sha256": sha(text), "bytes": len(text)} for path, text in files]
            for name, files in inputs.items()
        },
        "outputs": {
            f"out{n}": {"path": path, "sha256": sha(text), "bytes": len(text)}
            for n, (path, text) in enumerate(outputs.items())
        },
        "environment": {"python": "3.11.7", "lock": sha("lock"), "packages": {"numpy": "1.26.4"}},
        "host": {
            "name": "a",
            "system": "Linux",
            "threads": 1,
            "gpu": None,
            "processor": "EPYC",
            "instruction_set": None,
        },
        "started": "2026-01-01T00:00:00+00:00",
    }


SHAPES = "results/build_shapes/geons-cone-0123456789ab/record.json"
SHARD = "results/render_shard/geons-cone-000-0123456789ab/record.json"
TRAINED = "results/train_classifier/set-linf-scratch-s0-0123456789ab/record.json"
TABLE = "results/table9.record.json"


def plain() -> Records:
    """External file → shapes → shard → classifier → table."""
    shapes, shard = SHAPES.replace("record.json", "shapes.npz"), SHARD.replace("record.json", "manifest.json")
    trained = TRAINED.replace("record.json", "model.json")
    return {
        SHAPES: record("build_shapes", "geons-cone-0123456789ab", {"mesh": [("/data/a.obj", "mesh")]}, {shapes: "npz"}),
        SHARD: record("render_shard", "geons-cone-000-0123456789ab", {"shapes": [(shapes, "npz")]}, {shard: "views"}),
        TRAINED: record(
            "train_classifier", "set-linf-scratch-s0-0123456789ab", {"views": [(shard, "views")]}, {trained: "weights"}
        ),
        TABLE: record("tabulate", "table9", {"models": [(trained, "weights")]}, {"results/table9.csv": "a,b"}),
    }


def write(records: Records, folder: Path) -> Path:
    """A results folder with these records."""
    for name, content in records.items():
        path = folder.joinpath(*Path(name).parts[1:])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(sealed(content)))
    return folder


def output(records: Records, name: str, text: str) -> None:
    """Other bytes come out of a step, and are read by those after it."""
    (made,) = records[name]["outputs"].values()
    made["sha256"] = sha(text)
    for other in records.values():
        for files in other["inputs"].values():
            for file in files:
                if file["path"] == made["path"]:
                    file["sha256"] = sha(text)


def parameter(records: Records) -> None:
    records[SHARD]["spec"]["params"]["light"]["sun"] = 0.6
    for name in (SHARD, TRAINED, TABLE):
        output(records, name, "other")


def new_parameter(records: Records) -> None:
    records[TRAINED]["spec"]["params"]["momentum"] = 0.9
    output(records, TRAINED, "other")


def parameter_of_the_table(records: Records) -> None:
    records[TABLE]["spec"]["params"]["width"] = 4


def seed(records: Records) -> None:
    records[TRAINED]["spec"]["params"]["seed"] = 1
    output(records, TRAINED, "other")


def function(records: Records) -> None:
    records[SHARD]["spec"]["code"] = sha("new")
    code = records[SHARD]["code"]["robust3d.stages.render_shard"]
    code["meaning"], code["parts"]["helper"] = sha("new"), "c" * 12
    output(records, SHARD, "other")


def module(records: Records) -> None:
    records[TRAINED]["spec"]["code"] = sha("new")
    records[TRAINED]["code"]["robust3d.extra"] = copy.deepcopy(records[SHARD]["code"]["robust3d.stages.render_shard"])


def package(records: Records) -> None:
    records[TRAINED]["spec"]["packages"]["numpy"] = "1.26.5"
    output(records, TRAINED, "other")


def another_lock(records: Records) -> None:
    records[TRAINED]["environment"]["lock"] = sha("new")
    output(records, TRAINED, "other")


def external_file(records: Records) -> None:
    records[SHAPES]["inputs"]["mesh"][0]["sha256"] = sha("another mesh")
    for name in (SHAPES, SHARD, TRAINED, TABLE):
        output(records, name, "other")


def gpu(records: Records) -> None:
    records[TRAINED]["host"]["gpu"] = "H100"
    output(records, TRAINED, "other")


def processor(records: Records) -> None:
    """Another node, but rounding goes with the processor."""
    records[TRAINED]["host"] |= {"name": "b", "processor": "Xeon", "instruction_set": {"torch": "AVX2"}}
    output(records, TRAINED, "other")


def another_host(records: Records) -> None:
    records[TRAINED]["host"]["name"] = "b"
    output(records, TRAINED, "other")


def numerics(records: Records) -> None:
    records[TRAINED]["spec"]["numerics"] = {"ATEN_CPU_CAPABILITY": "avx2"}
    output(records, TRAINED, "other")


def nothing_told(records: Records) -> None:
    output(records, SHARD, "noise")
    output(records, TRAINED, "other")


def gone(records: Records) -> None:
    del records[SHAPES]
    records[SHARD]["inputs"] = {}


PLANTED: list[tuple[Callable[[Records], None], str, str, str]] = [
    (parameter, "parameter", "render_shard geons-cone-000", "light.sun: 0.5 → 0.6"),
    (new_parameter, "parameter", "train_classifier set-linf-scratch-s0", "momentum: (none) → 0.9"),
    (parameter_of_the_table, "parameter", "tabulate table9", "width: 3 → 4"),
    (seed, "seed", "train_classifier set-linf-scratch-s0", "seed: 0 → 1"),
    (function, "code", "render_shard geons-cone-000", "render_shard.py: helper"),
    (module, "code", "train_classifier set-linf-scratch-s0", "robust3d.extra is new"),
    (package, "package", "train_classifier set-linf-scratch-s0", "numpy: 1.26.4 → 1.26.5"),
    (another_lock, "package", "train_classifier set-linf-scratch-s0", "lock"),
    (external_file, "input", "build_shapes geons-cone", "/data/a.obj"),
    (gpu, "hardware only", "train_classifier set-linf-scratch-s0", "gpu: None → H100"),
    (processor, "processor", "train_classifier set-linf-scratch-s0", "processor: EPYC → Xeon; instruction_set"),
    (another_host, "hardware only", "train_classifier set-linf-scratch-s0", "name: a → b"),
    (numerics, "parameter", "train_classifier set-linf-scratch-s0", "numerics: native → portable"),
    (nothing_told, "nondeterminism", "render_shard geons-cone-000", "equal"),
    (gone, "missing", "build_shapes geons-cone", "shapes of render_shard"),
]


@pytest.mark.parametrize(("plant", "kind", "step", "text"), PLANTED, ids=lambda value: getattr(value, "__name__", ""))
def test_a_planted_difference_is_the_only_one_and_named_by_kind(plant, kind, step, text, tmp_path):
    changed = plain()
    plant(changed)
    found = diff(write(plain(), tmp_path / "a"), write(changed, tmp_path / "b"))
    assert [(f.kind, f.step) for f in found] == [(kind, step)]
    assert text in found[0].text and kind in tell(found)


def test_equal_results_have_no_difference_whatever_the_time(tmp_path):
    later = plain()
    for content in later.values():
        content |= {"started": "2027-01-01T00:00:00+00:00", "seconds": 9}
        content["host"]["name"] = "b"
    found = diff(write(plain(), tmp_path / "a"), write(later, tmp_path / "b"))
    assert found == [] and "no difference" in tell(found)


def test_the_furthest_upstream_difference_comes_first(tmp_path):
    changed = plain()
    seed(changed)
    parameter(changed)
    parameter_of_the_table(changed)
    found = diff(write(plain(), tmp_path / "a"), write(changed, tmp_path / "b"))
    assert [f.step.split()[0] for f in found] == ["render_shard", "train_classifier", "tabulate"]


def test_a_difference_without_effect_is_told_as_such(tmp_path):
    changed = plain()
    parameter_of_the_table(changed)
    (found,) = diff(write(plain(), tmp_path / "a"), write(changed, tmp_path / "b"))
    assert found.same_bytes and "(same bytes)" in tell([found])


def test_a_folder_without_records_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no records"):
        diff(write(plain(), tmp_path / "a"), tmp_path / "empty")
    with pytest.raises(UserError, match="no such results folder"):
        diff(tmp_path / "nowhere", tmp_path / "empty")


def test_files_and_folders_do_not_go_together_and_cells_belong_to_folders(tmp_path, monkeypatch):
    a, b = write(plain(), tmp_path / "a"), write(plain(), tmp_path / "b")
    table = a / "table9.csv"
    table.write_text("a,b")
    for one, other in ((table, b), (b, table)):
        with pytest.raises(UserError, match="a file and a folder"):
            diff(one, other)
    with pytest.raises(UserError, match="--cell: belongs to two results folders"):
        diff(table, table, ("table9", "row", "column"))
    with pytest.raises(UserError, match=r"winn3d/table3\.cells\.json: no such file"):
        diff(a, b, ("winn3d/table3", "row", "column"))
    monkeypatch.chdir(tmp_path)
    Path("loose.md").write_text("")
    with pytest.raises(UserError, match="no record"):
        diff(Path("loose.md"), Path("loose.md"))


def test_all_who_read_a_changed_step_are_explained_by_it(tmp_path):
    """Two classifiers on the same views: neither is called nondeterministic."""
    second = TRAINED.replace("linf", "l2")

    def both() -> Records:
        records = plain()
        shard, trained = SHARD.replace("record.json", "manifest.json"), second.replace("record.json", "model.json")
        inputs = {"views": [(shard, "views")]}
        records[second] = record("train_classifier", "set-l2-scratch-s0-0123456789ab", inputs, {trained: "weights"})
        records[TABLE]["inputs"]["others"] = [{"path": trained, "sha256": sha("weights"), "bytes": 7}]
        return records

    changed = both()
    parameter(changed)
    output(changed, second, "other")
    found = diff(write(both(), tmp_path / "a"), write(changed, tmp_path / "b"))
    assert [(f.kind, f.step) for f in found] == [("parameter", "render_shard geons-cone-000")]
