"""What the first layers have learned: their filters, a row for each initialisation (paper section 4.2)."""

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from robust3d.named import Sources

if TYPE_CHECKING:
    from robust3d.papers.flatland.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

SHOWN = 24  # filters of each


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The classifiers on frozen features of the first seed: their first layers are those of the initialisations."""
    found, experiment = Sources(plan), plan.study.experiments[section.experiment]
    seed = plan.study.training_seeds[0]
    rows = []
    for start in section.starts:
        job = plan.train_classifier(section.frozen, experiment, start.pretraining, seed)
        rows.append({"label": start.label, "name": found.add(job, "classifier", "info")})
    return {"study": plan.study.study, "rows": rows}, found.inputs, {}


def write(job: "Context") -> None:
    """The filters with the largest weights, each on its own scale."""
    from robust3d.architectures import architecture  # not at the top: planning imports this module
    from robust3d.data.pictures import sheet
    from robust3d.models.files import load_state

    rows, labels = [], []
    for row in job.params["rows"]:
        info = json.loads(job.named("info", row["name"]).read_text())
        first = architecture(info["architecture"]).first
        if not first:
            continue  # no single layer reads the images
        weights = load_state(job.named("classifier", row["name"]))[first[0]].numpy()
        rows.append(pictures(weights))
        labels.append(row["label"])
    note = "Filters of the first layer with the largest weights; grey is 0, each on its own scale."
    sheet(rows, 42, labels, note=note).save(job.outputs["picture"], "PNG")


def pictures(weights: np.ndarray) -> list[np.ndarray]:
    """Filters (n, 3, k, k) as pictures (k, k, 3) uint8, largest weights first; grey is 0."""
    size = np.abs(weights).reshape(len(weights), -1)
    order = np.argsort(-np.linalg.norm(size, axis=1), kind="stable")[:SHOWN]
    scale = np.maximum(size.max(1), 1e-12)[:, None, None, None]
    shown = np.round(127.5 + 127.5 * weights / scale).astype(np.uint8).transpose(0, 2, 3, 1)
    return list(shown[order])
