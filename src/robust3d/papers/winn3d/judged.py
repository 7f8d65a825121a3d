"""What tables 2 to 4 and figure 3 share: generated sets as the reference network judged them, and facts of cells."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from robust3d.generation.params import ALL
from robust3d.named import Sources
from robust3d.papers.winn3d.compared import STAND_IN, comparable
from robust3d.papers.winn3d.generators import generated
from robust3d.papers.winn3d.reported import NOT_TRAINED, column_of
from robust3d.tables.cells import pointer, source
from robust3d.tables.statistics import LEAST_SEEDS, UNBOUNDED, over_seeds, seed_difference

if TYPE_CHECKING:
    import pandas as pd

    from robust3d.papers.winn3d.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

# Sets that a generator must do better than, and held-out shapes, which it cannot.
CONTROLS = {
    "noise": "Noise",
    "independent": "Independent voxels",
    "mean": "Mean shape",
    "held-out": "Held-out shapes",
}
REFERENCE_CLASSES = 40  # of the paper's reference network, which was trained on ModelNet40
ONE_EACH = "mean"  # the control that is one volume a class: no sample, so no score or distance compares it
OWN_SAMPLES = ("noise", "independent")  # controls of which each seed draws volumes of its own
WEAK = 2.0  # times chance, below which a reference network judges nothing


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Inputs: of each seed how the reference network judged all sets."""
    from robust3d.study.voxel_jobs import judge_voxels, train_reference  # for planning; writing needs none of it

    study, found, seeds = plan.study, Sources(plan), []
    reference = train_reference(plan, section.reference_voxels or section.voxels, section.reference)
    pairs = [(key, kind) for key, one in section.generators.items() for kind in one.models]
    sets = [
        {"name": f"{key}-{kind}", "label": f"{one.label}-{kind}", "kind": kind, "printed": one.printed}
        for key, kind in pairs
        for one in [section.generators[key]]
    ]
    for seed in study.training_seeds:
        jobs = {f"{key}-{kind}": generated(plan, section, key, kind, seed) for key, kind in pairs}
        judge = judge_voxels(plan, section.voxels, reference, jobs, section.categories, section.judge, seed)
        seeds.append(found.add(judge, "metrics", "outcomes"))
    job_params = {
        "study": study.study,
        "kind": study.voxels[section.voxels].kind,
        "categories": list(section.categories),
        "sets": sets,
        "seeds": seeds,
    }
    return job_params, found.inputs, {}


@dataclass(frozen=True)
class Judged:
    """One set of volumes, by seed: of a generator, or a control.

    Attributes:
        name: of the set.
        label: of its rows.
        kind: of the generator's models; "": a control.
        printed: the paper's name for the generator, if it has it.
        metrics: of each seed.
        paths: of these.
    """

    name: str
    label: str
    kind: str
    printed: str | None
    metrics: list[dict[str, Any]]
    paths: list[Path]

    def values(self, find: Callable[[dict[str, Any]], float | None]) -> list[float] | None:
        """A number of each seed; None if any seed lacks it."""
        found = [find(metrics) for metrics in self.metrics]
        return None if any(value is None for value in found) else [float(value) for value in found if value is not None]

    @property
    def own_samples(self) -> bool:
        """Whether each seed has volumes of its own; those of other controls are the same, or drawn from the same."""
        return bool(self.kind) or self.name in OWN_SAMPLES

    @property
    def collapsed(self) -> list[str]:
        """Why its generators collapsed, each reason once."""
        facts = [one for metrics in self.metrics for one in metrics["facts"] if one["collapse"]]
        reasons = [f"{one['category'] or ALL}, seed {one['seed']}: {one['collapse']}" for one in facts]
        return list(dict.fromkeys(reasons))


@dataclass(frozen=True)
class Report:
    """All sets of a job.

    Attributes:
        sets: of generators, then controls.
        classes: of the volumes, by label.
        reference: facts of the reference network.
        notices: flags for every number.
    """

    sets: list[Judged]
    classes: list[str]
    reference: dict[str, Any]
    notices: list[str]

    @property
    def reference_flags(self) -> list[str]:
        """Why the network's judgement is worth little, if it is."""
        accuracy, chance = self.reference["test_accuracy"], 1 / len(self.reference["classes"])
        if accuracy >= WEAK * chance:
            return []
        return [f"the reference network is right on {accuracy:.1%} of held-out shapes, so what it says means little"]

    @property
    def samples(self) -> list[Judged]:
        """The sets that are samples."""
        return [one for one in self.sets if one.name != ONE_EACH]

    def control(self, name: str) -> Judged:
        """The control of a name."""
        return next(one for one in self.sets if one.name == name)


def read(job: "Context") -> Report:
    """The sets of a job, by seed."""
    paths = [job.named("metrics", name) for name in job.params["seeds"]]
    seeds = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    controls = [{"name": name, "label": label, "kind": "", "printed": None} for name, label in CONTROLS.items()]
    sets = [
        Judged(**one, metrics=[seed["sets"][one["name"]] for seed in seeds], paths=paths)
        for one in (*job.params["sets"], *controls)
    ]
    return Report(sets, seeds[0]["classes"], seeds[0]["reference"], seeds[0]["notices"])


