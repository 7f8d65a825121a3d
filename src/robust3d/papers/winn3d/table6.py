"""Table 6: a linear classifier on the last convolution of a network that learned without labels."""

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from robust3d.named import Sources
from robust3d.papers.winn3d.compared import STAND_IN, comparable
from robust3d.papers.winn3d.generators import trained
from robust3d.papers.winn3d.judged import printed_cell
from robust3d.papers.winn3d.reported import TABLE6, TABLE6_PRINTED_ONLY
from robust3d.tables.cells import percent, source, text_table, write_table
from robust3d.tables.statistics import difference, interval

if TYPE_CHECKING:
    from robust3d.papers.winn3d.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

ACCURACY, PRINTED = "Test accuracy", "Printed"
CONTROLS = {"untrained": "Untrained network", "voxels": "Voxels"}


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Inputs: of each seed the answers of the linear classifier on three kinds of features."""
    from robust3d.study.voxel_jobs import classify_features  # for planning; writing needs none of it

    study, found, key = plan.study, Sources(plan), section.svm_generator
    seeds = []
    for seed in study.training_seeds:
        network = trained(plan, section, key, None, seed)
        seeds.append(found.add(classify_features(plan, section.voxels, network, section.svm), "metrics", "outcomes"))
    job_params = {
        "study": study.study,
        "seed": study.seed,
        "kind": study.voxels[section.voxels].kind,
        "label": section.generators[key].label,
        "seeds": seeds,
    }
    return job_params, found.inputs, {}


def write(job: "Context") -> None:
    """One row a kind of features; other papers' are printed only."""
    import pandas as pd  # planning imports this module and needs none of it

    paths = [job.named("outcomes", name) for name in job.params["seeds"]]
    metrics = [json.loads(job.named("metrics", name).read_text(encoding="utf-8")) for name in job.params["seeds"]]
    frames = [pd.read_parquet(path) for path in paths]
    cells = [
        printed_cell(name, PRINTED, f"{TABLE6[name]:.1f}", TABLE6[name], f"printed only: {why}")
        for name, why in TABLE6_PRINTED_ONLY.items()
    ]
    rows = {"trained": job.params["label"], **CONTROLS}
    right = {kind: [_right(frame, kind) for frame in frames] for kind in rows}
    for kind, label in rows.items():
        if kind == "trained":
            flag = "as printed, on ModelNet10"
            cells.append(printed_cell(label, PRINTED, f"{TABLE6['3DWINN']:.1f}", TABLE6["3DWINN"], flag))
        cells.append(_cell(job, kind, label, right, metrics) | {"sources": [
            source(path, f"prediction = label where features = {kind}") for path in paths
        ]})  # fmt: skip
    caption = (
        "Accuracy (%) of a linear support vector machine (L2, one class against all others) on the last convolution's "
        "activations of a network that learned without labels, on those of the same network without training, and on "
        "the voxels themselves."
    )
    write_table(job, text_table(cells, "features"), caption, cells)


def _right(frame: Any, kind: str) -> NDArray[np.bool_]:
    rows = frame[frame["features"] == kind].sort_values("image")
    return (rows["prediction"] == rows["label"]).to_numpy(bool)


def _cell(
    job: "Context",
    kind: str,
    label: str,
    right: dict[str, list[NDArray[np.bool_]]],
    metrics: list[dict[str, Any]],
) -> dict[str, Any]:
    ours = right[kind]
    value = float(np.mean([outcome.mean() for outcome in ours]))
    flags = [STAND_IN] if job.params["kind"] == "categories" else []
    infos = [one["network"] for one in metrics]
    flags += [notice for info in infos for notice in info["notices"]]
    if kind == "trained":
        flags += [f"collapsed: {info['collapse']}" for info in infos if info["collapse"]]
    printed = {"row": "3DWINN", "value": TABLE6["3DWINN"], "comparable": comparable(job)}
    collapsed = kind == "trained" and any(info["collapse"] for info in infos)
    return {
        "row": label,
        "column": ACCURACY,
        "text": percent(value) + " (collapsed)" * collapsed,
        "value": 100 * value,
        "unit": "%",
        "formula": "mean over seeds of right answers / test volumes, x 100, one decimal",
        "n": len(ours[0]),
        "interval": interval(ours),
        **{
            f"difference_to_{control}": {
                "to": CONTROLS[control],
                **difference(ours, right[control], list(right.values()), job.params["seed"]),
            }
            for control in ("voxels", "untrained")
        },
        "features": metrics[0]["dimensions"][kind],
        "chance": 100 / len(infos[0]["classes"]),
        "printed": printed if kind == "trained" else None,
        "flags": list(dict.fromkeys(flags)),
        "conditions": [
            {"svm": one["svm"], **({"training": one["network"]["training"]} if kind == "trained" else {})}
            for one in metrics
        ],
    }
