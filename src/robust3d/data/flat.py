"""Views moved about in the picture's plane, on their backgrounds."""

from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from robust3d.data.backgrounds import Backgrounds
from robust3d.data.changes import by_alpha, straight
from robust3d.data.compositing import U8
from robust3d.data.params import FlatSetParams, SetParams
from robust3d.data.view_images import ViewReader
from robust3d.errors import UserError
from robust3d.seeds import numpy_generator


class Motion(NamedTuple):
    """A motion in the plane: the object is flipped, scaled, turned, and shifted, in this order."""

    flip_x: bool
    flip_y: bool
    scale: float
    turn_deg: float  # counter-clockwise
    shift: tuple[float, float]  # right and down, in sides of the picture


def drawn_motion(params: FlatSetParams, key: int) -> Motion:
    """The motion of one picture, from its seed."""
    generator = numpy_generator("motion", key)
    x, y, turn, right, down = generator.uniform(-1, 1, 5).tolist()
    scale = float(generator.uniform(*params.scale))
    shift = (right * params.shift, down * params.shift)
    return Motion(params.flips and x > 0, params.flips and y > 0, scale, turn * params.rotation_deg, shift)


def moved(rgba: U8, motion: Motion) -> U8:
    """A frame (S, S, 4) after a motion; colours are averaged by alpha, and what comes from outside is empty."""
    packed = by_alpha(rgba)
    angle = np.deg2rad(motion.turn_deg)
    cosine, sine = np.cos(angle), np.sin(angle)
    # From a place of the new picture back to the old one, in half sides from the middle, x right and y down.
    back = np.array([[cosine, -sine], [sine, cosine]]) / motion.scale
    back = np.diag([-1.0 if motion.flip_x else 1.0, -1.0 if motion.flip_y else 1.0]) @ back
    offset = -back @ (2 * np.array(motion.shift))
    theta = torch.tensor(np.column_stack([back, offset]), dtype=torch.float32)[None]
    grid = F.affine_grid(theta, list(packed.shape), align_corners=False)
    return straight(F.grid_sample(packed, grid, padding_mode="zeros", align_corners=False))


class FlatReader(ViewReader):
    """Reads such pictures; arguments as `ViewReader`."""

    Settings: ClassVar[type[SetParams]] = FlatSetParams

    def _exact(self, places: np.ndarray, name: str, kind: torch.dtype) -> Tensor:
        raise UserError(f"kind: the {name} of pictures of kind {self.params.kind} is not known; take a set of views")

    def _of_shard(self, number: int, rows: pd.DataFrame) -> Tensor:
        shown = rows.assign(view=rows["view"] // self.params.copies)
        frames = self._frames(number, shown, colour_only=True)
        keys = zip(frames.class_name.tolist(), frames.instance.tolist(), frames.view.tolist(), strict=True)
        where = {key: position for position, key in enumerate(keys)}
        backgrounds = Backgrounds(self.params.background, self.textures, len(self.classes))
        images = []
        columns = ("split", "class_index", "class_name", "instance", "view", "background_seed")
        for split, label, *place, key in zip(*(shown[column].tolist() for column in columns), strict=True):
            rgba = moved(frames.rgba[where[tuple(place)]], drawn_motion(self.params, key))
            images.append(backgrounds.behind(rgba, label, split, key))
        return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()
