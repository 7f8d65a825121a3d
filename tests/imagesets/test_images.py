"""Batches of a set: the same bytes from memory and from files, at bounded memory, and on tables drawn by hand."""

import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from image_files import colours, save

from robust3d.data.frame import Frame
from robust3d.data.images import ImageData, open_set
from robust3d.data.manifest import Shard, Views, held_by
from robust3d.data.params import PictureSetParams, SetParams, TextureParams
from robust3d.data.picture_sets import draw_pictures
from robust3d.data.procedural_textures import make_textures
from robust3d.data.sets import draw_set, read_noticed_set, save_set
from robust3d.data.shards import write_classes, write_shard
from robust3d.errors import UserError

SIDE, VIEWS, IDS = 64, 4, tuple("abcdefgh")
CLASSES = ("cone", "horn", "cube")


def frames(class_name: str, instances: tuple[str, ...]):
    for instance in instances:
        for view in range(VIEWS):
            rng = np.random.default_rng([*class_name.encode(), *instance.encode(), view])
            mask = np.zeros((SIDE, SIDE), bool)
            mask[8:56, 10:50] = True
            rgba = rng.integers(0, 256, (SIDE, SIDE, 4), dtype=np.uint8) * mask[..., None]
            depth = np.where(mask, 3.0, np.inf).astype(np.float32)
            yield Frame(instance, view, rgba, mask, depth, np.eye(4), np.eye(3))


@pytest.fixture(scope="module")
def views(tmp_path_factory):
    """Three classes in five shards, one of them of two classes; inputs of a job and the set's parameters."""
    folder = tmp_path_factory.mktemp("views")
    shards = []

    def add(entry, path):
        shards.append(Shard(str(path), held_by(entry), entry["sha256"], entry["bytes"]))

    for n, part in enumerate((IDS[:4], IDS[4:])):
        path = folder / f"cone-{n}.h5"
        add(write_shard(path, frames("cone", part), class_name="cone", resolution_px=SIDE, extent=1.5), path)
        path = folder / f"others-{n}.h5"
        both = {name: frames(name, part) for name in CLASSES[1:]}
        add(write_classes(path, both, resolution_px=SIDE, extent=1.5), path)
    splits = {"train": IDS[:6], "val": IDS[6:7], "test": IDS[7:]}
    manifest = Views("solids", CLASSES, VIEWS, SIDE, 1.5, splits, tuple(shards))
    manifest.write(folder / "views.json")
    textures = make_textures(TextureParams(images_per_class=4, resolution_px=SIDE), 0)
    textures.save(folder / "textures.npz")
    params = SetParams(images=(60, 9, 9), background={"kind": "textured"})
    objects = {split: manifest.objects(split) for split in splits}
    save_set(draw_set(objects, CLASSES, VIEWS, params, textures, 0), folder / "set.parquet")
    inputs = {"set": ["set.parquet"], "views": ["views.json"], "textures": ["textures.npz"]}
    return params.model_dump(mode="json"), {name: [folder / file for file in files] for name, files in inputs.items()}


def test_views_in_batches_are_the_views_in_memory(views):
    told, inputs = views
    for split in ("train", "val", "test"):
        whole, lazy = open_set(told, inputs, split), open_set(told, inputs, split, resident_bytes=0)
        assert whole.resident is not None and lazy.resident is None and whole.background == "textured"
        order = torch.randperm(len(whole), generator=torch.Generator().manual_seed(0))
        assert torch.equal(torch.cat([lazy.batch(part) for part in order.split(7)]), whole.all()[order])
        assert lazy.classes == whole.classes == CLASSES and len(lazy.rows) == len(lazy)


def test_views_have_the_masks_of_their_objects_and_names(views):
    """The fixture's colours are nowhere without an object, so pixels of another colour than on black show the mask."""
    told, inputs = views
    for resident_bytes in (0, 1 << 30):
        images = open_set(told, inputs, "train", resident_bytes=resident_bytes)
        masks = images.masks([5, 0, 5])
        expected = np.zeros((SIDE, SIDE), bool)
        expected[8:56, 10:50] = True
        assert masks.shape == (3, SIDE, SIDE) and masks.dtype == torch.bool
        assert all((mask.numpy() == expected).all() for mask in masks)
        row = images.rows.iloc[0]
        assert images.ids[0] == f"{row['class_name']}/{row['instance']}-{row['view']}" and len(set(images.ids)) == len(
            images
        )


def test_each_view_has_its_own_mask(tmp_path):
    def shapes():
        for view in range(3):
            mask = np.zeros((8, 8), bool)
            mask[: view + 1, 2 * view] = True
            rgba = np.full((8, 8, 4), 9, np.uint8) * mask[..., None]
            yield Frame("a", view, rgba, mask, np.where(mask, 1.0, np.inf).astype(np.float32), np.eye(4), np.eye(3))

    entry = write_shard(tmp_path / "a.h5", shapes(), class_name="cone", resolution_px=8, extent=1.0)
    shard = Shard(str(tmp_path / "a.h5"), held_by(entry), entry["sha256"], entry["bytes"])
    Views("s", ("cone",), 3, 8, 1.0, {"train": ("a",), "val": (), "test": ()}, (shard,)).write(tmp_path / "views.json")
    rows = [("train", 0, "cone", "a", view, "", -1, 0) for view in (2, 0, 1)]
    names = ["split", "class_index", "class_name", "instance", "view", "texture", "texture_image", "background_seed"]
    save_set(pd.DataFrame(rows, columns=names), tmp_path / "set.parquet")
    inputs = {"set": [tmp_path / "set.parquet"], "views": [tmp_path / "views.json"]}
    images = open_set(SetParams(images=(3, 1, 1)).model_dump(mode="json"), inputs, "train")
    assert images.masks([0, 1, 2]).sum((1, 2)).tolist() == [3, 1, 2]
    assert torch.equal(images.masks([2, 1]), images.masks(range(3))[[2, 1]])


