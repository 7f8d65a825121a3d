"""The proposal's hypotheses, each answered by a difference with its interval, or not at this scale."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from robust3d.papers.flatland import ablation, measures
from robust3d.papers.flatland.rsa import pairs_of
from robust3d.tables.cells import text_table, write_table
from robust3d.tables.statistics import ALIKE, seed_difference

if TYPE_CHECKING:
    from robust3d.papers.flatland.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

CAPTION = "The proposal's hypotheses. A difference above 0 speaks for the hypothesis; its interval is of 95 %."
CANNOT = "cannot be told at this scale"
NOT_MEASURED = {  # what the proposal expects and nothing here measures
    "3D is better for object detection (section 1)": "no detection is trained here",
}


class Asked(NamedTuple):
    """A hypothesis as the difference of two measures: those that should be higher, and those that should be lower.

    Attributes:
        claim: in words.
        kind: of measure.
        higher: for each seed.
        lower: likewise.
        peers: measures whose noise of seeds says what to expect.
        parts: how many times the noise of one is in the difference.
        why_not: a reason for which the answer says nothing whatever the numbers; None: there is none.
    """

    claim: str
    kind: str
    higher: list[measures.Array]
    lower: list[measures.Array]
    peers: list[Any]
    parts: float = 2
    why_not: str | None = None


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What the table is made from."""
    params, inputs, bulk = measures.sources(plan, section, ("transfer", "brain", "features"))
    asked = {"early": section.early, "late": section.late, "positive": section.positive}
    return {**params, **asked}, inputs, bulk


def write(job: "Context") -> None:
    """Write the table: a row for each hypothesis."""
    found = measures.Measures(job)
    cells: list[dict[str, Any]] = []
    parts = (_control, _transfer, _scaling, _brain, _invariance, _ablation)
    for asked in (one for part in parts for one in part(found)):
        apart = found.compared(asked.higher, asked.lower, asked.peers, asked.parts)
        cells += _row(found, asked.claim, asked.kind, apart, asked.why_not)
    cells += _networks(found)
    for claim, why in {**NOT_MEASURED, **_unrecorded(found)}.items():
        cells += _row(found, claim, None, None, why)
    write_table(job, text_table(cells, "hypothesis"), CAPTION, cells)


def answer(difference: dict[str, Any], why_not: str | None) -> str:
    """yes, no, or why it cannot be told."""
    if why_not is not None:
        return f"{CANNOT}: {why_not}"
    if difference["verdict"] is None:
        return f"{CANNOT}: {difference['note']}"
    if difference["verdict"] == ALIKE:
        return f"{CANNOT}: 0 is in the interval"
    return "yes" if difference["value"] > 0 else "no, the opposite"


def _row(
    found: measures.Measures, claim: str, kind: str | None, apart: dict[str, Any] | None, why_not: str | None
) -> list[dict[str, Any]]:
    """The cells of one hypothesis: the difference, and the answer."""
    facts = _facts(found, kind)
    shared = {"row": claim, **facts, "printed": None, "formula": "difference of means, paired by seed, image and site"}
    if apart is None:
        return [
            {**shared, "column": "difference", "text": "–", "value": None},
            {**shared, "column": "answer", "text": f"{CANNOT}: {why_not}", "value": None},
        ]
    times, unit = (100, " points") if kind == "transfer" else (1, "")
    numbers = [apart[name] for name in ("value", "low", "high")]
    shown = ["–" if number is None else f"{times * number:+.{1 if times > 1 else 3}f}" for number in numbers]
    text = f"{shown[0]}{unit} [{shown[1]}, {shown[2]}]"
    value = {"value": times * apart["value"], "unit": unit.strip(), "difference": apart}
    return [
        {**shared, **value, "column": "difference", "text": text},
        {**shared, **value, "column": "answer", "text": answer(apart, why_not)},
    ]


def _facts(found: measures.Measures, kind: str | None) -> dict[str, Any]:
    if kind is None:
        return {"flags": found.job.params["flags"], "conditions": [], "sources": []}
    parts = [start.facts(kind) for start in found.starts.values()]
    flags = [flag for part in parts for flag in part["flags"]]
    sources = [one for part in parts for one in part["sources"]]
    return {"flags": list(dict.fromkeys(flags)), "conditions": [], "sources": sources}


def _groups(found: measures.Measures, kind: str, which: Any) -> "tuple[_Means, _Means, list[Any], float] | None":
    """The mean measure of the 3D starts, that of the 2D ones, those of all, and parts; None if one kind is missing."""
    peers = [ablation.measured(found, start, kind, which) for start in found.starts.values()]
    groups = [[ablation.measured(found, one, kind, which) for one in found.of_images(name)] for name in ("3D", "2D")]
    if not all(groups):
        return None
    return measures.mean_of(groups[0]), measures.mean_of(groups[1]), peers, sum(1 / len(group) for group in groups)


