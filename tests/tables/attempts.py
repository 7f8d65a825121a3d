"""Tests of attacks by hand: files as `attack_classifier` and `test_shift` write them, with outcomes that we choose."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

FLAGS = {"randomised": False, "probabilities": False, "gradient_in_forward": False, "square_suspicious": False,
         "notices": [], "zero_gradients": {}, "nonfinite_logits": 0, "nonfinite_gradients": 0,
         "invalid": []}  # fmt: skip
FACTS = ("architecture", "objective", "attack", "attacked", "selection", "augmentation", "normalisation", "start",
         "normalisation_change", "batchnorm", "background", "resolution_px", "training_images", "steps",
         "selected_step", "precision", "devices", "seed")  # fmt: skip


def classifier(**changes: Any) -> dict[str, Any]:
    return {name: None for name in FACTS} | {"classes": list("abcd"), "encoder": None, "collapse": None} | changes


class Attempts:
    """The inputs of a table or figure, growing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inputs: dict[str, list[Path]] = {}

    def attack(self, clean: list[int], robust: dict[float, list[int]], kind: str = "", **info: Any) -> int:
        """One attacked model: for each image 1 or 0, clean and within each budget; its place among the inputs."""
        frames = [
            pd.DataFrame({"image": range(len(clean)), "epsilon": epsilon, "correct": clean, "robust": outcomes})
            for epsilon, outcomes in robust.items()
        ]
        frame = pd.concat(frames).astype({"correct": bool, "robust": bool}).sample(frac=1, random_state=0)
        told = {"clean_accuracy": float(np.mean(clean)), "flags": FLAGS, "classifier": classifier(**info),
                "sanity": {"epsilon": 9.0, "accuracy": 0.0},
                "robust": {f"{e:.6g}": {"accuracy": float(np.mean(r))} for e, r in robust.items()}}  # fmt: skip
        return self._add(kind, told, frame)

    def shift(self, shifted: list[int], kind: str = "shift_") -> int:
        """One model tested on shifted images."""
        frame = pd.DataFrame({"image": range(len(shifted)), "images": "shifted", "correct": np.array(shifted, bool)})
        return self._add(kind, {"classifier": classifier(), "shifted": {"accuracy": float(np.mean(shifted))}}, frame)

    def _add(self, kind: str, told: dict[str, Any], frame: pd.DataFrame) -> int:
        metrics, outcomes = (self.inputs.setdefault(f"{kind}{name}", []) for name in ("metrics", "outcomes"))
        place = self.folder / f"{kind}{len(metrics)}"
        place.mkdir()
        metrics.append(place / "metrics.json")
        outcomes.append(place / "outcomes.parquet")
        metrics[-1].write_text(json.dumps(told))
        frame.to_parquet(outcomes[-1])
        return len(metrics) - 1

    def job(self, **params: Any) -> SimpleNamespace:
        """What a table's or figure's `write` is given."""
        outputs = {name: self.folder / f"target{suffix}" for name, suffix in
                   (("picture", ".svg"), ("table", ".csv"), ("cells", ".cells.json"))}  # fmt: skip
        told = {"study": "test", "seed": 0, **params}
        return SimpleNamespace(inputs=self.inputs, params=told, outputs=outputs)
