"""Probes by hand: files as AutoAttack and the shift test write them, with outcomes that we choose."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from robust3d.attacks.budgets import Budget
from robust3d.named import OUTCOMES, input_name
from robust3d.provenance.runner import Context

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

    def attack(self, clean: list[int], robust: dict[float, list[int]], norm: str = "L2", **info: Any) -> str:
        """One attacked model: for each image 1 or 0, clean and within each budget; the name of its outcomes."""
        frames = [
            pd.DataFrame(
                {
                    "image": range(len(clean)),
                    "norm": norm,
                    "budget": str(Budget(epsilon)),
                    "correct": clean,
                    "robust": outcomes,
                }
            )
            for epsilon, outcomes in robust.items()
        ]
        frame = pd.concat(frames).astype({"correct": bool, "robust": bool}).sample(frac=1, random_state=0)
        told = {"clean_accuracy": float(np.mean(clean)), "flags": FLAGS, "classifier": classifier(**info),
                "sanity": {"epsilon": 9.0, "accuracy": 0.0},
                "robust": {str(Budget(e)): {"accuracy": float(np.mean(r))} for e, r in robust.items()}}  # fmt: skip
        return self._add("attack", told, frame)

    def shift(self, shifted: list[int]) -> str:
        """One model tested on shifted images; unshifted it is always right."""
        images = {"image": range(len(shifted))}
        frame = pd.concat(
            [
                pd.DataFrame({**images, "images": "shifted", "correct": np.array(shifted, bool)}),
                pd.DataFrame({**images, "images": "set", "correct": True}),
            ]
        )
        return self._add("shift", {"classifier": classifier(), "shifted": {"accuracy": float(np.mean(shifted))}}, frame)

    def _add(self, probe: str, told: dict[str, Any], frame: pd.DataFrame) -> str:
        name = f"{probe}-{len(self.inputs)}"
        metrics, outcomes = self.folder / f"{name}.json", self.folder / f"{name}.parquet"
        metrics.write_text(json.dumps(told))
        frame.to_parquet(outcomes)
        self.inputs |= {input_name(kind, name): [path] for kind, path in zip(OUTCOMES, (metrics, outcomes))}
        return name

    def job(self, **params: Any) -> Context:
        """What a table's or figure's `write` is given."""
        outputs = {name: self.folder / f"target{suffix}" for name, suffix in
                   (("picture", ".svg"), ("table", ".csv"), ("cells", ".cells.json"))}  # fmt: skip
        told = {"study": "test", "seed": 0, **params}
        return Context(told, self.inputs, outputs, self.folder / "progress", threads=1)
