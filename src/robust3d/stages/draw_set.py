"""Draws a classification set inside the splits: which view of which instance stands before which background."""

from typing import TYPE_CHECKING

from robust3d.data.manifest import Views
from robust3d.data.params import SPLITS, SetParams
from robust3d.data.sets import draw_set, save_set
from robust3d.data.textures import Textures
from robust3d.errors import UserError
from robust3d.study.parsing import parse

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context


def run(job: "Context") -> None:
    """Write the `table`."""
    views = Views.read(job.input("views"))
    params = parse(SetParams, job.params["set"])
    textures_file = job.optional("textures")
    textures = Textures.load(textures_file) if textures_file else None
    classes = params.labels(views.classes)
    splits = {split: views.objects(split) for split in SPLITS}
    for split, objects in splits.items():
        gone = [name for name in classes if not objects[name]]
        if gone and views.blank:
            raise UserError(f"no object of class {gone[0]} is left in {split}; {'; '.join(views.notices())}")
    table = draw_set(splits, classes, views.views, params, textures, job.params["seed"])
    save_set(table, job.outputs["table"])
