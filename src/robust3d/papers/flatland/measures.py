"""What is measured of every initialisation: transfer, brain predictivity, invariances, features.

Every measure is, for each seed, an array over what it was measured on: test images or sites. So means, intervals and
differences of all of them come from the same functions.
"""

import json
from collections.abc import Sequence
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from robust3d.named import OUTCOMES, Sources
from robust3d.tables.cells import conditions, run_flags, source
from robust3d.tables.statistics import difference, over_seeds
from robust3d.training.precision import average_precision

if TYPE_CHECKING:
    import pandas as pd

    from robust3d.papers.flatland.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

Array = npt.NDArray[np.float64]
SYNTHETIC = "responses are synthetic: they say whether the measure works, and nothing of brains"
SMALL = "images, networks and training are far smaller than the proposal's"


def sources(
    plan: "Plan", section: "Section", kinds: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Parameters and inputs of a table that is made from some kinds of measures: transfer, brain, features."""
    from robust3d.study.learning_jobs import transfer  # for planning; writing needs none of it

    found, study = Sources(plan), plan.study
    experiment = study.experiments[section.experiment]
    rows = []
    for start in section.starts:
        row: dict[str, Any] = {**start.model_dump(), "transfer": {}, "brain": [], "features": []}
        if "transfer" in kinds:
            for target in section.targets:
                jobs = [
                    transfer(
                        plan,
                        section.experiment,
                        start.pretraining,
                        target.set,
                        tuple(section.trainings),
                        section.labels,
                        seed,
                    )
                    for seed in study.training_seeds
                ]
                row["transfer"][target.label] = [found.add(job, *OUTCOMES) for job in jobs]
        for kind in ("brain", "features"):
            if kind in kinds:
                probe = getattr(section, kind)
                row[kind] = found.outcomes(section.experiment, probe, section.frozen, start.pretraining)
        rows.append(row)
    responses = getattr(study.probe(section.brain, experiment).params, "assembly", None)
    params = {
        "study": study.study,
        "seed": study.seed,
        "rows": rows,
        "targets": [target.label for target in section.targets],
        "trainings": section.trainings,
        "labels": list(section.labels),
        "precision": section.precision,
        "random": section.random,
        "changes": section.changes,
        "regions": list(study.probe(section.brain, experiment).params.regions),  # type: ignore[attr-defined]
        "synthetic": responses is None,
        "flags": [] if study.study == "paper" else [SMALL],
    }
    return params, found.inputs, {}


class Start:
    """The measures of one initialisation."""

    def __init__(self, job: "Context", row: dict[str, Any]) -> None:
        self.job, self.row = job, row
        self.label, self.images = row["label"], row["images"]
        self.flat_of, self.part_of = row["flat_of"], row["part_of"]
        self.than = row["than"] or job.params["random"]

    @cache  # noqa: B019  (one object a table)
    def _outcomes(self, name: str) -> "pd.DataFrame":
        import pandas as pd  # planning imports this module and needs none of it

        frame: pd.DataFrame = pd.read_parquet(self.job.named("outcomes", name))
        return frame

    @cache  # noqa: B019
    def _metrics(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.job.named("metrics", name).read_text())
        return found

    @cache  # noqa: B019
    def transfer(self, target: str, training: str, labels: int | None) -> list[Array]:
        """Right answers to the test images of a target, for each seed; of several labels: the classes' precisions."""
        found = []
        for name in self.row["transfer"][target]:
            frame = self._outcomes(name)
            kept = frame[(frame["training"] == training) & (frame["labels"] == (labels or 0))]
            if self.several_labels(target):
                found.append(_precisions(kept, self.job.params["precision"]))
            else:
                found.append(kept.sort_values("image")["correct"].to_numpy(float))
        return found

    def several_labels(self, target: str) -> bool:
        """Whether the images of a target show several classes each."""
        return "shown" in self._outcomes(self.row["transfer"][target][0])

    def chance(self, target: str) -> float:
        """Accuracy of guessing the classes of a target, or mean average precision of equal scores for all."""
        first = self._metrics(self.row["transfer"][target][0])["cells"][0]
        return float(first["chance"]) if "chance" in first else 1 / len(first["classifier"]["classes"])

    def searched(self, target: str, training: str, labels: int | None) -> list[dict[str, Any]]:
        """The hyper-parameters that cross-validation chose, for each seed; [] if nothing was searched."""
        cells = [cell for name in self.row["transfer"][target] for cell in self._metrics(name)["cells"]]
        kept = [cell for cell in cells if (cell["training"], cell["labels"]) == (training, labels)]
        return [cell["classifier"]["search"]["chosen"] for cell in kept if "search" in cell["classifier"]]

    def everywhere(self, training: str, labels: int | None) -> list[Array]:
        """The same of all targets, end to end; a target counts by its test images, or by its classes."""
        parts = [self.transfer(target, training, labels) for target in self.job.params["targets"]]
        return [np.concatenate(of_seed) for of_seed in zip(*parts, strict=True)]

    def validation(self, training: str, labels: int | None) -> float:
        """Mean accuracy on the validation images of all targets and seeds."""
        cells = [cell for names in self.row["transfer"].values() for name in names
                 for cell in self._metrics(name)["cells"]]  # fmt: skip
        kept = [cell for cell in cells if (cell["training"], cell["labels"]) == (training, labels)]
        found = [cell["classifier"]["validation"] for cell in kept]
        return float(np.mean([one.get("accuracy", one.get("mean_average_precision")) for one in found]))

    @cache  # noqa: B019
    def predictivity(self, region: str) -> list[Array]:
        """Pearson's r at each site of a region, of the chosen layer, for each seed."""
        found = []
        for name in self.row["brain"]:
            frame = self._outcomes(name)
            kept = frame[(frame["region"] == region) & frame["chosen"]]
            found.append(kept.sort_values("site")["score"].to_numpy(float))
        return found

    def regions(self) -> list[dict[str, Any]]:
        """What the brain probe says of the regions, for each seed."""
        return [self._metrics(name)["regions"] for name in self.row["brain"]]

    def features(self, name: str, images: str = "set") -> "tuple[pd.DataFrame, Array]":
        """The rows of one set's images by class, object and view, and their features (images, width)."""
        frame = self._outcomes(name)
        kept = frame[frame["images"] == images].sort_values(["class_name", "instance", "view"])
        columns = [column for column in kept.columns if column.startswith("feature")]
        values = kept[columns].to_numpy(float)
        return kept[["class_name", "instance", "view"]].reset_index(drop=True), values[:, ~np.isnan(values).all(0)]

    @cache  # noqa: B019
    def invariance(self, change: str | None) -> list[Array]:
        """1 - d / D for each image and seed: d squared distance to the changed image, D of two images at random.

        1: the features do not change; 0: they change as much as from one picture to another. `change` None is another
        view of the same object (rotation), the mean over all.
        """
        found = []
        for name in self.row["features"]:
            rows, ours = self.features(name)
            apart = 2 * ours.var(0).sum()
            if change is None:
                moved = _to_other_views(rows, ours)
            else:
                others, theirs = self.features(name, change)
                if not rows.equals(others):
                    raise ValueError(f"{name}: the images of {change} are of other views than those of set")
                moved = ((ours - theirs) ** 2).sum(1)
            found.append(1 - moved / apart if apart > 0 else np.ones(len(ours)))
        return found

    @cache  # noqa: B019
    def facts(self, kind: str, target: str | None = None) -> dict[str, Any]:
        """Flags, conditions and sources of the runs behind a cell; of transfer, to one target or to all."""
        names = self.row[kind] if target is None else self.row[kind][target]
        flat = [name for some in names.values() for name in some] if isinstance(names, dict) else names
        metrics = [self._metrics(name) for name in flat]
        runs = [one["classifier"] if "classifier" in one else one["cells"][0]["classifier"] for one in metrics]
        paths = [self.job.named("outcomes", name) for name in flat]
        synthetic = [SYNTHETIC] if kind == "brain" and self.job.params["synthetic"] else []
        return {
            "flags": list(dict.fromkeys([*self.job.params["flags"], *run_flags(runs), *synthetic])),
            "conditions": [conditions(run) for run in runs],
            "sources": [source(path, "all rows") for path in paths],
        }


def _precisions(outcomes: "pd.DataFrame", kind: Any) -> Array:
    """Average precision of each class that some image shows, in the order of the classes."""
    groups = [rows for _, rows in outcomes.groupby("label") if rows["shown"].any()]
    return np.array([average_precision(rows["score"], rows["shown"], kind) for rows in groups])


def _to_other_views(rows: "pd.DataFrame", features: Array) -> Array:
    """Mean squared distance of each image to the other views of its object; NaN for an object of one view."""
    found = np.full(len(rows), np.nan)
    for places in rows.groupby(["class_name", "instance"], sort=False).indices.values():
        if len(places) > 1:
            mine = features[places]
            squares = ((mine[:, None] - mine) ** 2).sum(2)
            found[places] = squares.sum(1) / (len(places) - 1)
    return found


class Measures:
    """All initialisations of a table."""

    def __init__(self, job: "Context") -> None:
        self.job = job
        self.starts = {row["label"]: Start(job, row) for row in job.params["rows"]}

    @cached_property
    def fewest(self) -> int | None:
        """The smallest number of labels."""
        given: list[int] = [labels for labels in self.job.params["labels"] if labels is not None]
        return min(given, default=None)

    def of_images(self, *kinds: str) -> list[Start]:
        """The starts whose images are of some kinds."""
        return [start for start in self.starts.values() if start.images in kinds]

    def compared(
        self, ours: Sequence[Array], theirs: Sequence[Array], peers: Sequence[Any], parts: float = 2
    ) -> dict[str, Any]:
        """The difference of two measures, paired by seed and image or site; images without a value are left out.

        `parts` as in `robust3d.tables.statistics.difference`.
        """
        known = np.isfinite(np.array([*ours, *theirs])).all(0)
        kept = [[one[known] for one in column] for column in (ours, theirs, *peers)]
        return difference(kept[0], kept[1], kept[2:] or kept, self.job.params["seed"], parts)


def mean_of(starts: Sequence[list[Array]]) -> list[Array]:
    """The mean of the measures of several starts, for each seed."""
    return [np.mean(of_seed, axis=0) for of_seed in zip(*starts, strict=True)]


def spread(values: Sequence[Array]) -> dict[str, Any] | None:
    """95 % interval over seeds of the mean of a measure; None with fewer than three, or if all have the same."""
    return over_seeds([float(np.nanmean(one)) for one in values])
