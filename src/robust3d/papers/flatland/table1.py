"""Table 1: what the data sets are made of, and what is measured in their pictures."""

from typing import TYPE_CHECKING, Any

import numpy as np

from robust3d.tables.cells import data_conditions, text_table, write_table

if TYPE_CHECKING:
    from robust3d.data.images import ImageData
    from robust3d.papers.flatland.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

CAPTION = (
    "Data sets for pre-training. Dimension and light are those of the configuration; colour, object and edges are "
    "measured in the training images."
)
PRINTED = {  # the paper's Table 1: view dimensionality, coloured, illumination variation
    "ProcSynthDB": ("3D", "no", "yes"),
    "MorphSynthDB": ("3D", "yes", "yes"),
    "FractalDB": ("2D", "no", "no"),
}
COLUMNS = ("View dimensionality", "Colored", "Illumination variation")
MEASURED = 500  # at most so many images of each set
GREY = 0.02  # mean difference of the largest and smallest channel of a picture without colours


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The sets with their files, and what the configuration says of them."""
    names = {f"set{number}": key for number, key in enumerate(section.table1.values())}
    inputs, bulk = plan.named_sets(names)
    rows = []
    for name, (label, key) in zip(names, section.table1.items(), strict=True):
        told = {"label": label, "name": name, "set": plan.set_params(key), "data": data_conditions(plan, key)}
        rows.append({**told, **_configured(plan, key)})
    return {"study": plan.study.study, "rows": rows}, inputs, bulk


def _configured(plan: "Plan", key: str) -> dict[str, bool]:
    """Whether poses and light vary; a mixture has what one of its parts has."""
    parts = plan.study.parts_of(key)
    if parts:
        found = [_configured(plan, part) for part in parts]
        return {name: any(one[name] for one in found) for name in found[0]}
    family = plan.study.family_of(key)
    objects = plan.study.families[family] if family is not None else None
    if objects is None or objects.cameras is None:
        return {"poses": False, "light": False}
    light = objects.render is not None and objects.render.light is not None
    return {"poses": objects.cameras.protocol != "fixed", "light": light}


def write(job: "Context") -> None:
    """Write the table: a row for each data set."""
    from robust3d.data.images import open_set  # planning imports this module and needs no torch

    cells = []
    for row in job.params["rows"]:
        images = open_set(row["set"], job.inputs, "train", row["name"], resident_bytes=0)
        measured = measure(images)
        texts = {
            "View dimensionality": "3D" if row["poses"] else "2D",
            "Colored": "yes" if measured["chroma"] > GREY else "no",
            "Illumination variation": "yes" if row["light"] else "no",
            "classes": str(len(images.classes)),
            "training images": str(len(images)),
            "object (% of pixels)": f"{100 * measured['object']:.0f}",
            "chroma": f"{measured['chroma']:.3f}",
            "spectral slope": f"{measured['slope']:.2f}",
        }
        printed = dict(zip(COLUMNS, PRINTED.get(row["label"], ()), strict=False))
        for column, text in texts.items():
            told = {"row": row["label"], "column": column, "text": text, "value": text, "data": row["data"]}
            formula = "from the configuration" if column in COLUMNS[::2] else f"of the first {MEASURED} training images"
            shown = {"value": printed[column], "comparable": True} if column in printed else None
            cells.append({**told, "formula": formula, "printed": shown, "sources": [], "flags": list(images.notices)})
    write_table(job, text_table(cells, "data set"), CAPTION, cells)


def measure(images: "ImageData") -> dict[str, float]:
    """Properties by which pictures may differ besides what they show.

    Returns:
        `object`: share of pixels unlike the commonest value of their picture; `chroma`: mean over these pixels of the
        largest less the smallest channel, 0 to 1; `slope`: of the logarithm of the power spectrum over that of the
        frequency, the mean over pictures of photographs being about -2.
    """
    batch = images.batch(range(min(MEASURED, len(images)))).cpu().numpy()
    grey = batch.mean(1)
    background = np.array([np.bincount(one.round().astype(int).ravel(), minlength=256).argmax() for one in grey])
    shown = np.abs(grey - background[:, None, None]) > 3
    chroma = (batch.max(1).astype(float) - batch.min(1)) / 255
    return {
        "object": float(shown.mean()),
        "chroma": float(chroma[shown].mean()) if shown.any() else 0.0,
        "slope": float(_slope(grey)),
    }


def _slope(grey: np.ndarray) -> float:
    """Slope of the mean power spectrum in double logarithms, up to half the sampling rate."""
    side = grey.shape[-1]
    window = np.hanning(side)[:, None] * np.hanning(side)
    power = (np.abs(np.fft.fft2((grey - grey.mean((1, 2), keepdims=True)) * window)) ** 2).mean(0)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    kept = (frequency > 0) & (frequency <= 0.5) & (power > 0)
    if kept.sum() < 3:
        return float("nan")
    return float(np.polyfit(np.log(frequency[kept]), np.log(power[kept]), 1)[0])
