"""Volumes from disk: 3D ShapeNets' of ModelNet, or one's own as binvox, .mat or .npy."""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from robust3d.data.published import volumes
from robust3d.data.published.inventory import Entry, Inventory
from robust3d.data.published.members import only
from robust3d.data.published.params import MODELNET10, PublishedParams

__all__ = ["SOURCE", "Params", "only", "read_volume", "take_inventory"]
SOURCE = "volumes"
PACKAGES = ("scipy",)


class Params(PublishedParams):
    """Where the files are, what they hold, and how it lies in the grid."""

    classes: tuple[str, ...] = Field(default=MODELNET10, min_length=1)
    format: Literal["mat", "npy", "binvox"] = "mat"
    folder: str = ""  # between a class and its train and test, as the 30 of volumetric_data/chair/30/train
    resolution: int = Field(30, ge=2, le=256)  # side of a volume here
    padding: int = Field(0, ge=0)  # empty voxels that are added on each side: files have resolution - 2 padding
    up: Literal["y", "z"] = (
        "y"  # axis that points up in the files; here it is y. Files do not say it: look at a picture
    )

    @model_validator(mode="after")
    def _something_inside(self) -> "Params":
        if 2 * self.padding >= self.resolution:
            raise ValueError(f"padding: {self.padding} on each side leaves nothing of {self.resolution} voxels")
        if ".." in self.folder.split("/") or self.folder.startswith("/"):
            raise ValueError("folder: leads out of the class")
        return self


def take_inventory(params: Params) -> Inventory:
    """The files on disk; if some are missing, the error says where to get them."""
    return volumes.take_inventory(params.path, params)


def read_volume(params: Params, entry: Entry) -> NDArray[np.bool_]:
    """The volume (R, R, R) of one object, y up.

    Raises:
        BrokenVolume: it cannot be used, or has another size.
    """
    path = Path(params.path) / entry.path
    volume, side = volumes.read_volume(path), params.resolution - 2 * params.padding
    if volume.shape != (side,) * 3:
        raise volumes.BrokenVolume(
            f"{path}: {'x'.join(map(str, volume.shape))} voxels; resolution {params.resolution} with padding "
            f"{params.padding} takes {side}"
        )
    if params.up == "z":
        volume = volume.transpose(0, 2, 1)[:, :, ::-1]
    return np.pad(volume, params.padding)
