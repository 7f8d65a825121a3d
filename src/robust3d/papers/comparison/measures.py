"""What a probe measured, as a number for each test image or site: its mean is the cell.

So means, intervals and differences of all columns come from the same functions.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from robust3d.attacks.budgets import Budget
from robust3d.distortions.parameters import COMMON
from robust3d.tables.ratios import decided, linearised

if TYPE_CHECKING:
    import pandas as pd


def right(outcomes: "pd.DataFrame", images: str) -> np.ndarray:
    """(images,) whether the answer to each image of one set is right."""
    return outcomes[outcomes["images"] == images].sort_values("image")["correct"].to_numpy(float)


def robust(outcomes: "pd.DataFrame", budget: str) -> np.ndarray:
    """(images,) whether an image is right and no attack within a budget changes that."""
    return outcomes[outcomes["budget"] == budget].sort_values("image")["robust"].to_numpy(float)


def area(outcomes: "pd.DataFrame") -> np.ndarray:
    """(images,) the area under the robustness curve of each image by the trapezoid rule, over the largest budget.

    Its mean over images is the area under the curve of their accuracy.
    """
    budgets = sorted(map(Budget, outcomes["budget"].unique()))
    clean = outcomes.drop_duplicates("image").sort_values("image")["correct"].to_numpy(float)
    curve = np.array([clean, *(robust(outcomes, str(budget)) for budget in budgets)])
    steps = np.diff([0.0, *map(float, budgets)])
    return (steps[:, None] * (curve[1:] + curve[:-1]) / 2).sum(0) / float(budgets[-1])


def corrupted(outcomes: "pd.DataFrame") -> np.ndarray:
    """(images,) how often the answer is right, the mean over ImageNet-C's common corruptions and severities."""
    kept = outcomes[outcomes["corruption"].isin(COMMON)]
    by_kind = kept.groupby(["image", "corruption"])["correct"].mean()
    return by_kind.groupby("image").mean().sort_index().to_numpy(float)


def shape(outcomes: "pd.DataFrame") -> np.ndarray | None:
    """(images,) numbers whose mean is the share of the shape in decisions for shape or texture; None: there is none."""
    chosen, counted = shape_and_decided(outcomes)
    return linearised(chosen, counted) if counted.any() else None


def shape_and_decided(outcomes: "pd.DataFrame") -> tuple[np.ndarray, np.ndarray]:
    """(images,) bool twice: whether an image is decided for its shape, and whether for its shape or its texture."""
    decisions = outcomes.sort_values("image")["decision"].to_numpy(str)
    return decisions == "shape", decided(decisions)


def transferred(outcomes: "pd.DataFrame", training: str, labels: int | None) -> np.ndarray:
    """(images,) whether the answer to each test image of a target is right."""
    kept = outcomes[(outcomes["training"] == training) & (outcomes["labels"] == (labels or 0))]
    return kept.sort_values("image")["correct"].to_numpy(float)


def predictivity(outcomes: "pd.DataFrame", region: str) -> np.ndarray:
    """(sites,) Pearson's r of predicted and measured responses, of the layer that was chosen."""
    kept = outcomes[(outcomes["region"] == region) & outcomes["chosen"]]
    return kept.sort_values("site")["score"].to_numpy(float)


MEASURES: dict[str, Callable[..., np.ndarray | None]] = {
    function.__name__: function for function in (right, robust, area, corrupted, shape, transferred, predictivity)
}
WORDS = {  # what a cell is the mean of, over seeds and these
    "right": "right answers / test images",
    "robust": "robust images / test images",
    "area": "trapezoid rule over the budgets from 0 / largest budget",
    "corrupted": "right answers / test images, common corruptions and severities",
    "shape": "decisions for the shape / decisions for shape or texture",
    "transferred": "right answers / test images of all targets",
    "predictivity": "Pearson's r over sites",
}