def read_outcomes(job: "Context") -> list["pd.DataFrame"]:
    """Of each seed a row a volume."""
    import pandas as pd  # not at the top: planning imports this module

    return [pd.read_parquet(job.named("outcomes", name)) for name in job.params["seeds"]]


def common(job: "Context", report: Report, judged: Judged) -> dict[str, Any]:
    """Facts that every cell of a set has: the reference network, flags, choices that the paper leaves open."""
    facts = [one for metrics in judged.metrics for one in metrics["facts"]]
    flags = [STAND_IN] if job.params["kind"] == "categories" else []
    flags += report.reference_flags + report.notices + [notice for one in facts for notice in one["notices"]]
    flags += [f"collapsed: {reason}" for reason in judged.collapsed]
    conditions = [
        {name: one.get(name) for name in ("method", "category", "seed", "steps", "passes", "synthesis", "training")}
        for one in facts
    ]
    return {"flags": list(dict.fromkeys(flags)), "conditions": conditions, "reference_network": report.reference}


def number_cell(
    report: Report,
    judged: Judged,
    find: Callable[[dict[str, Any]], float | None],
    form: str,
    at: Sequence[str],
    bounds: tuple[float, float] = UNBOUNDED,
) -> dict[str, Any]:
    """A mean over seeds with its interval, the difference to the same number of noise, and its sources.

    Args:
        report: that the set is in.
        judged: the set.
        find: the number in the metrics of a seed; None: it has too few samples.
        form: of the text, as `.2f`.
        at: keys of the value under the set's entry in the metrics.
        bounds: the smallest and largest that the number can be.
    """
    values = judged.values(find)
    against = None if judged.name == "noise" else report.control("noise").values(find)
    sources = [source(path, pointer("sets", judged.name, *at)) for path in judged.paths]
    if values is None:
        return {"text": "–", "value": None, "interval": None, "sources": sources}
    mean = float(np.mean(values))
    interval = None
    if judged.own_samples and (interval := over_seeds(values, bounds)) is not None:
        # Each seed has samples of its own, so the spread of seeds contains the noise of samples.
        interval |= {"kind": f"t over {len(values)} seeds, each with samples of its own, 95 %"}
    cell: dict[str, Any] = {
        "text": f"{mean:{form}}" + " (collapsed)" * bool(judged.collapsed),
        "value": mean,
        "seeds": values,
        "interval": interval,
        "sources": sources,
    }
    if len(values) < LEAST_SEEDS:
        cell["note"] = "fewer than three training runs: training noise is in no interval"
    elif not judged.own_samples:
        cell["note"] = "the same volumes for all seeds, or drawn from the same: their spread is no interval"
    elif interval is None:
        cell["note"] = f"all {len(values)} seeds have the same number: their noise cannot be told"
    if against is not None:
        cell["difference_to_noise"] = {"to": report.control("noise").label, **seed_difference(values, against)}
    return cell


def number_of_samples(numbers: Sequence[int]) -> tuple[int | list[int], list[str]]:
    """How many samples the number of a cell is of, where they differ for each seed, and a flag if they do."""
    if len(set(numbers)) == 1:
        return numbers[0], []
    return list(numbers), [f"{', '.join(map(str, numbers))} samples, by seed: their numbers differ by that too"]


def voids(found: Sequence[Mapping[str, Any] | None]) -> list[str]:
    """Flags: why seeds have no score or distance of a set, each reason once."""
    return list(dict.fromkeys(f"not compared: {one['void']}" for one in found if one and "void" in one))


def printed_cell(row: str, column: str, text: str, value: float, flag: str) -> dict[str, Any]:
    """A printed number, which nothing here measures."""
    facts = {"formula": "as printed", "sources": [], "flags": [flag]}
    return {"row": row, "column": column, "text": text, "value": value, **facts}


def printed_row(job: "Context", row: str, name: str, numbers: Mapping[str, float], form: str) -> list[dict[str, Any]]:
    """The paper's numbers of a method, in the columns of their classes."""
    here = {one["printed"] for one in job.params["sets"]}
    only = f"printed only: {NOT_TRAINED.get(name, 'not trained here')}"
    flag = "as printed, on ModelNet10" if name in here else only
    return [
        printed_cell(row, column_of(label, job.params["categories"]), f"{value:{form}}", value, flag)
        for label, value in numbers.items()
    ]


def printed_beside(
    job: "Context", report: Report, row: str, value: float | None, classes: int | None = None
) -> dict[str, Any] | None:
    """The printed number beside a score.

    It is comparable at the paper's scale on its data, judged by a network of ModelNet40's classes like the paper's.

    Args:
        job: of the table.
        report: that the score is in.
        row: of the paper.
        value: that it prints; None: it has none.
        classes: how many of the network's classes count; None: all.
    """
    alike = comparable(job) and (classes or len(report.reference["classes"])) == REFERENCE_CLASSES
    return None if value is None else {"row": row, "value": value, "comparable": alike}
