"""Accuracy under attack: models, curves over budgets, areas under them, and cells."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from robust3d.attacks.budgets import Budget, no_attack
from robust3d.tables.cells import conditions, percent, pointer, run_flags, source
from robust3d.tables.statistics import difference, interval

if TYPE_CHECKING:
    from robust3d.attacks.params import Norm
    from robust3d.provenance.runner import Context
    from robust3d.study.config import Study
    from robust3d.study.entries import Experiment

CATEGORIES_STAND_IN = "procedural categories stand in for ShapeNet"
TEXTURES_STAND_IN = "procedural textures stand in for DTD"
OTHER_PICTURES = "the images are not those of the paper"
REAL_OBJECTS = "real objects of Sweet Home 3D's catalogues in place of those of the paper"
NOT_FINITE = {
    "nonfinite_logits": "adversarial images count as broken because their logits are not finite",
    "nonfinite_gradients": "entries of gradients were not finite and counted as zero",
}


def trained_against(study: "Study", experiment: "Experiment", norm: "Norm") -> list[str]:
    """Keys of an experiment's classifiers that are adversarially trained against a norm."""
    return [key for key in experiment.classifiers if study.classifiers[key].trained_against == norm]


def object_flags(kind: str | None) -> list[str]:
    """Sentences on objects that are not the paper's, by the kind of their family."""
    return {"categories": [CATEGORIES_STAND_IN], "sweethome3d": [REAL_OBJECTS]}.get(kind or "", [])


def stand_ins(study: "Study", experiment: "Experiment") -> list[str]:
    """Flags on stand-ins for published data in an experiment's images."""
    image_set, family = study.sets[experiment.set], study.family_of(experiment.set)
    if family is None:
        return [OTHER_PICTURES]
    flags = object_flags(study.families[family].kind)
    textured = image_set.needs_textures and study.textures.source == "procedural"
    return flags + ([TEXTURES_STAND_IN] if textured else [])


@dataclass(frozen=True)
class Attacked:
    """AutoAttack results of one model.

    Attributes:
        metrics: of the attack.
        budgets: E + 1 of them, ascending from 0.
        correct: (E + 1, images) bool, classified correctly and not fooled within the budget.
        metrics_path: file of the metrics.
        outcomes_path: file of the outcomes.
    """

    metrics: dict[str, Any]
    budgets: tuple[Budget, ...]
    correct: np.ndarray
    metrics_path: Path
    outcomes_path: Path

    @property
    def accuracy(self) -> np.ndarray:
        """(E + 1,) shares of images."""
        return self.correct.mean(axis=1)

    @property
    def names(self) -> list[str]:
        """Names of the budgets."""
        return [str(budget) for budget in self.budgets]

    def at(self, budget: str) -> np.ndarray:
        """(images,) bool at the budget of that name."""
        return self.correct[self.names.index(budget)]

    @property
    def chance(self) -> float:
        """Accuracy of guessing."""
        return 1 / len(self.metrics["classifier"]["classes"])

    def sources(self, budget: str) -> list[dict[str, str]]:
        """Sources of the accuracy at a budget: its metrics and the outcomes of the images."""
        clean, least, *_ = self.names
        if budget == clean:
            value, images = pointer("clean_accuracy"), f"correct where budget = {least}"
        else:
            value, images = pointer("robust", budget, "accuracy"), f"robust where budget = {budget}"
        return [source(self.metrics_path, value), source(self.outcomes_path, images)]


def read_attacked(job: "Context", names: Sequence[str]) -> list[Attacked]:
    """The models of one column, by the names of their outcomes."""
    return [_read(job.named("metrics", name), job.named("outcomes", name)) for name in names]


