"""Classification sets: sizes, balance, no leaks, equal foregrounds on all backgrounds (R7), stable files."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from robust3d.data.params import PAPER_TEXTURES, BackgroundParams, SetParams, SplitParams, TextureParams
from robust3d.data.procedural_textures import make_textures
from robust3d.data.sets import COLUMNS, draw_set, load_set, read_set, save_set
from robust3d.data.splits import split_instances
from robust3d.errors import UserError

torch.set_num_threads(1)

CLASSES = tuple(f"class{k}" for k in range(10))
IDS = [f"{x}_{y}" for x in range(6) for y in range(5)]
SPLITS = {  # 24, 3, 3 of every class
    split: {name: ids for name in CLASSES} for split, ids in split_instances(IDS, SplitParams(), 0).items()
}
VIEWS, SIZE = 4, 12
KINDS = ("black", "white", "textured", "correlated", "shifted")


@pytest.fixture(scope="module")
def textures():
    return make_textures(TextureParams(images_per_class=4, resolution_px=20), 0)


@pytest.fixture(scope="module")
def frames():
    """Every (class, instance, view) as random pixels: a clear rim, an opaque core, an edge in between."""
    keys = [(c, i, v) for c in CLASSES for i in IDS for v in range(VIEWS)]
    rng = np.random.default_rng(0)
    keys = [keys[k] for k in rng.permutation(len(keys))]
    rgba = rng.integers(0, 256, (len(keys), SIZE, SIZE, 4), dtype=np.uint8)
    distance = np.hypot(*(np.indices((SIZE, SIZE)) - (SIZE - 1) / 2))
    rgba[..., 3] = np.where(distance > 5, 0, np.where(distance < 3, 255, rgba[..., 3]))
    class_name, instance, view = (np.array(column) for column in zip(*keys, strict=True))
    return SimpleNamespace(rgba=rgba, class_name=class_name, instance=instance, view=view)


def draw(textures, kind="black", images=(203, 40, 30), seed=0, **changes):
    params = SetParams(images=images, background=BackgroundParams(kind=kind), **changes)
    return draw_set(SPLITS, CLASSES, VIEWS, params, textures, seed)


def test_sizes_balance_and_no_repeats(textures):
    table = draw(textures)
    assert tuple(table.columns) == COLUMNS
    assert table.groupby("split").size().to_dict() == {"train": 203, "val": 40, "test": 30}
    counts = table.groupby(["split", "class_index"]).size().unstack()
    assert (counts.max(axis=1) - counts.min(axis=1) <= 1).all() and counts.shape == (3, 10)
    assert not table.duplicated(["class_name", "instance", "view"]).any()
    assert (table["class_name"] == table["class_index"].map(dict(enumerate(CLASSES)))).all()
    assert table["view"].between(0, VIEWS - 1).all()


def test_nothing_leaks_from_one_split_to_another(textures):
    for kind in ("textured", "correlated", "shifted"):
        table = draw(textures, kind)
        for split, rows in table.groupby("split"):
            assert set(rows["instance"]) <= set(SPLITS[split][CLASSES[0]])
            expected = "test" if split == "test" else "train"
            assert (textures.split[rows["texture_image"]] == expected).all()


def test_all_frames_can_be_drawn_and_one_more_is_refused(textures):
    table = draw(textures, images=(24 * 4 * 10, 3 * 4 * 10, 3 * 4 * 10))
    assert len(table) == len(IDS) * VIEWS * 10 and not table.duplicated(["class_name", "instance", "view"]).any()
    with pytest.raises(UserError, match=r"set\.images\[1\] \(val\): 121 images.*at most 120"):
        draw(textures, images=(100, 121, 30))
    with pytest.raises(UserError, match=r"set\.images\[2\] \(test\): 9 images.*10 classes"):
        draw(textures, images=(100, 100, 9))


def test_prefixes_are_balanced_and_smaller_sets_begin_larger_ones(textures):
    large, small = draw(textures), draw(textures, images=(50, 20, 10))
    train = large[large["split"] == "train"]
    assert train["class_index"].tolist()[:20] == list(range(10)) * 2
    assert train.head(50).reset_index(drop=True).equals(small[small["split"] == "train"].reset_index(drop=True))


def test_the_draw_depends_on_the_seed_and_not_on_the_order_of_ids(textures):
    table = draw(textures, "textured")
    assert table.equals(draw(textures, "textured"))
    assert not table["instance"].equals(draw(textures, "textured", seed=1)["instance"])
    reverse = {split: {name: ids[::-1] for name, ids in reversed(held.items())} for split, held in SPLITS.items()}
    params = SetParams(images=(203, 40, 30), background=BackgroundParams(kind="textured"))
    assert table.equals(draw_set(reverse, CLASSES, VIEWS, params, textures, 0))


def test_r7_every_background_shows_the_same_foregrounds(textures, frames):
    frame_columns = ["split", "class_index", "class_name", "instance", "view", "background_seed"]
    tables = {kind: draw(textures, kind) for kind in KINDS}
    for kind in KINDS:
        assert tables[kind][frame_columns].equals(tables["black"][frame_columns])
    rows = tables["black"][tables["black"]["split"] == "test"]
    loaded = {kind: load_set(rows, frames, textures, BackgroundParams(kind=kind), CLASSES) for kind in KINDS}
    where = {(c, i, v): k for k, (c, i, v) in enumerate(zip(frames.class_name, frames.instance, frames.view))}
    rgba = frames.rgba[[where[key] for key in zip(rows["class_name"], rows["instance"], rows["view"])]]
    opaque, clear = rgba[..., 3] == 255, rgba[..., 3] == 0
    for kind, (images, labels) in loaded.items():
        pixels = images.permute(0, 2, 3, 1).numpy()
        assert images.dtype == torch.uint8 and images.shape == (30, 3, SIZE, SIZE) and images.is_contiguous()
        assert labels.dtype == torch.int64 and labels.tolist() == rows["class_index"].tolist()
        assert np.array_equal(pixels[opaque], rgba[..., :3][opaque])
        if kind in ("black", "white"):
            assert (pixels[clear] == (0 if kind == "black" else 255)).all()
    assert not torch.equal(loaded["correlated"][0], loaded["shifted"][0])


def test_the_background_pixels_are_a_window_of_the_recorded_texture(textures, frames):
    for kind in ("textured", "correlated", "shifted"):
        rows = draw(textures, kind).query("split == 'test'").head(10)
        images, _ = load_set(rows, frames, textures, BackgroundParams(kind=kind), CLASSES)
        distance = np.hypot(*(np.indices((SIZE, SIZE)) - (SIZE - 1) / 2))
        clear = distance > 5
        for image, texture in zip(images.permute(0, 2, 3, 1).numpy(), rows["texture_image"], strict=True):
            windows = [textures.images[texture, r : r + SIZE, c : c + SIZE][clear] for r in range(9) for c in range(9)]
            assert any(np.array_equal(image[clear], window) for window in windows)


def test_correlated_set_pairs_class_and_texture_and_the_shifted_set_breaks_every_pair(textures):
    correlated, shifted = draw(textures, "correlated"), draw(textures, "shifted")
    pairs = dict(zip(CLASSES, PAPER_TEXTURES, strict=True))
    assert (correlated["texture"] == correlated["class_name"].map(pairs)).all()
    assert (shifted["texture"] != correlated["texture"]).all()
    assert (shifted["texture"] == (shifted["class_index"] - 1).mod(10).map(dict(enumerate(PAPER_TEXTURES)))).all()


def test_a_few_rows_load_as_they_do_among_all(textures, frames):
    rows = draw(textures, "shifted").query("split == 'val'")
    background = BackgroundParams(kind="shifted")
    images, labels = load_set(rows, frames, textures, background, CLASSES)
    few, few_labels = load_set(rows.iloc[3:5], frames, textures, background, CLASSES)
    assert torch.equal(few, images[3:5]) and torch.equal(few_labels, labels[3:5])


def test_wrong_labels_and_missing_frames_are_programming_errors(textures, frames):
    rows = draw(textures).head(3)
    with pytest.raises(ValueError, match="label 0"):
        load_set(rows, frames, None, BackgroundParams(), CLASSES[::-1])
    with pytest.raises(ValueError, match="no frame of class0"):
        load_set(rows.assign(view=99), frames, None, BackgroundParams(), CLASSES)


def test_the_file_round_trips_with_the_same_bytes_in_another_process(textures, tmp_path):
    table = draw(textures, "textured")
    save_set(table, tmp_path / "a.parquet")
    pd.testing.assert_frame_equal(read_set(tmp_path / "a.parquet"), table)
    script = (
        "import sys; from pathlib import Path; from robust3d.data.sets import read_set, save_set;"
        "save_set(read_set(Path(sys.argv[1])), Path(sys.argv[2]))"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path / "a.parquet", tmp_path / "b.parquet"], check=True)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_drawing_a_set_imports_neither_torch_nor_bpy():
    script = (
        "import sys, robust3d.data.params, robust3d.data.splits, robust3d.data.sets;"
        "assert not {'torch', 'bpy', 'trimesh', 'snakemake'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_classes_of_different_sizes_give_equal_shares_of_their_own_objects(textures):
    held = {name: [f"{name}.{k}" for k in range(3 + place)] for place, name in enumerate(CLASSES[:3])}
    params = SetParams(images=(36, 36, 36))
    table = draw_set(dict.fromkeys(("train", "val", "test"), held), CLASSES[:3], VIEWS, params, textures, 0)
    for (_, name), rows in table.groupby(["split", "class_name"]):
        assert len(rows) == 12 and set(rows["instance"]) <= set(held[name])
    params = SetParams(images=(39, 36, 36))
    with pytest.raises(UserError, match="12 of the smallest of 3 classes"):
        draw_set(dict.fromkeys(("train", "val", "test"), held), CLASSES[:3], VIEWS, params, textures, 0)
