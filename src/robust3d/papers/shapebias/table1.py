"""Table 1: accuracy on all test images, as they are and attacked by PGD with the budget of training."""

from typing import TYPE_CHECKING, Any

import numpy as np

from robust3d.papers.shapebias import compared
from robust3d.papers.shapebias.reported import TABLE1, TABLE1_COLUMNS
from robust3d.tables.cells import percent, text_table, write_table
from robust3d.tables.statistics import difference, interval

if TYPE_CHECKING:
    from robust3d.papers.shapebias.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

KINDS = dict(zip(TABLE1_COLUMNS, (compared.CLEAN, "adversarial")))  # columns, and the probe's names for them
ADVPROP = "auxiliary_"  # what a validation says of the other set of batch norms


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What the table is made from: the answers that Table 3 counts too."""
    params, inputs, bulk = compared.sources(plan, section, section.distortions)
    asked: Any = plan.study.probes[section.distortions].probe_params()
    return {**params, "attack": asked.attack.model_dump(mode="json")}, inputs, bulk


def write(job: "Context") -> None:
    """One row a model."""
    models, cells = compared.read(job), []
    for model in models:
        peers = model.peers(models)
        for column, kind in KINDS.items():
            if kind not in model.metrics[0]["accuracy"]:
                continue
            ours, *others = (one.mean([kind]) for one in (model, *peers))
            value = float(np.mean([right.mean() for right in ours]))
            facts = {**model.facts(), "text": percent(value), "value": 100 * value, "unit": "%", "n": len(model.names)}
            facts["formula"] = "mean over seeds of right answers / test images, x 100, one decimal"
            facts |= {"interval": interval(ours), "data": job.params["data"], "sources": model.source([kind])}
            if model is not peers[0]:
                facts["difference"] = {"to": peers[0].label, **difference(ours, others[0], others, job.params["seed"])}
            facts["flags"] = [*job.params["flags"], *facts["flags"]]
            if kind != compared.CLEAN:
                facts["attack"] = job.params.get("attack")
            if norms := _both_norms(model):
                facts["batch_norms"] = norms
                facts["flags"].append(
                    "tested with the batch norms of clean images; `batch_norms` has both, on validation images"
                )
            network = TABLE1.get(model.printed or "")
            number = network[TABLE1_COLUMNS.index(column)] if network else None
            facts["printed"] = compared.printed_beside(job, model, str(model.printed), number)
            cells.append({"row": model.label, "column": column, **facts})
    caption = (
        "Accuracy (%) on all test images, as they are and attacked by PGD. AdvProp keeps two sets of batch norms; the "
        "one for clean images is tested."
    )
    write_table(job, text_table(cells, "network"), caption, cells)


def _both_norms(model: compared.Compared) -> list[dict[str, dict[str, float]]]:
    """For each seed of AdvProp's classifiers the accuracies on validation images through each set of batch norms."""
    found = []
    for content in model.metrics:
        validated: dict[str, float] = content["classifier"].get("validation") or {}
        auxiliary = {name.removeprefix(ADVPROP): value for name, value in validated.items() if name.startswith(ADVPROP)}
        if auxiliary:
            found.append({"clean": {name: validated[name] for name in auxiliary}, "auxiliary": auxiliary})
    return found