def _read(metrics: Path, outcomes: Path) -> Attacked:
    import pandas as pd  # not at the top: planning imports this module

    frame = pd.read_parquet(outcomes, columns=["image", "norm", "budget", "correct", "robust"])
    robust = frame.pivot(index="budget", columns="image", values="robust")
    budgets = sorted(map(Budget, robust.index))
    clean = frame.drop_duplicates("image").sort_values("image")["correct"].to_numpy()
    return Attacked(
        json.loads(metrics.read_text()),
        (no_attack(frame["norm"].iloc[0]), *budgets),
        np.vstack([clean, robust.loc[list(map(str, budgets))].to_numpy()]),
        metrics,
        outcomes,
    )


def area_under(epsilons: Sequence[float], accuracy: np.ndarray) -> float:
    """Mean accuracy over the budgets from 0 to the largest: the trapezoid rule, divided by the largest budget.

    Args:
        epsilons: (E + 1,), ascending from 0.
        accuracy: (E + 1,).
    """
    return float((np.diff(epsilons) * (accuracy[1:] + accuracy[:-1]) / 2).sum() / epsilons[-1])


def robust_cell(
    models: Sequence[Attacked],
    peers: Sequence[Sequence[Attacked]],
    scratch: str,
    budget: str,
    seed: int,
    flags: Sequence[str],
) -> dict[str, Any]:
    """The entries of a cell, except its place in a table: accuracy at one budget; 0 means no attack.

    Args:
        models: one for each training seed.
        peers: all columns with the same training, attack and images, adversarial training from scratch first. A control
            is compared with that one only.
        scratch: column of the first of them.
        budget: the name of one that was attacked, or of 0.
        seed: of the bootstrap.
        flags: sentences that always belong to the number.
    """
    correct, *columns = ([model.at(budget) for model in column] for column in (models, *peers))
    value = float(np.mean([outcome.mean() for outcome in correct]))
    areas = [area_under(model.budgets, model.accuracy) for model in models]
    metrics = [model.metrics for model in models]
    word = "robust" if Budget(budget) > 0 else "correct"
    return {
        "text": percent(value),
        "value": 100 * value,
        "unit": "%",
        "formula": f"mean over seeds of {word} images / test images, x 100, one decimal",
        "n": len(correct[0]),
        "interval": interval(correct),
        "difference_to_AT": {"to": scratch, **difference(correct, columns[0], columns, seed)},
        "clean_accuracy": float(np.mean([content["clean_accuracy"] for content in metrics])),
        "chance": models[0].chance,
        "area_under_curve": {
            "value": float(np.mean(areas)),
            "grid": list(map(float, models[0].budgets)),
            "formula": "mean over seeds of the trapezoid rule over the grid / largest budget",
        },
        "accuracy_at_huge_epsilon": [content["sanity"] for content in metrics],
        "printed": None,
        "flags": list(dict.fromkeys([*flags, *chance_flags(models), *attack_flags(metrics)])),
        "attack_flags": [content["flags"] for content in metrics],
        "conditions": [conditions(content["classifier"]) for content in metrics],
        "sources": [found for pair in zip(*(model.sources(budget) for model in models)) for found in pair],
    }


def chance_flags(models: Sequence[Attacked]) -> list[str]:
    """A flag if the clean accuracy is at chance: robust accuracy then means nothing."""
    clean = interval([model.correct[0] for model in models])
    return [] if clean["low"] > models[0].chance else ["clean accuracy is not beyond chance: the training did not work"]


def attack_flags(metrics: Sequence[dict[str, Any]]) -> list[str]:
    """Flags on the models and their attacks that belong to the number."""
    flags = run_flags([content["classifier"] for content in metrics])
    for content in metrics:
        found = content["flags"]
        flags += found["notices"]
        flags += [
            f"attack warning: {name.replace('_', ' ')}"
            for name in ("randomised", "probabilities", "gradient_in_forward", "square_suspicious")
            if found[name]
        ]
        flags += [f"zero gradients at {count} starts of {name}" for name, count in found["zero_gradients"].items()]
        flags += [f"{found[name]} {meaning}" for name, meaning in NOT_FINITE.items() if found[name]]
        flags += [f"robust accuracy is NOT VALID: {reason}" for reason in found["invalid"]]
    return flags
