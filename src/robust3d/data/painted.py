"""Objects painted with the textures of classes, so that shape and texture are two cues that can be set one by one."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from robust3d.data.backgrounds import crop
from robust3d.data.images import ImageData
from robust3d.data.params import CuedSetParams, SetParams
from robust3d.data.sets import load_set
from robust3d.data.shards import Frames
from robust3d.data.textures import Textures
from robust3d.data.view_images import ViewReader
from robust3d.distortions.masks import retextured
from robust3d.errors import UserError
from robust3d.seeds import numpy_generator


def texture_names(params: CuedSetParams, classes: Sequence[str], textures: Textures) -> tuple[str, ...]:
    """Name of the texture that belongs to class 0, 1, …: as mapped, or the textures in their order.

    Raises:
        UserError: classes have no texture of their own.
    """
    names = textures.names[: len(classes)] if params.mapping is None else params.mapping
    if len(names) != len(classes):
        key = "textures.classes" if params.mapping is None else "mapping"
        raise UserError(
            f"{key}: {len(names)} textures for {len(classes)} classes; each class needs a texture of its own (name "
            "more, or fewer classes by label_order of the set)"
        )
    if missing := [name for name in names if name not in textures.names]:
        raise UserError(f"mapping: no texture {missing[0]!r}; textures.classes has {', '.join(textures.names)}")
    return tuple(names)


def with_cues(table: pd.DataFrame, params: CuedSetParams, textures: Textures) -> pd.DataFrame:
    """A table of views with the cues of each image.

    The columns `shape` and `texture` have the name of the class that the cue speaks for, or nothing where it is not
    shown; `painted` has the name of the texture, `texture_image` its index. Whose texture an object gets depends on the
    image's seed alone.
    """
    classes = table.drop_duplicates("class_index").sort_values("class_index")["class_name"].tolist()
    names = texture_names(params, classes, textures)
    found = []
    columns = zip(table["split"], table["class_index"].tolist(), table["background_seed"].tolist(), strict=True)
    for split, label, seed in columns:
        rng = numpy_generator(seed, "cue")
        is_own, other = rng.random() < params.validity, int(rng.integers(1, len(classes)))  # both, to keep later draws
        cue = label if is_own or params.shows == "texture" else (label + other) % len(classes)
        images = textures.of(names[cue], "test" if split == "test" else "train")
        found.append((classes[label], classes[cue], names[cue], int(images[rng.integers(len(images))])))
    cues = pd.DataFrame(found, columns=["shape", "texture", "painted", "texture_image"], index=table.index)
    if params.shows == "texture":
        cues["shape"] = ""
    if params.shows == "shape":
        cues = cues.assign(texture="", painted="", texture_image=-1)
    return table.drop(columns=["texture", "texture_image"]).join(cues)


class PaintedReader(ViewReader):
    """Reads images of a set whose objects are painted, one shard at a time."""

    Settings: ClassVar[type[SetParams]] = CuedSetParams

    def images(self) -> ImageData:
        """The images, not read yet; a texture alone has no masks."""
        data = super().images()
        return replace(data, read_masks=None) if self.params.shows == "texture" else data

    def read(self, places: np.ndarray) -> Tensor:
        """Images (n, 3, H, W) uint8 of some rows.

        Raises:
            UserError: a shard is missing or has changed.
        """
        if self.params.shows != "texture":
            return super().read(places)
        return self._crops(self.rows.iloc[places], self.views.resolution_px)

    def _of_shard(self, number: int, rows: pd.DataFrame) -> Tensor:
        frames = self._frames(number, rows, colour_only=True)
        if self.params.shows == "both":
            frames = replace(frames, rgba=self._painted(rows, frames))
        return load_set(rows, frames, None, self.params.background, self.classes)[0]

    def _painted(self, rows: pd.DataFrame, frames: Frames) -> np.ndarray:
        """The frames (N, H, W, 4) with the textures of their rows, under their own light."""
        keys = zip(rows["class_name"], rows["instance"], rows["view"].tolist(), strict=True)
        place = {key: number for number, key in enumerate(keys)}
        of_frame = zip(frames.class_name.tolist(), frames.instance.tolist(), frames.view.tolist(), strict=True)
        order = [place[key] for key in of_frame]
        rgba = torch.from_numpy(frames.rgba).permute(0, 3, 1, 2)
        crops = self._crops(rows.iloc[order], self.views.resolution_px)
        colours = retextured(rgba[:, :3], rgba[:, 3] > 0, crops)
        return torch.cat([colours, rgba[:, 3:]], 1).permute(0, 2, 3, 1).numpy()

    def _crops(self, rows: pd.DataFrame, side: int) -> Tensor:
        """A window of the texture of each row, (n, 3, S, S) uint8."""
        assert self.textures is not None
        pairs = zip(rows["texture_image"].tolist(), rows["background_seed"].tolist(), strict=True)
        crops = [crop(self.textures.images[image], side, side, seed) for image, seed in pairs]
        return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).contiguous()
