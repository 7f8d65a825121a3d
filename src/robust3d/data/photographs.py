"""Pictures with depth maps as views of objects, one view each, for pre-trainings by reconstruction.

Their camera is not known: it looks along z with a field of view that is assumed. There is something in every pixel, so
masks are full. Nothing is held in memory but what the set holds there.
"""

import math
from typing import Any

import torch
from torch import Tensor

from robust3d.data.images import ImageData
from robust3d.data.multiview import Multiview
from robust3d.errors import UserError


class Lazy:
    """Images or depth maps of N pictures as an array (N, 1, …) of which only indexed parts are read.

    Args:
        data: of all pictures.
        kind: "images" or "depth".
        rows: (N,) places in `data`.
    """

    nbytes = 0  # of the device that it takes

    def __init__(self, data: ImageData, kind: str, rows: Tensor) -> None:
        self.data, self.kind, self.rows = data, kind, rows

    def __len__(self) -> int:
        return len(self.rows)

    def to(self, device: torch.device | str) -> "Lazy":
        """The same, which gives its parts on a device."""
        return Lazy(self.data.to(device), self.kind, self.rows)

    def __getitem__(self, index: Any) -> "Tensor | Lazy":
        """[:n]: the first ones, not read yet; [row]: (1, …); [rows, views]: (n, …), every view being the only one."""
        if isinstance(index, slice):
            return Lazy(self.data, self.kind, self.rows[index])
        rows = torch.as_tensor(index[0] if isinstance(index, tuple) else [index]).cpu()
        return (self.data.batch if self.kind == "images" else self.data.depths)(self.rows[rows])


def as_views(pictures: ImageData, fov_deg: float) -> Multiview:
    """Pictures as objects of one view each, which see themselves and are reconstructed.

    Args:
        pictures: with depth.
        fov_deg: horizontal field of view of the camera.

    Raises:
        UserError: they have no depth.
    """
    if pictures.read_depths is None:
        raise UserError(
            "3D-Prior learns from depth, and these pictures have none: give their set a folder of maps by `depth`"
        )
    count, side = len(pictures), pictures.resolution_px
    focal = side / 2 / math.tan(math.radians(fov_deg) / 2)
    intrinsics = torch.tensor([[focal, 0, side / 2], [0, focal, side / 2], [0, 0, 1]])
    rows = torch.arange(count)
    images: Any = Lazy(pictures, "images", rows)
    depth: Any = Lazy(pictures, "depth", rows)
    return Multiview(
        inputs=images,
        targets=images,
        masks=torch.ones(1, 1, 1, 1, dtype=torch.bool).expand(count, 1, side, side),
        depth=depth,
        world_to_camera=torch.eye(4).expand(count, 1, 4, 4),
        intrinsics=intrinsics.expand(count, 1, 3, 3),
        class_index=pictures.labels.cpu(),
        names=pictures.ids,
    )
