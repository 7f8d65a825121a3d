"""Broden's layout, written here: what its masks say, and what is said of a folder that is not whole."""

import numpy as np
import pytest
import torch
from PIL import Image

from robust3d.architectures import architecture
from robust3d.data.images import open_set
from robust3d.data.published.broden import Broden
from robust3d.errors import UserError
from robust3d.imagesets import broden as imageset
from robust3d.models.classifier import Classifier
from robust3d.parsing import parse
from robust3d.probes import Subject, dissection
from robust3d.provenance.runner import Context
from robust3d.stages import draw_set, pack_images

LABELS = """number,name,category,frequency,coverage,syns
1,sky,object(2),2,0.1,
2,wheel,part(1);object(1),2,0.1,
300,red-c,color(2),2,0.1,
4,street-s,scene(1),1,1,
"""
INDEX = """image,split,ih,iw,sh,sw,color,object,part,scene
ade/a.jpg,train,32,32,16,16,ade/a_color.png,ade/a_object.png,ade/a_part_1.png;ade/a_part_2.png,4
dtd/b.jpg,val,32,32,16,16,dtd/b_color.png,dtd/b_object.png,,
"""


def mask(root, file, labels):
    labels = np.asarray(labels)
    pixels = np.stack([labels % 256, labels // 256, np.zeros_like(labels)], -1).astype(np.uint8)
    path = root / "images" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "broden"
    top, left = np.zeros((16, 16), int), np.zeros((16, 16), int)
    top[:8], left[:, :4] = 1, 1
    for file, labels in (
        ("ade/a_color.png", 300 * top), ("ade/a_object.png", top), ("ade/a_part_1.png", 2 * top),
        ("ade/a_part_2.png", 2 * left), ("dtd/b_color.png", 300 * left), ("dtd/b_object.png", top + left),
    ):  # fmt: skip
        mask(folder, file, labels)
    for file, shown in (("ade/a.jpg", top), ("dtd/b.jpg", left)):
        pixels = np.kron(shown, np.ones((2, 2), int))[..., None] * [255, 255, 255]
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "images" / file, quality=95)
    (folder / "label.csv").write_text(LABELS)
    (folder / "index.csv").write_text(INDEX)
    return folder


def test_masks_say_what_is_where(root):
    concepts = Broden(root).concepts()
    named = list(zip(concepts.categories, concepts.names, strict=True))
    assert named == [
        ("color", "red-c"), ("object", "sky"), ("object", "wheel"), ("part", "wheel"), ("scene", "street-s")
    ]  # fmt: skip
    first, second = concepts.read([0, 1])
    found = {
        (kind, concepts.names[number]): "all" if where is None else int(where.sum())
        for kind, given in first.labels.items()
        for number, where in given
    }
    both_parts = 128 + 64 - 32  # two masks with one label: where either is
    assert found == {
        ("color", "red-c"): 128, ("object", "sky"): 128, ("part", "wheel"): both_parts, ("scene", "street-s"): "all"
    }  # fmt: skip
    assert set(second.labels) == {"color", "object"}  # not labelled with parts and scenes
    assert {concepts.names[n]: int(m.sum()) for n, m in second.labels["object"]} == {"sky": 128, "wheel": 32}
    assert [one.labels.keys() for one in Broden(root).concepts([1]).read([0])] == [second.labels.keys()]


def made(root, folder):
    """The set, as the stages make it."""
    told = {"kind": "broden", "path": str(root), "resolution_px": 32}
    params = parse(imageset.Params, told)
    told = {"set": params.model_dump(mode="json"), "seed": 0, "data_on_disk": imageset.identity(params)}
    folder.mkdir(exist_ok=True)
    draw_set.run(Context(told, {}, {"table": folder / "set.parquet"}, folder, 1))
    outputs = {"images": folder / "images.npy", "manifest": folder / "manifest.json", "sources": folder / "sources"}
    pack_images.run(Context(told | {"block": [0, 1]}, {"set": [folder / "set.parquet"]}, outputs, folder, 1))
    return told["set"], {"set": [folder / "set.parquet"], "images": [folder / "manifest.json"]}


def test_the_set_is_all_test_images_and_can_be_dissected(root, tmp_path):
    params, inputs = made(root, tmp_path / "made")
    images = open_set(params, inputs, "test")
    assert images.rows["instance"].tolist() == ["ade/a.jpg", "dtd/b.jpg"] and images.classes == ("ade", "dtd")
    model = Classifier(architecture({"name": "resnet18", "params": {"stem": "small"}}), 2).eval()
    torch.nn.init.ones_(model.network.conv1.weight)  # all of its units are bright where the picture is
    subject = Subject(model, ("a", "b"), "cpu", lambda name: images, tmp_path)
    found = dissection.probe(dissection.Params(layers=("relu",), share=0.35), subject).metrics["layers"]["relu"]
    assert set(found["label"]) == {"red-c"} and min(found["score"]) > 0.85
    with pytest.raises(UserError, match="no train image in this set"):
        open_set(params, inputs, "train")


def test_a_changed_mask_is_a_changed_set(root, tmp_path):
    before = imageset.identity(parse(imageset.Params, {"kind": "broden", "path": str(root), "resolution_px": 32}))
    _, first = made(root, tmp_path / "a")
    _, again = made(root, tmp_path / "b")
    assert first["set"][0].read_bytes() == again["set"][0].read_bytes()
    mask(root, "dtd/b_object.png", np.eye(16, dtype=int))
    assert before != imageset.identity(
        parse(imageset.Params, {"kind": "broden", "path": str(root), "resolution_px": 32})
    )
    _, changed = made(root, tmp_path / "c")
    assert first["set"][0].read_bytes() != changed["set"][0].read_bytes()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda root: (root / "label.csv").unlink(), r"label\.csv: cannot be read"),
        (lambda root: (root / "index.csv").write_text("image,split\na,b\n"), r"index\.csv: no column 'ih'"),
        (lambda root: (root / "images/ade/a_object.png").unlink(), r"a_object\.png: no such file, but line 2 of index"),
        (
            lambda root: [file.unlink() for file in (root / "images/dtd").iterdir()],
            r"dtd/b\.jpg: no such file, but line 3 .* and 2 other files are missing",
        ),
        (lambda root: (root / "index.csv").write_text(INDEX.replace("16,16", "16,many")), "line 2: sw is 'many'"),
        (
            lambda root: (root / "index.csv").write_text(INDEX.replace("dtd/b.jpg", "../b.jpg")),
            r"line 3: '\.\./b\.jpg'",
        ),
        (lambda root: (root / "index.csv").write_text(INDEX.replace("dtd/b.jpg", "ade/a.jpg")), "a line already"),
        (lambda root: mask(root, "dtd/b_color.png", np.zeros((8, 16), int)), r"b_color\.png: a mask of 16x8 px, but"),
        (lambda root: mask(root, "dtd/b_color.png", np.full((16, 16), 7)), "label 7 of dtd/b.jpg is no color"),
        (lambda root: Image.new("L", (16, 16)).save(root / "images/dtd/b_color.png"), "grey or transparent"),
        (lambda root: (root / "images/dtd/b_color.png").write_bytes(b"PNG?"), r"b_color\.png: not a PNG"),
    ],
)
def test_what_is_wrong_is_named(root, spoil, says):
    spoil(root)
    with pytest.raises(UserError, match=says):
        Broden(root).concepts().read([0, 1])
