"""Table 2: whether a network decides for the shape or for the texture of images on which the two differ."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from robust3d.papers.shapebias import compared
from robust3d.papers.shapebias.reported import TABLE2, TABLE2_COLUMNS
from robust3d.tables.cells import percent, source, text_table, write_table
from robust3d.tables.ratios import decided, linearised, over_counted
from robust3d.tables.statistics import DIFFERS, difference, interval

if TYPE_CHECKING:
    from robust3d.papers.shapebias.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

CUES = dict(zip(TABLE2_COLUMNS, ("texture", "shape")))  # columns, and how decisions are called
NEITHER, ANSWER = "Neither", "More shape than the first?"
SHARES = "mean over seeds of decisions for {} / decisions for shape or texture, x 100, one decimal"


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What the table is made from."""
    return compared.sources(plan, section, section.cue_conflict)


def write(job: "Context") -> None:
    """One row a model, and a sentence for each that is compared with the first of its group."""
    models, cells, sentences = compared.read_metrics(job), [], []
    decisions = {model.label: _decisions(model) for model in models}
    for model in models:
        peers = model.peers(models)
        baseline = peers[0]
        known = {**model.facts(), "n": len(decisions[model.label][0]), "data": job.params["data"]}
        known |= {"unit": "%", "flags": [*job.params["flags"], *known["flags"]], "sources": _sources(model)}
        deciding = [one for one in peers if all(decided(found).any() for found in decisions[one.label])]
        decides = model in deciding and baseline in deciding
        known["same_cue"] = [found["same_cue"] for found in model.metrics]
        for column, cue in CUES.items():
            facts = {**known, **share(decisions[model.label], cue), "formula": SHARES.format(cue)}
            facts["by_class"] = _by_class(model, cue)
            network = TABLE2.get(model.printed or "")
            number = network[TABLE2_COLUMNS.index(column)] if network else None
            facts["printed"] = compared.printed_beside(job, model, str(model.printed), number)
            if model is not baseline and decides:
                ours, *others = (_linear(decisions[one.label], cue) for one in (model, *deciding))
                found = difference(ours, others[0], others, job.params["seed"])
                facts["difference"] = {"to": baseline.label, **found}
            cells.append({"row": model.label, "column": column, **facts})
        neither = [found == "neither" for found in decisions[model.label]]
        value = float(np.mean([found.mean() for found in neither]))
        facts = {**known, "text": percent(value), "value": 100 * value, "interval": interval(neither)}
        facts["formula"] = "mean over seeds of decisions for neither / test images, x 100, one decimal"
        cells.append({"row": model.label, "column": NEITHER, **facts})
        if model is not baseline and not decides:
            flag = "some network decides for neither cue on all images, so shares cannot be compared"
            place = {"row": model.label, "column": ANSWER, "text": "–", "value": None}
            cells.append({**known, **place, "flags": [*known["flags"], flag], "formula": ""})
        elif model is not baseline:
            shape = next(one for one in cells if (one["row"], one["column"]) == (model.label, "Shape"))
            found = shape["difference"]
            sentences.append(_sentence(model.label, found))
            facts = {
                **known,
                "text": verdict(found),
                "value": 100 * found["value"],
                "difference": found,
                "unit": "points",
            }
            facts["formula"] = f"share of shape minus that of {baseline.label}, paired by seed and image, x 100"
            cells.append({"row": model.label, "column": ANSWER, **facts})
    caption = (
        "Shares (%) of decisions for the class of the texture and for that of the shape, on images whose two cues "
        "differ; and of decisions for neither."
    )
    write_table(job, text_table(cells, "network"), " ".join([caption, *sentences]), cells)


def verdict(found: dict[str, Any]) -> str:
    """A difference in a word; fewer than three seeds give none."""
    if found["verdict"] is None:
        return "too few seeds"
    if found["verdict"] != DIFFERS:
        return "cannot be told apart"
    return "yes" if found["value"] > 0 else "no, less"


def share(decisions: Sequence[np.ndarray], cue: str) -> dict[str, Any]:
    """The share of decisions for a cue among those for one of the two, with an interval over seeds and images.

    There is none where a seed decides for neither on all images.
    """
    counted = [decided(found) for found in decisions]
    if not all(one.any() for one in counted):
        return {"text": "–", "value": None, "interval": None}
    kept = over_counted([found == cue for found in decisions], counted)
    value = float(np.mean([found.mean() for found in kept]))
    return {"text": percent(value), "value": 100 * value, "interval": interval(kept)}


def _linear(decisions: Sequence[np.ndarray], cue: str) -> list[np.ndarray]:
    """For each seed a number for each image whose mean is the share of decisions for a cue among those for either."""
    return [linearised(one == cue, decided(one)) for one in decisions]


def _decisions(model: compared.Probed) -> list[np.ndarray]:
    """For each seed (images,) what is decided for, in the order of the images."""
    import pandas as pd  # planning imports this module and needs none of it

    frames = [pd.read_parquet(path, columns=["image", "decision"]) for path in model.paths[1]]
    return [frame.sort_values("image")["decision"].to_numpy(str) for frame in frames]


def _sources(model: compared.Probed) -> list[dict[str, str]]:
    return [
        *(source(path, "/classifier") for path in model.paths[0]),
        *(source(path, "decision") for path in model.paths[1]),
    ]


def _by_class(model: compared.Probed, cue: str) -> dict[str, float | None]:
    """For each class the share of a cue on the images that show this class by that cue, the mean over seeds."""
    means: dict[str, float | None] = {}
    for name in model.metrics[0][f"by_{cue}"]:
        shares = [found[f"by_{cue}"].get(name, {}).get(f"{cue}_share") for found in model.metrics]
        known = [value for value in shares if value is not None]
        means[name] = float(np.mean(known)) if known else None
    return means


def _sentence(label: str, found: dict[str, Any]) -> str:
    """The answer in words, with the interval."""
    points = f"{100 * found['value']:+.1f} points of shape against {found['to']}"
    bounds = f"95 %: {100 * found['low']:+.1f} to {100 * found['high']:+.1f}"
    words = {
        None: "training noise is not known from so few seeds",
        DIFFERS: "more shape" if found["value"] > 0 else "less shape",
    }
    return f"{label}: {points} ({bounds}): {words.get(found['verdict'], 'not told apart')}."
