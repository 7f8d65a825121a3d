"""Choice of hyper-parameters by cross-validation inside the labelled training images (Flatland section 3.3)."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from robust3d.data.images import ImageData
from robust3d.errors import UserError
from robust3d.seeds import torch_generator
from robust3d.training.classification import labelled
from robust3d.training.loop import TrainingError
from robust3d.training.params import ClassifierParams

P = TypeVar("P", bound=ClassifierParams)
Score = Callable[[P, ImageData, ImageData, str], float]


def choose(params: P, grid: Mapping[str, Sequence[float]], folds: int, images: ImageData, score: Score[P]) -> Any:
    """Try every combination of the grid on every fold, and take the one of the highest mean score.

    Args:
        params: of the training; `labels_per_class` says which images may be seen.
        grid: values to try, by parameter.
        folds: parts that the images are divided into; each is once held out.
        images: all training images.
        score: trains with parameters on images, and scores on others; its last argument names the trial.

    Returns:
        The parameters with the best combination, and what was tried: `folds`, `tried` (values, scores, mean), `chosen`.
        Of equal ones the first is taken; the mean is None where a training diverged.

    Raises:
        UserError: a class has fewer labelled images than folds, or all trainings diverge.
    """
    parts = [(images.part(fit), images.part(test)) for fit, test in _folds(images, params, folds)]
    tried: list[dict[str, Any]] = []
    for number, values in enumerate(itertools.product(*grid.values())):
        chosen = dict(zip(grid, values, strict=True))
        trial = params.model_copy(update={**chosen, "labels_per_class": None})
        try:
            scores = [score(trial, *part, f"search-{number}-{fold}") for fold, part in enumerate(parts)]
        except TrainingError:  # it diverges, and is not taken
            tried.append({**chosen, "scores": [], "mean": None})
        else:
            tried.append({**chosen, "scores": scores, "mean": sum(scores) / len(scores)})
    found = [one for one in tried if one["mean"] is not None]
    if not found:
        raise UserError(f"search: the training diverges with each of {len(tried)} combinations; try smaller values")
    best = max(found, key=lambda one: float(one["mean"]))
    chosen = {name: best[name] for name in grid}
    return params.model_copy(update=chosen), {"folds": folds, "tried": tried, "chosen": chosen}


def _folds(images: ImageData, params: ClassifierParams, folds: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Places to fit on and places held out, with equal shares of each class."""
    places = labelled(images, params)
    fold = torch.empty(len(places), dtype=torch.long)
    labels = images.labels[places].cpu()
    for label in labels.unique().tolist():
        mine = (labels == label).nonzero()[:, 0]
        if len(mine) < folds:
            raise UserError(
                f"search.folds: {folds}, but class {label} has {len(mine)} labelled training images; use fewer folds "
                "or more labels"
            )
        order = torch.randperm(len(mine), generator=torch_generator(params.seed, "folds", label))
        fold[mine[order]] = torch.arange(len(mine)) % folds
    for number in range(folds):
        held_out = (fold == number).to(places.device)
        yield places[~held_out], places[held_out]
