"""Lists the files of a published data set on disk, with its split; fails at once if something is missing."""

import sys
from typing import TYPE_CHECKING

from robust3d import registry
from robust3d.data.published.identity import check_same, take
from robust3d.parsing import parse

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context


def run(job: "Context") -> None:
    """Write the `inventory`."""
    family = registry.load("family", job.params["kind"])
    params = parse(family.Params, job.params["source"])
    inventory = take(family, params)
    check_same(params.path, job.params["data_on_disk"], inventory.identity)
    print(inventory.describe(), file=sys.stderr)
    job.outputs["inventory"].write_text(inventory.to_json(), encoding="utf-8")
