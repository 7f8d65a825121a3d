"""Figure 5: total variation of each channel's activation maps on clean and on noisy images, layer by layer."""

from typing import TYPE_CHECKING, Any

import numpy as np

from robust3d.papers.shapebias import compared
from robust3d.tables.cells import text_table, write_table

if TYPE_CHECKING:
    from robust3d.papers.shapebias.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What the figure is made from."""
    return compared.sources(plan, section, section.smoothness, section.pairs(section.shown))


def write(job: "Context") -> None:
    """A panel for each layer: points are the channels of the first training seed. The table has all seeds."""
    models = compared.read_metrics(job)
    layers, cells = models[0].layers(), []
    for model in models:
        for layer in layers:
            cell = compared.seeds_cell(job, model, models[0], _growth, layer)
            words = (
                "mean over seeds of the mean total variation of the layer's channels on noisy images / on clean ones"
            )
            cell |= {"formula": f"{words}, three digits", "unit": ""}
            cell |= {
                "sources": model.metrics_source("maps", layer),
                "channels": len(model.metrics[0]["maps"][layer]["clean"]),
            }
            cells.append({"row": model.label, "column": layer, **cell})
    caption = "How much Gaussian noise on the image raises the total variation of a layer's maps; 1: not at all."
    write_table(job, text_table(cells, "network"), caption, cells)
    _draw(job, models, layers)


def _growth(metrics: dict[str, Any], layer: str) -> float | None:
    maps = metrics["maps"][layer]
    clean, noisy = (float(np.mean(maps[kind])) for kind in ("clean", "noisy"))
    return noisy / clean if clean > 0 else None


def _draw(job: "Context", models: list[compared.Probed], layers: list[str]) -> None:
    from robust3d.figures.groups import Cloud, CloudPanel, draw_clouds  # planning needs no matplotlib

    panels = []
    for layer in layers:
        clouds = []
        for place, model in enumerate(models):
            maps = model.metrics[0]["maps"][layer]
            both = [(clean, noisy) for clean, noisy in zip(maps["clean"], maps["noisy"]) if clean > 0 and noisy > 0]
            clouds.append(Cloud(model.label, compared.STYLE[place], both))
        panels.append(CloudPanel(layer, clouds))
    note = (
        f"One point a channel, first training seed; channels that are zero are left out. Study “{job.params['study']}”."
    )
    draw_clouds(panels, "total variation, clean", "total variation, noisy", note, job.outputs["picture"])
