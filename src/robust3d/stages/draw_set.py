"""Draws a classification set: its images, their splits and labels."""

from typing import TYPE_CHECKING

from robust3d import registry
from robust3d.data.picture_sets import draw_pictures
from robust3d.data.published.identity import check_same
from robust3d.data.sets import save_set
from robust3d.parsing import parse

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context


def run(job: "Context") -> None:
    """Write the `table`."""
    set_params, seed = job.params["set"], job.params["seed"]
    module = registry.load("set", set_params["kind"])
    if "data_on_disk" in job.params:
        on_disk = parse(module.Params, set_params)
        check_same(on_disk.path, job.params["data_on_disk"], module.identity(on_disk))
    if hasattr(module, "draw"):
        files = {name: job.inputs.get(name, []) for name in ("views", "textures", "set")}
        table, notices = module.draw(set_params, files, seed)
    else:
        params = parse(module.Params, set_params)
        classes, rows = module.list_pictures(params, seed)
        table, notices = draw_pictures(classes, rows, params, seed)
    save_set(table, job.outputs["table"], notices)
