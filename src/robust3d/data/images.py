"""The images and labels of one split of a classification set, composited from the shards one at a time."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from robust3d.data.manifest import Views
from robust3d.data.params import SetParams, SplitName
from robust3d.data.sets import load_set, read_set
from robust3d.data.textures import Textures

if TYPE_CHECKING:
    import pandas as pd


def load_images(
    table: Path, views: Path, textures: Path | None, params: SetParams, split: SplitName
) -> tuple[Tensor, Tensor, "pd.DataFrame"]:
    """Load one split.

    Args:
        table: of the set, by `draw_set`.
        views: manifest of the set's family.
        textures: needed for textured backgrounds.
        params: of the set; its background stands behind the objects.
        split: which part.

    Returns:
        Images (N, 3, H, W) uint8, labels (N,) int64 and the table's rows, all in the order of the table.
    """
    manifest = Views.read(views)
    loaded_textures = Textures.load(textures) if textures else None
    classes = params.labels(manifest.classes)
    everything = read_set(table)
    rows = everything[everything["split"] == split].reset_index(drop=True)
    side = manifest.resolution_px
    images = torch.empty(len(rows), 3, side, side, dtype=torch.uint8)
    for shard in manifest.shards:
        here = rows[(rows["class_name"] == shard.class_name) & rows["instance"].isin(shard.instances)]
        if len(here):
            frames = manifest.load([shard], set(here["instance"]))
            images[here.index.to_numpy()] = load_set(here, frames, loaded_textures, params.background, classes)[0]
    return images, torch.tensor(rows["class_index"].to_numpy("int64")), rows