def test_pictures_are_named_by_class_and_file_and_have_no_masks(make, pictures):
    images = make(kind="folder", path=str(pictures)).open("test")
    assert sorted(images.ids) == [f"{name}/{number}" for name in ("cat", "dog") for number in range(3)]
    with pytest.raises(UserError, match="no masks"):
        images.masks([0])


def test_views_of_a_set_with_a_name(views):
    told, inputs = views
    renamed = {f"{kind}:shifted": files for kind, files in inputs.items()}
    assert torch.equal(open_set(told, renamed, "val", "shifted").all(), open_set(told, inputs, "val").all())


def peak_bytes(data: ImageData, index: list[int]) -> int:
    data.batch(index)
    tracemalloc.start()
    for _ in range(3):
        data.batch(index)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_holds_the_batch_and_not_the_set(tmp_path, make):
    for number in range(300):
        save(tmp_path / "many" / "ab"[number % 2] / f"{number}.png", colours(number, 64))
    data = make(kind="folder", path=str(tmp_path / "many"), resolution_px=64).open(resident_bytes=0)
    image = 3 * 64**2
    few, more = peak_bytes(data, list(range(4))), peak_bytes(data, list(range(0, 40)))
    assert few < 8 * image + 50_000 and more < 50 * image + 50_000  # of 240 images


def listed(**splits: dict[str, int]) -> pd.DataFrame:
    rows = [
        (split, name, f"{split}-{name}-{k}")
        for split, classes in splits.items()
        for name, n in classes.items()
        for k in range(n)
    ]
    return pd.DataFrame(rows, columns=["split", "class_name", "instance"])


def pictures(**more) -> PictureSetParams:
    return PictureSetParams(kind="toy", resolution_px=8, **more)


def test_drawing_depends_on_the_pictures_and_not_on_their_order():
    rows = listed(any={"a": 30, "b": 20})
    table, notices = draw_pictures(("a", "b"), rows, pictures(), 3)
    again, _ = draw_pictures(("a", "b"), rows.sample(frac=1, random_state=0), pictures(), 3)
    assert table.equals(again) and notices == []
    assert table.groupby(["split", "class_name"]).size().unstack().loc["train"].to_dict() == {"a": 24, "b": 16}
    assert not table.equals(draw_pictures(("a", "b"), rows, pictures(), 4)[0])
    few, _ = draw_pictures(("a", "b"), rows, pictures(images=(10, 2, 2)), 3)
    # a smaller set begins, class by class, with the images of a larger one
    for name in ("a", "b"):
        larger, smaller = (
            t[(t["split"] == "train") & (t["class_name"] == name)]["instance"].tolist() for t in (table, few)
        )
        assert smaller == larger[:5]


@pytest.mark.parametrize(
    ("rows", "more", "says"),
    [
        (listed(train={"a": 3, "b": 3}, val={"a": 1, "b": 1}, any={"a": 1}), {}, "others in none"),
        (listed(train={"a": 3, "b": 3}, dev={"a": 1}), {}, "split 'dev'"),
        (listed(any={"a": 3, "b": 2}), {}, r"class b: 2 image\(s\) cannot fill 3 splits"),
        (pd.concat([listed(any={"a": 3, "b": 3})] * 2), {}, "two pictures with this id"),
        (listed(any={"a": 3, "b": 3}), {"label_order": ("a", "z")}, "no class 'z' there; there are a, b"),
        (listed(any={"a": 3, "b": 3}), {"label_order": ("a",)}, "two classes or more"),
        (listed(train={"a": 3, "b": 3}, test={"a": 1, "b": 1}), {"images": (4, 3, 2)}, r"images\[1\] \(val\)"),
        (listed(test={"a": 3, "b": 3}), {}, "without a training image|no image in"),
    ],
)
def test_lists_that_make_no_set_are_refused(rows, more, says):
    with pytest.raises(UserError, match=says):
        draw_pictures(("a", "b"), rows, pictures(**more), 0)


def test_notices_travel_with_the_table(tmp_path):
    table = listed(any={"a": 1})
    for notices in ([], ["été is short"]):
        save_set(table, tmp_path / "set.parquet", notices)
        read, found = read_noticed_set(tmp_path / "set.parquet")
        assert read.equals(table) and found == notices
    save_set(table, tmp_path / "a.parquet")
    save_set(table, tmp_path / "b.parquet", ())
    assert Path(tmp_path / "a.parquet").read_bytes() == Path(tmp_path / "b.parquet").read_bytes()
