"""Figure 10: held-out reconstructions of every pre-training of Table 4's experiment, beside the targets."""

from typing import TYPE_CHECKING, Any

from robust3d.named import Sources

if TYPE_CHECKING:
    from robust3d.papers.geon3d.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

_TITLE_PX, _TEXT_PX = 22, 14  # the words of the pictures below have the same size


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Inputs: the reconstructions of the first training seed."""
    name = section.table4
    experiment, seed = plan.study.experiments[name], plan.study.training_seeds[0]
    keys = [key for _, key in plan.columns(name) if key and plan.study.pretraining[key].trains]
    found = Sources(plan)
    names = {key: found.add(plan.pretrain(key, experiment, seed), "reconstructions") for key in keys}
    pictures = [{"label": plan.study.pretraining[key].label, "reconstructions": names[key]} for key in keys]
    return {"study": plan.study.study, "pictures": pictures}, found.inputs, {}


def write(job: "Context") -> None:
    """Write the picture: the methods' pictures below each other."""
    from PIL import Image, ImageDraw, ImageFont  # not at the top: planning imports this module

    entries = job.params["pictures"]
    pictures = [Image.open(job.named("reconstructions", one["reconstructions"])).convert("RGB") for one in entries]
    height = sum(picture.height + _TITLE_PX for picture in pictures)
    canvas = Image.new("RGB", (max(picture.width for picture in pictures), height), "white")
    draw, top = ImageDraw.Draw(canvas), 0
    for one, picture in zip(entries, pictures, strict=True):
        draw.text((6, top + 3), f"{one['label']}: held-out views", "black", ImageFont.load_default(_TEXT_PX))
        canvas.paste(picture, (0, top + _TITLE_PX))
        top += picture.height + _TITLE_PX
    canvas.save(job.outputs["picture"], "PNG")
