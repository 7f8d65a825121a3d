"""Figure 10: what every pre-training of Table 4's experiment makes of held-out objects, below the truth."""

import json
from typing import TYPE_CHECKING, Any

from robust3d import registry
from robust3d.named import Sources

if TYPE_CHECKING:
    from robust3d.papers.geon3d.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

_MARGIN_PX = 6


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Inputs: the reconstructions of the first training seed."""
    name = section.table4
    experiment, seed = plan.study.experiments[name], plan.study.training_seeds[0]
    found, pictures = Sources(plan), []
    for _, key in plan.columns(name):
        if key is None or not plan.study.pretraining[key].trains:
            continue
        entry = plan.study.pretraining[key]
        shown = found.add(plan.pretrain(key, experiment, seed), "reconstructions", "info")
        output = getattr(registry.load("pretraining", entry.method), "OUTPUT", "its reconstruction")
        pictures.append({"label": entry.label, "output": output, "reconstructions": shown})
    return {"study": plan.study.study, "pictures": pictures}, found.inputs, {}


def write(job: "Context") -> None:
    """Write the picture: the methods' pictures below each other."""
    from PIL import Image, ImageDraw, ImageFont  # not at the top: planning imports this module

    from robust3d.data.pictures import TEXT_PX

    entries = job.params["pictures"]
    pictures = [Image.open(job.named("reconstructions", one["reconstructions"])).convert("RGB") for one in entries]
    font = ImageFont.load_default(TEXT_PX)
    title_px = TEXT_PX + 2 * _MARGIN_PX
    infos = [json.loads(job.named("info", one["reconstructions"]).read_text(encoding="utf-8")) for one in entries]
    titles = [
        f"{one['label']}: held-out objects, at {info['resolution_px']} px, and below each {one['output']}"
        for one, info in zip(entries, infos, strict=True)
    ]
    widths = [2 * _MARGIN_PX + round(font.getlength(title)) for title in titles]
    width = max([*widths, *(picture.width for picture in pictures)])
    canvas = Image.new("RGB", (width, sum(picture.height + title_px for picture in pictures)), "white")
    draw, top = ImageDraw.Draw(canvas), 0
    for title, picture in zip(titles, pictures, strict=True):
        draw.text((_MARGIN_PX, top + _MARGIN_PX), title, "black", font)
        canvas.paste(picture, (0, top + title_px))
        top += picture.height + title_px
    canvas.save(job.outputs["picture"], "PNG")
