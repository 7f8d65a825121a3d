"""Makes the background textures: procedural ones, or those of the real DTD."""

from typing import TYPE_CHECKING

from robust3d.data.params import TextureParams
from robust3d.data.textures import make_textures
from robust3d.study.parsing import parse

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context


def run(job: "Context") -> None:
    """Write `textures`."""
    textures = make_textures(parse(TextureParams, job.params["textures"]), job.params["seed"])
    textures.save(job.outputs["textures"])
