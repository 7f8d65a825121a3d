"""Figure 4: first-layer filters of a standard network, each above the most similar one of its robust partner."""

import json
from typing import TYPE_CHECKING, Any

from robust3d.named import Sources

if TYPE_CHECKING:
    from robust3d.papers.shapebias.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

PACKAGES = ("scipy",)  # ranks weights
FILES = ("classifier", "info")


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What the figure is made from: two networks of different training seeds, where there are two.

    Networks of one seed start from the same weights, so that the nearest filter would be the one at the same place.
    """
    found, study = Sources(plan), plan.study
    experiment, seeds = study.experiments[section.experiment], (*study.training_seeds, *study.training_seeds)
    models = []
    for model, seed in zip(section.pairs(section.shown), seeds):
        trained = plan.train_classifier(model.classifier, experiment, model.pretraining, seed)
        models.append({"label": model.label, "network": found.add(trained, *FILES)})
    return {"study": study.study, "models": models}, found.inputs, {}


def write(job: "Context") -> None:
    """All filters of the one network, by falling correlation, those of one value last."""
    from robust3d.architectures import architecture  # planning imports this module and needs no torch
    from robust3d.models.files import load_state
    from robust3d.probes.smoothness.filters import draw_pairs, first_filters, nearest_filters

    filters = []
    for model in job.params["models"]:
        path, info = (job.named(kind, model["network"]) for kind in FILES)
        kind = architecture(json.loads(info.read_text())["architecture"])
        filters.append(first_filters(kind, load_state(path), str(path)))
    ours, others = filters
    label, other = (model["label"] for model in job.params["models"])
    pairs = sorted(nearest_filters(ours, others), key=lambda pair: (pair.nearest < 0, -pair.spearman))
    draw_pairs(ours, others, pairs, (label, other), columns=12).save(job.outputs["picture"], "PNG")