_Means = list[measures.Array]


def _control(found: measures.Measures) -> list[Asked]:
    """Whether the measures see a real pre-training at all."""
    label = found.job.params["positive"]
    if label is None:
        return []
    start, random = found.starts[label], found.starts[found.starts[label].than]
    return [
        Asked(
            f"Control: {label} is better than {random.label}, {name}",
            "transfer",
            start.everywhere(key, found.fewest),
            random.everywhere(key, found.fewest),
            [],
        )
        for key, name in found.job.params["trainings"].items()
    ]


def _transfer(found: measures.Measures) -> list[Asked]:
    asked = []
    for key, name in found.job.params["trainings"].items():
        if (groups := _groups(found, "transfer", key)) is not None:
            asked.append(Asked(f"3D is better than 2D at transfer, {name} (section 4.2)", "transfer", *groups))
    return asked


def _scaling(found: measures.Measures) -> list[Asked]:
    """Whether more classes, or more images of each, transfer better, as for FractalDB."""
    asked = []
    for part in found.of_images("fewer"):
        whole = found.starts[part.part_of]
        for key, name in found.job.params["trainings"].items():
            peers = [start.everywhere(key, found.fewest) for start in found.starts.values()]
            claim = f"{whole.label} is better than {part.label} at transfer, {name} (section 4.1)"
            mine, theirs = (start.everywhere(key, found.fewest) for start in (whole, part))
            asked.append(Asked(claim, "transfer", mine, theirs, peers))
    return asked


_CLAIMS = {
    "early": "2D predicts {} better than 3D (section 4.3)",
    "late": "3D predicts {} better than 2D (section 4.3)",
}


def _brain(found: measures.Measures) -> list[Asked]:
    """2D is expected to be better in early and middle areas, 3D in late ones."""
    why_not = "the responses are synthetic" if found.job.params["synthetic"] else None
    asked = []
    for name in _CLAIMS:
        for region in found.job.params[name]:
            if region not in found.job.params["regions"] or (groups := _groups(found, "brain", region)) is None:
                continue
            solid, flat, peers, parts = groups
            higher, lower = (flat, solid) if name == "early" else (solid, flat)
            asked.append(Asked(_CLAIMS[name].format(region), "brain", higher, lower, peers, parts, why_not))
    return asked


def _unrecorded(found: measures.Measures) -> dict[str, str]:
    params = found.job.params
    return {
        _CLAIMS[name].format(region): "there are no responses of it"
        for name in _CLAIMS
        for region in params[name]
        if region not in params["regions"]
    }


def _invariance(found: measures.Measures) -> list[Asked]:
    asked = []
    for column, kind, which in ablation.columns(found):
        if kind == "features" and (groups := _groups(found, kind, which)) is not None:
            asked.append(Asked(f"3D learns {column[0].lower()}{column[1:]} better than 2D (abstract)", kind, *groups))
    return asked


def _ablation(found: measures.Measures) -> list[Asked]:
    """What 3D images do better than what is left of them without pose and light."""
    asked = []
    for flat in found.of_images("flat"):
        whole = found.starts[flat.flat_of]
        for column, kind, which in ablation.columns(found):
            why_not = "the responses are synthetic" if kind == "brain" and found.job.params["synthetic"] else None
            peers = [ablation.measured(found, start, kind, which) for start in found.starts.values()]
            claim = f"{whole.label} is better than {flat.label}: {column} (section 4.4)"
            mine, theirs = (ablation.measured(found, start, kind, which) for start in (whole, flat))
            asked.append(Asked(claim, kind, mine, theirs, peers, why_not=why_not))
    return asked


def _networks(found: measures.Measures) -> list[dict[str, Any]]:
    """Whether networks of 3D images are more like one another than like those of 2D images."""
    solid, flat = ([start.label for start in found.of_images(name)] for name in ("3D", "2D"))
    if len(solid) < 2 or not flat:
        return []
    pairs = pairs_of(found, [*solid, *flat], ("RSA",))
    among = _mean_pairs(pairs, [(one, other) for one in solid for other in solid if one < other])
    across = _mean_pairs(pairs, [(one, other) for one in solid for other in flat])
    claim = "Networks of 3D images are more like one another than like those of 2D images (section 5)"
    return _row(found, claim, "features", seed_difference(among, across), None)


def _mean_pairs(pairs: dict[tuple[str, str, str], list[float]], chosen: Sequence[tuple[str, str]]) -> list[float]:
    """The mean of some pairs, for each seed."""
    means: list[float] = np.mean([pairs["RSA", one, other] for one, other in chosen], axis=0).tolist()
    return means
