"""Representational similarity: of networks to brains, and of networks among themselves (paper sections 3.4 and 5)."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from robust3d.errors import UserError
from robust3d.papers.flatland import measures
from robust3d.tables.cells import source, text_table, write_table

if TYPE_CHECKING:
    from robust3d.papers.flatland.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

CAPTION = (
    "Spearman's correlation of dissimilarities of images: to the animals, and to other networks; and centred kernel "
    "alignment (CKA) with them, of the features before the last layer."
)
BRAIN = "mean over seeds and animals of Spearman's correlation, of the layer that was chosen on other images"
NETWORKS = "mean over seeds of Spearman's correlation of the dissimilarities (1 - Pearson's r) of the same images"
CKA = "mean over seeds of the unbiased linear CKA of the features of the same images"


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What the table is made from."""
    params, inputs, bulk = measures.sources(plan, section, ("brain", "features"))
    if section.rdms is not None:
        files = [str(Path(section.rdms.path) / name) for name in (section.rdms.subjects, section.rdms.models)]
        digests = [plan.on_disk.file(path) for path in files]
        params["rdms"] = {**section.rdms.model_dump(), "sha256": digests}
    return params, inputs, bulk


def write(job: "Context") -> None:
    """Write the table: a row for each start, then for each model of the files."""
    found = measures.Measures(job)
    pairs = pairs_of(found, list(found.starts), ("RSA", "CKA"))
    cells = []
    for start in found.starts.values():
        facts = start.facts("features")
        brain = start.facts("brain")
        for region in job.params["regions"]:
            cells.append({"row": start.label, "column": f"RSA {region}", **brain, **_to_brain(start, region)})
        for name, formula in (("RSA", NETWORKS), ("CKA", CKA)):
            for other in found.starts:
                place = {"row": start.label, "column": f"{name} {other}", **facts}
                cells.append({**place, **_between(pairs[name, start.label, other], formula)})
    recorded, heading = _recorded(job)
    cells += recorded
    caption = CAPTION + heading
    write_table(job, text_table([{"printed": None, **cell} for cell in cells], "representation"), caption, cells)


def pairs_of(
    found: measures.Measures, labels: Sequence[str], kinds: Sequence[str]
) -> dict[tuple[str, str, str], list[float]]:
    """Likenesses of all pairs of starts by (kind, label, label), a number for each seed; kinds are RSA and CKA."""
    from robust3d.brain.alignment import linear_cka
    from robust3d.brain.rsa import likeness
    from robust3d.probes.brain.similarity import rdm_of

    starts = [found.starts[label] for label in labels]
    values = {start.label: [start.features(name)[1] for name in start.row["features"]] for start in starts}
    compared: dict[str, tuple[dict[str, list[Any]], Callable[[Any, Any], float]]] = {}
    if "RSA" in kinds:
        compared["RSA"] = {label: [rdm_of(one) for one in of_seeds] for label, of_seeds in values.items()}, likeness
    if "CKA" in kinds:
        compared["CKA"] = values, linear_cka
    pairs = {}
    for kind, (things, alike) in compared.items():
        for one, other in itertools.combinations_with_replacement(labels, 2):
            numbers = [alike(a, b) for a, b in zip(things[one], things[other], strict=True)]
            pairs[kind, one, other] = pairs[kind, other, one] = numbers
    return pairs


def _to_brain(start: measures.Start, region: str) -> dict[str, Any]:
    seeds = [of_seed[region]["rsa"] for of_seed in start.regions()]
    values = [one["value"] for one in seeds]
    bounds = {name: seeds[0][name] for name in ("lower", "upper")}
    kind = "bootstrap over images, 95 %; training noise is not in it"
    of_images = {name: float(np.mean([one[name] for one in seeds])) for name in ("low", "high")} | {"kind": kind}
    facts = {"layers": [one["layer"] for one in seeds], "ceiling": bounds}
    return {**_between(values, BRAIN), **facts, "interval": measures.over_seeds(values) or of_images}


def _between(values: list[float], formula: str) -> dict[str, Any]:
    value = float(np.mean(values))
    cell = {"text": f"{value:.3f}", "value": value, "unit": "", "formula": formula, "by_seed": values}
    return {**cell, "interval": measures.over_seeds(values)}


def _recorded(job: "Context") -> tuple[list[dict[str, Any]], str]:
    """Cells of the models of the files, compared with the subjects', and words on the ceiling."""
    if "rdms" not in job.params:
        return [], ""
    from robust3d.brain import rsa
    from robust3d.data.published.neural.rdms import read_rdms
    from robust3d.files import sha256

    given = job.params["rdms"]
    paths = [Path(given["path"]) / given[name] for name in ("subjects", "models")]
    for path, digest in zip(paths, given["sha256"], strict=True):
        if digest is None or sha256(path) != digest:
            raise UserError(f"{path}: missing, or changed since this run was planned; start snakemake again")
    subjects, models = (read_rdms(path) for path in paths)
    mine = _people({name: values for name, values in subjects.items() if name.startswith(given["region"])})
    if not mine:
        there = ", ".join(subjects)
        raise UserError(f"{paths[0]}: no RDM whose name begins with {given['region']!r}; there are {there}")
    bounds = rsa.rsa_ceiling(mine) if len(mine) > 1 else None
    others = {**{name: v for name, v in subjects.items() if not name.startswith(given["region"])}, **models}
    formula = f"mean over {len(mine)} subjects of Spearman's correlation of dissimilarities"
    where = [source(path, "all") for path in paths]
    cells = []
    for name, values in others.items():
        found = rsa.compared(values, mine, draws=200, seed=job.params["seed"])
        interval = {"low": found.low, "high": found.high, "kind": "bootstrap over images, 95 %"}
        cell = {"row": name, "column": f"RSA {given['region']} (files)", "text": f"{found.value:.3f}", "printed": None}
        facts = {"value": found.value, "unit": "", "formula": formula, "n": len(mine), "interval": interval}
        flags = ["recorded responses; their pictures are not here, so no network is compared with them"]
        ceiling = bounds._asdict() if bounds else None
        cells.append({**cell, **facts, "flags": flags, "sources": where, "conditions": [], "ceiling": ceiling})
    words = f" Ceiling of {given['region']}: {bounds.lower:.3f} to {bounds.upper:.3f}." if bounds else ""
    return cells, words


def _people(rdms: dict[str, Any]) -> list[Any]:
    """One RDM a person: the mean over sessions, whose names are alike but for what follows `session`."""
    by_person: dict[str, list[Any]] = {}
    for name, values in rdms.items():
        by_person.setdefault(name.lower().partition("session")[0], []).append(values)
    return [np.mean(values, axis=0) for values in by_person.values()]
