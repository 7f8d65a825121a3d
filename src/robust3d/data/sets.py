"""Fixed-size classification sets drawn inside the splits: the choice of frames, and their images.

The choice of frames does not depend on the background, so sets that differ in it show the same objects
in the same views; the table records the texture of each.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np

from robust3d.data.backgrounds import Backgrounds, image_seed
from robust3d.data.params import BackgroundParams, ChangeParams, SetParams, SplitName
from robust3d.data.textures import Textures
from robust3d.errors import UserError, why_unreadable
from robust3d.seeds import numpy_generator

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from robust3d.data.shards import Frames

COLUMNS = (
    "split",
    "class_index",
    "class_name",
    "instance",
    "view",
    "texture",
    "texture_image",
    "background_seed",
)

_MOST_ROWS = 100_000_000
_NOTICES = b"notices"  # key of the file's metadata


def draw_set(
    splits: Mapping[str, Mapping[str, Sequence[str]]],
    classes: Sequence[str],
    views: int,
    params: SetParams,
    textures: Textures | None,
    seed: int,
) -> "pd.DataFrame":
    """Draw a set: per split and class, (instance, view) pairs without replacement (paper §5).

    Classes alternate, so the first n rows of a split are themselves a class-balanced set; a larger set of the
    same seed contains the images of a smaller one as the first ones of each class.

    Args:
        splits: by "train", "val" and "test" the instance ids of every class (`Views.objects`).
        classes: class names in label order (`SetParams.labels`).
        views: number per instance.
        params: number of images and background.
        textures: needed for textured backgrounds.
        seed: the study's seed.

    Returns:
        One row per image with `COLUMNS`: split, class_index, class_name, instance, view, texture (name of the
        class, "" on a plain background), texture_image (index into `textures`, or -1) and background_seed.

    Raises:
        UserError: a split has fewer images than asked, or fewer than one per class are asked for.
    """
    import pandas as pd  # not at the top: every job that reads images imports this module

    backgrounds = Backgrounds(params.background, textures, len(classes))
    rows = []
    for split in get_args(SplitName):
        if not any(splits[split].values()):
            continue  # a family of which this part was not rendered
        fewest = min(classes, key=lambda name: len(splits[split][name]))
        counts = params.counts(split, len(classes), len(splits[split][fewest]) * views)
        for label, (name, count) in enumerate(zip(classes, counts, strict=True)):
            instances = sorted(splits[split][name])
            drawn = numpy_generator(seed, "set", split, name).permutation(len(instances) * views)[:count]
            for rank, pair in enumerate(drawn):
                instance, view = instances[pair // views], int(pair % views)
                key = image_seed(seed, name, instance, view)
                image = backgrounds.texture(label, split, key)
                texture = textures.names[textures.class_index[image]] if textures and image >= 0 else ""
                rows.append((rank, split, label, name, instance, view, texture, image, key))
    table = pd.DataFrame(rows, columns=["rank", *COLUMNS])
    order = {split: position for position, split in enumerate(get_args(SplitName))}
    table["position"] = table["split"].map(order)
    table = table.sort_values(["position", "rank", "class_index"], kind="stable")
    return table[list(COLUMNS)].reset_index(drop=True)


def save_set(table: "pd.DataFrame", path: Path, notices: Sequence[str] = ()) -> None:
    """Write a set as Parquet whose bytes depend on the content only.

    Args:
        table: the set.
        path: of the new file.
        notices: flags for every number that depends on the set.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = pa.Table.from_pandas(table, preserve_index=False)
    pq.write_table(content.replace_schema_metadata({_NOTICES: json.dumps(notices)} if notices else None), path)


def read_set(path: Path) -> "pd.DataFrame":
    """Read the table that `save_set` wrote.

    Raises:
        UserError: missing, or not a readable Parquet file.
    """
    return read_noticed_set(path)[0]


def read_noticed_set(path: Path) -> tuple["pd.DataFrame", list[str]]:
    """Read the table and the notices that `save_set` wrote.

    Raises:
        UserError: missing, or not a readable Parquet file.
    """
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            if file.metadata.num_rows > _MOST_ROWS:
                raise UserError(f"{path}: claims {file.metadata.num_rows:,} rows; delete it to make it again")
            notices = json.loads((file.schema_arrow.metadata or {}).get(_NOTICES, b"[]"))
            return file.read().to_pandas(), notices
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"{path}: no such table of images; ask snakemake for it") from None
    except Exception as error:  # Arrow's exceptions and, from to_pandas, nearly any other
        reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
        damaged = f"not a readable Parquet file ({reason}); delete it to make it again"
        raise why_unreadable(path, error, damaged) from None


def load_set(
    rows: "pd.DataFrame",
    frames: "Frames",
    textures: Textures | None,
    background: BackgroundParams,
    classes: Sequence[str],
    change: ChangeParams | None = None,
) -> tuple["torch.Tensor", "torch.Tensor"]:
    """The images of rows of a set, composited on `background`.

    The background may differ from the set's: for the shifted test (paper §5.2) the same rows are loaded with
    the kind `shifted`.

    Args:
        rows: rows of a table by `draw_set`, commonly those of one split.
        frames: rendered frames that contain all rows.
        textures: needed for textured backgrounds.
        background: of the images.
        classes: all class names in label order, also those without a row here.
        change: what else is otherwise; a focus needs frames with depth.

    Returns:
        Images (N, 3, H, W) uint8 and labels (N,) int64, in the order of the rows.
    """
    import torch

    from robust3d.data.changes import after_compositing, before_compositing  # they need torch

    backgrounds = Backgrounds(background, textures, len(classes))
    keys = zip(frames.class_name.tolist(), frames.instance.tolist(), frames.view.tolist(), strict=True)
    where = {key: position for position, key in enumerate(keys)}
    images = np.empty((len(rows), *frames.rgba.shape[1:3], 3), np.uint8)
    columns = ["split", "class_index", "class_name", "instance", "view", "background_seed"]
    for i, row in enumerate(zip(*(rows[column].tolist() for column in columns), strict=True)):
        split, label, name, instance, view, key = row
        if classes[label] != name:
            raise ValueError(f"label {label} is {name} in the set but {classes[label]} in `classes`")
        if (name, instance, view) not in where:
            raise ValueError(f"no frame of {name} {instance}, view {view}")
        place = where[name, instance, view]
        rgba = frames.rgba[place] if change is None else before_compositing(change, frames.rgba[place])
        images[i] = backgrounds.behind(rgba, label, split, key)
        if change is not None:
            images[i] = after_compositing(change, images[i], frames.depth[place])
    labels = torch.tensor(rows["class_index"].to_numpy(np.int64))
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), labels
