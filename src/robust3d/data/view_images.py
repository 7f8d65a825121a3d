"""Images of a set of views: frames of shards, composited with their backgrounds when read."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from robust3d.data.images import ImageData
from robust3d.data.manifest import Shard, Views
from robust3d.data.params import SetParams
from robust3d.data.sets import load_set
from robust3d.data.shards import Frames, read_shards
from robust3d.data.textures import Textures
from robust3d.parsing import parse


class ViewReader:
    """Reads images one shard at a time: memory holds the requested images and the frames of one shard.

    Args:
        params: of the set, without the family.
        files: `views`, the manifest of the family, and `textures`, if the background needs them.
        rows: of the set's table.
    """

    Settings: ClassVar[type[SetParams]] = SetParams

    def __init__(self, params: Mapping[str, Any], files: Mapping[str, Sequence[Path]], rows: pd.DataFrame) -> None:
        self.params: Any = parse(self.Settings, params)
        self.views = Views.read(files["views"][0])
        self.textures = Textures.load(files["textures"][0]) if files["textures"] else None
        self.classes = self.params.labels(self.views.classes)
        self.rows = rows
        held = {(name, i): n for n, s in enumerate(self.views.shards) for name, ids in s.instances.items() for i in ids}
        objects = zip(rows["class_name"], rows["instance"], strict=True)
        self.shard = np.array([held[key] for key in objects], np.int64)  # of every row
        self.checked: set[int] = set()

    def images(self) -> ImageData:
        """The images, not read yet."""
        return ImageData(
            labels=torch.tensor(self.rows["class_index"].to_numpy("int64")),
            read=self.read,
            read_masks=self.read_masks,
            resolution_px=self.views.resolution_px,
            rows=self.rows,
            background=self.params.background.kind,
            notices=tuple(self.views.notices()),
        )

    def read(self, places: np.ndarray) -> Tensor:
        """Images (n, 3, H, W) uint8 of some rows.

        Raises:
            UserError: a shard is missing or has changed.
        """
        side = self.views.resolution_px
        images = torch.empty(len(places), 3, side, side, dtype=torch.uint8)
        for number in np.unique(self.shard[places]).tolist():
            here = np.flatnonzero(self.shard[places] == number)
            images[here] = self._of_shard(number, self.rows.iloc[places[here]])
        return images

    def read_masks(self, places: np.ndarray) -> Tensor:
        """Masks (n, H, W) bool of the objects of some rows.

        Raises:
            UserError: a shard is missing or is not the one of the manifest.
        """
        side = self.views.resolution_px
        masks = torch.empty(len(places), side, side, dtype=torch.bool)
        for number in np.unique(self.shard[places]).tolist():
            here = np.flatnonzero(self.shard[places] == number)
            rows = self.rows.iloc[places[here]]
            frames = self._frames(number, rows, colour_only=False)
            keys = zip(frames.class_name.tolist(), frames.instance.tolist(), frames.view.tolist(), strict=True)
            where = {key: position for position, key in enumerate(keys)}
            wanted = zip(rows["class_name"], rows["instance"], rows["view"].tolist(), strict=True)
            masks[here] = torch.from_numpy(frames.mask[[where[key] for key in wanted]])
        return masks

    def _of_shard(self, number: int, rows: pd.DataFrame) -> Tensor:
        frames = self._frames(number, rows, colour_only=True)
        return load_set(rows, frames, self.textures, self.params.background, self.classes)[0]

    def _frames(self, number: int, rows: pd.DataFrame, colour_only: bool) -> Frames:
        shard: Shard = self.views.shards[number]
        if number not in self.checked:
            self.views.check([shard])
            self.checked.add(number)
        keys = set(zip(rows["class_name"], rows["instance"], rows["view"], strict=True))
        return read_shards([Path(shard.path)], set(rows["instance"]), keys, colour_only=colour_only)
