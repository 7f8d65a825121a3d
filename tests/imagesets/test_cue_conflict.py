"""Painted objects: which cues an image shows, and that nothing else differs between the sets."""

from types import SimpleNamespace

import numpy as np
import pytest
from pydantic import ValidationError

from robust3d import registry
from robust3d.data.frame import Frame
from robust3d.data.images import open_set
from robust3d.data.manifest import Shard, Views, held_by
from robust3d.data.params import TextureParams
from robust3d.data.sets import save_set
from robust3d.data.shards import write_classes
from robust3d.data.textures import Textures, assemble
from robust3d.errors import UserError
from robust3d.parsing import parse

SIDE, VIEWS, IDS, CLASSES = 16, 4, tuple("abcdefgh"), ("cone", "horn", "cube")
COLOURS = np.array([[200, 20, 20], [20, 200, 20], [20, 20, 200]], np.uint8)
MASK = np.zeros((SIDE, SIDE), bool)
MASK[4:12, 5:13] = True
DEPTH = np.where(MASK, 3.0, np.inf).astype(np.float32)


def frames(class_name):
    """Grey objects of one brightness, so that a painted one has the colour of its texture."""
    rgba = np.where(MASK[..., None], np.array([90, 90, 90, 255]), 0).astype(np.uint8)
    for instance in IDS:
        for view in range(VIEWS):
            yield Frame(instance, view, rgba, MASK, DEPTH, np.eye(4), np.eye(3))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Draws a set and opens a part of it. Textures are plain colours, brighter ones in the test."""
    folder = tmp_path_factory.mktemp("painted")
    entry = write_classes(folder / "all.h5", {name: frames(name) for name in CLASSES}, resolution_px=SIDE, extent=1.5)
    shard = Shard(str(folder / "all.h5"), held_by(entry), entry["sha256"], entry["bytes"])
    splits = {"train": IDS[:4], "val": IDS[4:5], "test": IDS[5:]}
    Views("solids", CLASSES, VIEWS, SIDE, 1.5, splits, (shard,)).write(folder / "views.json")
    kinds = TextureParams(classes=("red", "green", "blue"), images_per_class=2, resolution_px=SIDE, test_fraction=0.5)
    pixels = np.stack([colour + 10 * test for colour in COLOURS for test in (0, 1)]).astype(np.uint8)
    textures = assemble(np.broadcast_to(pixels[:, None, None], (6, SIDE, SIDE, 3)).copy(), kinds)
    textures.save(folder / "textures.npz")
    files = {"views": [folder / "views.json"], "textures": [folder / "textures.npz"]}
    module = registry.load("set", "cue_conflict")

    def make(split="test", **changes):
        values = {"kind": "cue_conflict", "family": "solids", "images": [24, 9, 36], **changes}
        params = parse(module.Params, values).model_dump(mode="json", exclude={"family"})
        table, _ = module.draw(params, files, 0)
        save_set(table, folder / "set.parquet")
        return open_set(params, {"set": [folder / "set.parquet"], **files}, split)

    return make


def colours_of(images):
    """The colour of the middle of each image."""
    return images.all()[:, :, 8, 8].numpy()


def expected(images, column, bright=10):
    return COLOURS[[CLASSES.index(name) for name in images.rows[column]]] + bright


def test_conflicting_objects_have_the_texture_of_another_class(made):
    conflict, matching = made(validity=0.0), made()
    assert (conflict.rows["shape"] == conflict.rows["class_name"]).all()
    assert (conflict.rows["shape"] != conflict.rows["texture"]).all()
    assert (matching.rows["shape"] == matching.rows["texture"]).all()
    np.testing.assert_array_equal(colours_of(conflict), expected(conflict, "texture"))
    np.testing.assert_array_equal(colours_of(matching), expected(matching, "texture"))
    pairs = set(zip(conflict.rows["shape"], conflict.rows["texture"], strict=True))
    assert len(pairs) == 6  # every shape has met every other texture
    same = ["class_name", "instance", "view"]
    assert conflict.rows[same].equals(matching.rows[same]) and conflict.labels.equal(matching.labels)


def test_what_is_outside_the_object_stays(made):
    for background, grey in (("black", 0), ("white", 255)):
        pixels = made(background={"kind": background}).all().permute(0, 2, 3, 1).numpy()
        assert (pixels[:, ~MASK] == grey).all() and (pixels[:, MASK] != grey).any(2).all()


def test_textures_of_training_are_not_those_of_the_test(made):
    np.testing.assert_array_equal(colours_of(made("train")), expected(made("train"), "texture", 0))


def test_one_cue_alone(made):
    shape, texture = made(shows="shape"), made(shows="texture")
    assert (colours_of(shape) == 90).all() and (shape.rows["texture"] == "").all()
    assert shape.read_masks is not None and texture.read_masks is None
    assert shape.ids == made().ids and len(set(shape.ids)) == len(shape)  # so an image's render is found by its name
    pixels = texture.all().permute(0, 2, 3, 1).numpy()
    np.testing.assert_array_equal(pixels, np.broadcast_to(expected(texture, "texture")[:, None, None], pixels.shape))
    assert (texture.rows["texture"] == texture.rows["class_name"]).all() and (texture.rows["shape"] == "").all()


def test_validity_is_a_share(made):
    rows = made("train", images=[48, 9, 36], validity=0.5).rows
    assert 0.25 < (rows["shape"] == rows["texture"]).mean() < 0.75


def test_light_stays_on_a_painted_object():
    """Twice as bright a half stays twice as bright."""
    import pandas as pd
    import torch

    from robust3d.data.painted import PaintedReader

    rgba = np.full((1, SIDE, SIDE, 4), 255, np.uint8)
    rgba[..., :8, :3], rgba[..., 8:, :3] = 60, 120
    texture = Textures(np.full((1, SIDE, SIDE, 3), 100, np.uint8), ("t",), np.array([0]), np.array(["test"]))
    reader = SimpleNamespace(views=SimpleNamespace(resolution_px=SIDE), textures=texture)
    reader._crops = lambda rows, side: PaintedReader._crops(reader, rows, side)
    rows = pd.DataFrame({"class_name": ["a"], "instance": ["1"], "view": [0], "texture_image": 0, "background_seed": 1})
    one = SimpleNamespace(rgba=rgba, class_name=np.array(["a"]), instance=np.array(["1"]), view=np.array([0]))
    found = torch.from_numpy(PaintedReader._painted(reader, rows, one))[0, 0, :, 0].tolist()
    assert found == [67] * 8 + [133] * 8  # 100 x 2/3, 100 x 4/3


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"mapping": ["red", "green"]}, "mapping: 2 textures for 3 classes; each class needs a texture of its own"),
        ({"mapping": ["red", "green", "pink"]}, "mapping: no texture 'pink'; textures.classes has red, green, blue"),
    ],
)
def test_textures_that_do_not_go_with_the_classes_are_named(made, changes, says):
    with pytest.raises(UserError, match=says):
        made(**changes)


@pytest.mark.parametrize(
    "changes", [{"validity": 1.5}, {"mapping": ["red", "red", "blue"]}, {"background": {"kind": "textured"}}]
)
def test_values_without_meaning_are_refused(changes):
    with pytest.raises((ValidationError, ValueError)):
        parse(registry.load("set", "cue_conflict").Params, {"kind": "cue_conflict", "family": "solids", **changes})
