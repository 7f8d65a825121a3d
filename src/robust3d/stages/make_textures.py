"""Makes the background textures: procedural, or read from DTD."""

from typing import TYPE_CHECKING

from robust3d.data.dtd import files_identity, read_dtd
from robust3d.data.params import TextureParams
from robust3d.data.procedural_textures import make_textures
from robust3d.data.published.files import noting_files
from robust3d.data.published.identity import check_same, write_checksums
from robust3d.parsing import parse

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context


def run(job: "Context") -> None:
    """Write `textures`, and checksums of the `sources` (empty for procedural textures)."""
    params, seed = parse(TextureParams, job.params["textures"]), job.params["seed"]
    if params.path is not None:
        check_same(params.path, job.params["data_on_disk"], files_identity(params, seed))
    with noting_files() as read:
        textures = read_dtd(params, seed) if params.source == "dtd" else make_textures(params, seed)
    textures.save(job.outputs["textures"])
    write_checksums(read, params.path or "", job.outputs["sources"])
