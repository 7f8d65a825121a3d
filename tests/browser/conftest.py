import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SVG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 300" width="800" height="300">'
    b'<script>document.title = "ran"</script><path d="M10 10L700 250" stroke="black"/></svg>'
)
HOSTILE = "</script><img src=x onerror=alert(1)>"
STABLE = {"csv": "table", "cells.json": "cells", "png": "picture", "svg": "picture"}  # what targets call their files
ODD_JOB = "<img src=x onerror=alert(2)>"  # as a folder's name; a slash cannot be in one


class Results:
    """A small results folder made by hand: two classes, one pre-training, two classifiers, Tables 1 and 4, Figures 2
    and 4, the comparison."""

    def __init__(self, root: Path) -> None:
        self.root = root / "results"
        self.root.mkdir()
        shapes = {name: self.job("build_shapes", f"toys-{name}", {"shapes.npz": b"mesh"}) for name in ("ball", "cube")}
        shards = {name: self._shard(name, made["shapes.npz"]) for name, made in shapes.items()}
        self.shard = shards["ball"]["views.h5"]
        self.index = self._index(shards)
        self.set = self.job("draw_set", "toys", {"set.parquet": b"rows"}, {"views": [self.index]})["set.parquet"]
        self.pretrain = self._pretrain()
        encoder = self.job(
            "extract_encoder", "ae-toys-s0", {"encoder.json": b"{}"}, {"model": [self.pretrain["model.json"]]}
        )
        at = self._attacked("toys-linf-scratch-s0", [])
        ours = self._attacked("toys-linf-ae-s0", [encoder["encoder.json"]])
        self._measured("tabulate", "table4", {"AT": at, HOSTILE: ours})
        self._measured("plot", "figure4", {"AT": at, HOSTILE: ours}, {"figure4.svg": SVG})
        self._measured("plot", "comparison", {"AT": at, HOSTILE: ours}, {"comparison.svg": SVG})
        self._table1()
        self._figure2()

    def job(
        self,
        stage: str,
        label: str,
        files: dict[str, bytes],
        inputs: dict[str, list[str]] | None = None,
        params: dict[str, Any] | None = None,
        folder: str | None = None,
    ) -> dict[str, str]:
        """Write a job's files and its record; the names of the files as records name them."""
        digest = hashlib.sha256(f"{stage}{label}".encode()).hexdigest()[:12]
        job = f"{label}-{digest}" if folder is None else label
        place = self.root / stage / job if folder is None else self.root
        place.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (place / name).write_bytes(content)
        names = {name: f"results/{(place / name).relative_to(self.root)}" for name in files}

        def output(name: str) -> str:
            stem, _, ending = name.partition(".")
            return stem if folder is None else STABLE[ending]

        record = {
            "job": job,
            "spec": {"stage": stage, "params": params or {"seed": 7}, "code": "c0de"},
            "code": {f"robust3d.stages.{stage}": {"file": f"robust3d/stages/{stage}.py", "sha256": "ab" * 32}},
            "command": ["robust3d", "run", stage, "--spec", '{"a": "b"}'],
            "inputs": {name: [self.file(path) for path in paths] for name, paths in (inputs or {}).items()},
            "outputs": {output(name): self.file(path) for name, path in names.items()},
            "environment": {"python": "3.11.7", "packages": {"numpy": "1.26.4"}},
            "host": {"name": "bench", "system": "Linux", "threads": 1, "gpu": None},
            "slurm": {}, "notes": {}, "started": "2026-01-02T03:04:05+00:00", "seconds": 12.3, "cpu_seconds": 11.0,
            "peak_memory_mb": 321.0, "reused": None, "accepted": None, "key": "0", "schema": 2,
        }  # fmt: skip
        (place / ("record.json" if folder is None else f"{label}.record.json")).write_text(json.dumps(record))
        return names

    def path(self, name: str) -> Path:
        return self.root.parent / name

    def file(self, name: str) -> dict[str, Any]:
        content = self.path(name).read_bytes()
        return {"path": name, "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}

    def cells(self, table: str, change: Callable[[dict[str, Any]], None]) -> None:
        path = self.root / f"{table}.cells.json"
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    def _shard(self, name: str, shapes: str) -> dict[str, str]:
        from robust3d.data.frame import Frame
        from robust3d.data.shards import write_shard

        def frames():
            for instance in ("a", "b"):
                for view in range(3):
                    rgba = np.zeros((16, 16, 4), np.uint8)
                    rgba[4:12, 4 : 8 + view] = (200, 40 * view, 90, 255)
                    mask = rgba[..., 3] > 0
                    yield Frame(
                        instance, view, rgba, mask, np.where(mask, 2.0, np.inf).astype(np.float32), np.eye(4), np.eye(3)
                    )

        path = self.root.parent / f"{name}.h5"
        entry = write_shard(path, frames(), class_name=name, resolution_px=16, extent=1.0)
        told = {"class_name": name, "instances": ["a", "b"], "cameras": {"views": 3}, "seed": 7}
        files = {"views.h5": path.read_bytes(), "manifest.json": json.dumps(entry).encode()}
        path.unlink()
        return self.job("render_shard", f"toys-{name}-000", files, {"shapes": [shapes]}, told)

    def _index(self, shards: dict[str, dict[str, str]]) -> str:
        manifest = {"splits": {"train": ["a"], "val": [], "test": ["b"]}}
        inputs = {"shards": [made["manifest.json"] for made in shards.values()]}
        told = {"family": "toys", "classes": list(shards), "seed": 7}
        return self.job("index_views", "toys", {"manifest.json": json.dumps(manifest).encode()}, inputs, told)[
            "manifest.json"
        ]

    def _pretrain(self) -> dict[str, str]:
        from PIL import Image

        picture = self.root / "r.png"
        Image.new("RGB", (900, 40), "teal").save(picture)
        rows = [
            {"step": step, "training": {"loss": 3 / step}, "validation": {"mse": 1 / step, "mse_baseline": 0.4}}
            for step in (2, 4)
        ]
        files = {
            "model.json": b"{}",
            "metrics.json": json.dumps({"rows": rows}).encode(),
            "reconstructions.png": picture.read_bytes(),
        }
        picture.unlink()
        told = {"method": HOSTILE, HOSTILE: {"deep": [HOSTILE]}, "seed": 7}
        return self.job("pretrain", ODD_JOB, files, {"views": [self.index]}, told)

    def _attacked(self, label: str, encoder: list[str]) -> dict[str, str]:
        import pandas as pd

        rows = [{"step": 9, "training": {"loss": 1.0}, "validation": {"accuracy": 0.8, "chance": 0.5}}]
        inputs = {"set": [self.set], "views": [self.index], "encoder": encoder}
        files = {"classifier.json": b"{}", "metrics.json": json.dumps({"rows": rows}).encode()}
        trained = self.job("train_classifier", label, files, inputs)
        frame = pd.DataFrame({
            "image": [0, 1, 2], "epsilon": [0.1] * 3, "robust": [True, False, True],
            "class_name": ["ball", "cube", "ball"], "instance": ["b"] * 3, "view": [0, 1, 2],
        })  # fmt: skip
        table = self.root / "o.parquet"
        frame.to_parquet(table)
        files = {
            "metrics.json": json.dumps({"robust": {"0.1": {"accuracy": 2 / 3}}}).encode(),
            "outcomes.parquet": table.read_bytes(),
        }
        table.unlink()
        inputs = {"classifier": [trained["classifier.json"]], "set": [self.set], "views": [self.index]}
        return self.job("probe", f"{label}-linf", files, inputs, {"probe": "autoattack"})

    def _measured(
        self, stage: str, name: str, attacked: dict[str, dict[str, str]], files: dict[str, bytes] | None = None
    ) -> None:
        cells = []
        for column, made in attacked.items():
            metrics, outcomes = self.file(made["metrics.json"]), self.file(made["outcomes.parquet"])
            cells.append({
                "row": "Linf 8/255", "column": column, "text": "66.7", "value": 200 / 3, "unit": "%",
                "formula": "mean", "n": 3,
                "interval": {"low": 0.2, "high": 0.94, "kind": "Wilson"}, "clean_accuracy": 0.9,
                "difference_to_AT": {"value": 0.0, "low": -0.1, "high": 0.1, "kind": "bootstrap"},
                "printed": {"row": "Linf 24/255", "value": 10.28, "comparable": False},
                "flags": ["stand-ins", *([HOSTILE] if column != "AT" else [])],
                "conditions": [{"background": "white", "encoder": {"method": HOSTILE} if column != "AT" else None}],
                "sources": [
                    {"file": metrics["path"], "pointer": "/robust/0.1/accuracy", "sha256": metrics["sha256"]},
                    {"file": outcomes["path"], "pointer": "robust where epsilon = 0.1", "sha256": outcomes["sha256"]},
                ],
            })  # fmt: skip
        content = {"table": name, "study": HOSTILE, "caption": f"Accuracy {HOSTILE}", "index": "threat",
                   "rows": ["Linf 8/255"], "columns": list(attacked), "cells": cells}  # fmt: skip
        inputs = {
            f"{output}:{column}": [made[f"{output}.{end}"]]
            for column, made in attacked.items()
            for output, end in (("metrics", "json"), ("outcomes", "parquet"))
        }
        self._target(stage, name, content, inputs, files)

    def _table1(self) -> None:
        cells = [
            {"row": "Axis", "column": "Values", "text": "S, C", "value": "S, C", "formula": "counted", "sources": []}
        ]
        content = {"table": "table1", "study": "test", "caption": "Features.", "index": "Feature",
                   "rows": ["Axis"], "columns": ["Values"], "cells": cells}  # fmt: skip
        self._target("tabulate", "table1", content, {})

    def _target(
        self,
        stage: str,
        name: str,
        content: dict[str, Any],
        inputs: dict[str, list[str]],
        files: dict[str, bytes] | None = None,
    ) -> None:
        files = {f"{name}.csv": b"a,b\n", f"{name}.cells.json": json.dumps(content).encode()} | (files or {})
        self.job(stage, name, files, inputs, {"table": name, "study": content["study"]}, folder=".")

    def _figure2(self) -> None:
        from PIL import Image

        picture = self.root / "f.png"
        Image.new("RGB", (700, 300), "navy").save(picture)
        content = picture.read_bytes()
        picture.unlink()
        self.job("draw", "figure2", {"figure2.png": content}, {"views": [self.index]}, {"study": "test"}, folder=".")


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Results:
    monkeypatch.chdir(tmp_path)
    return Results(tmp_path)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of such a folder, for tests that only read it."""
    from robust3d.provenance.site import build_site

    root = tmp_path_factory.mktemp("project")
    before = Path.cwd()
    os.chdir(root)
    try:
        Results(root)
        return build_site().resolve().parent
    finally:
        os.chdir(before)
