"""Images for `robust3d evaluate`: whatever is wrong with the file ends in one message that names it."""

import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from robust3d import architectures
from robust3d.errors import UserError
from robust3d.evaluate.images import images_for, read_images
from robust3d.evaluate.networks import open_network

CASE = Path(__file__).parents[2] / "shared" / "cases" / "data" / "evaluate-npy"
IMAGES = np.arange(3 * 8 * 8 * 3, dtype=np.uint8).reshape(3, 8, 8, 3)
LABELS = np.array([0, 2, 1])


def npz(**arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def npy(array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def flipped(content: bytes) -> bytes:
    """One bit of the images is wrong."""
    place = content.index(IMAGES.tobytes()[:20]) + 5
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def zipped(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("images.npy", content)
        archive.writestr("labels.npy", npy(LABELS))
    return buffer.getvalue()


def read(path: Path, resolution: int | None = None, classes: int = 3, resize: int | None = None):
    return read_images(path, resolution, resize, classes)


GOOD = npz(images=IMAGES, labels=LABELS)


def test_good_ones(tmp_path):
    for dtype in (">i8", np.int32, np.uint8):
        np.savez_compressed(tmp_path / "a.npz", images=IMAGES, labels=LABELS.astype(dtype), more=np.zeros(2))
        given = read(tmp_path / "a.npz")
        assert given.labels.tolist() == [0, 2, 1] and given.preparation is None
        np.testing.assert_array_equal(given.read(0, given.count).permute(0, 2, 3, 1).numpy(), IMAGES)


@pytest.mark.parametrize(
    "content, told",
    [
        (npy(IMAGES), "expected an .npz with arrays `images` and `labels`"),
        (flipped(GOOD), "expected an .npz"),
        (GOOD[: len(GOOD) // 2], "expected an .npz"),
        (b"not a zip", "expected an .npz"),
        (b"", "expected an .npz"),
        (zipped(b"no array"), "expected an .npz"),
        (zipped(pickle.dumps(IMAGES)), "expected an .npz"),
        (npz(images=np.array([object()]), labels=LABELS), "Python objects.*expected an .npz"),
        (npz(images=IMAGES), "no array 'labels' in it; it holds images; expected an .npz"),
        (npz(images=IMAGES / 255, labels=LABELS), "`images` must be uint8 N×H×W×3, found float64"),
        (npz(images=IMAGES.transpose(0, 3, 1, 2), labels=LABELS), r"found uint8 \(3, 3, 8, 8\)"),
        (npz(images=np.array("x"), labels=LABELS), "`images` must be uint8"),
        (npz(images=IMAGES, labels=LABELS.astype(float)), "`labels` must be 3 whole numbers from 0, found float64"),
        (npz(images=IMAGES, labels=LABELS[:2]), r"found int64 \(2,\)"),
        (npz(images=IMAGES, labels=LABELS - 1), "`labels` must be"),
        (npz(images=IMAGES, labels=np.array([0, 1, 2**63], np.uint64)), "`labels` must be"),
        (npz(images=IMAGES // 255, labels=LABELS), "no value of `images` is above 1; pixels go from 0 to 255"),
        (npz(images=IMAGES[:0], labels=LABELS[:0]), "no images"),
    ],
)
def test_bad_ones(tmp_path, content, told):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(UserError, match=rf"a\.npz: .*{told}"):
        read(tmp_path / "a.npz")


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(UserError, match=r"none.npz: .*expected an .npz"):
        read(tmp_path / "none.npz")
    with pytest.raises(UserError, match=rf"{tmp_path}: a folder of pictures; .*--resolution"):
        read(tmp_path)


@pytest.mark.skipif(not CASE.is_dir(), reason="the cases are not beside the project")
def test_the_case():
    for name in ("images.npy", "damaged.npz"):
        with pytest.raises(UserError, match=rf"{name}: .*expected an .npz"):
            read(CASE / name)


def picture(path: Path, seed: int = 0, size: tuple[int, int] = (20, 30)) -> np.ndarray:
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


def test_folders_are_labelled_as_imagenets_classes_by_id_index_or_name(tmp_path):
    for place, name in enumerate(("goldfish", "n01440764", "999", "great_white_shark", "Carassius auratus")):
        picture(tmp_path / name / f"{place}.png", place)
    given = read(tmp_path, 16, 1000)
    labels = dict(zip((Path(file).parts[0] for file in given.files), given.labels.tolist(), strict=True))
    wanted = {"goldfish": 1, "n01440764": 0, "999": 999, "great_white_shark": 2, "Carassius auratus": 1}
    assert labels == wanted and given.labelled_by == "ImageNet's classes, by the names of the folders"
    picture(tmp_path / "crane" / "a.png")
    with pytest.raises(UserError, match=r"ImageNet's 1,000 classes, and the folder 'crane' is the name of several"):
        read(tmp_path, 16, 1000)
    (tmp_path / "crane").rename(tmp_path / "my cat")
    with pytest.raises(UserError, match="the folder 'my cat' is no class of ImageNet"):
        read(tmp_path, 16, 1000)


def test_other_classifiers_folders_are_labelled_by_their_places_and_a_missing_one_is_told(tmp_path):
    for name in ("b", "a", "c"):
        picture(tmp_path / name / "1.png")
    given = read(tmp_path, 16, 3)
    assert given.labels.tolist() == [0, 1, 2] and given.notices == ()
    (notice,) = read(tmp_path, 16, 5).notices
    assert "3 folders for 5 classes: class 0 is 'a', class 2 is 'c'" in notice
    with pytest.raises(UserError, match="label 2, but the classifier has 2 classes"):
        read(tmp_path, 16, 2)
    with pytest.raises(UserError, match="the folder 'a' is no class of ImageNet"):  # places would mean nothing
        read(tmp_path, 16, 1000)


def test_folders_named_by_numbers_in_another_order_than_names_are_refused(tmp_path):
    names = [str(number) for number in range(12)]
    for name in names:
        picture(tmp_path / "a" / name / "1.png")
    with pytest.raises(
        UserError, match=r"a: folder '10' is class 2 in the order of names, .* and class 10 in that of"
    ) as told:
        read(tmp_path / "a", 16, 12)
    assert "(02, 11)" in str(told.value) and "(02_10)" in str(told.value)
    # What the message says gives either order.
    for folder, spelt in (("zeros", [f"{int(n):02d}" for n in names]),
                          ("places", [f"{sorted(names).index(n):02d}_{n}" for n in names])):  # fmt: skip
        for name, new in zip(names, spelt, strict=True):
            picture(tmp_path / folder / new / f"{name}.png")
        given = read(tmp_path / folder, 16, 12)
        ordered = [Path(given.files[given.labels.tolist().index(label)]).stem for label in range(12)]
        assert ordered == (names if folder == "zeros" else sorted(names))
    assert read(tmp_path / "a", 16, None).count == 12  # nothing compares labels
    for name in ("9", "10", "11"):
        picture(tmp_path / "thousand" / name / "1.png")
    assert sorted(read(tmp_path / "thousand", 16, 1000).labels.tolist()) == [9, 10, 11]


def test_messages_about_folders_name_nothing_that_the_command_has_not(tmp_path):
    picture(tmp_path / "val" / "a" / "1.png")
    picture(tmp_path / "val" / "b" / "1.png")
    with pytest.raises(UserError, match=r"'val' may be a split or a class; if it is a split, give its folder") as told:
        read(tmp_path, 16, 2)
    assert "layout" not in str(told.value) and read(tmp_path / "val", 16, 2).count == 2
    (tmp_path / "val" / "c").mkdir()
    with pytest.raises(UserError, match=r"no picture of class 'c'; delete its folder") as told:
        read(tmp_path / "val", 16, 3)
    assert "label_order" not in str(told.value)


def test_pictures_of_kinds_that_are_not_read_are_counted(tmp_path):
    for name in ("a/1.jfif", "a/2.JPE", "b/1.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (20, 20)).save(tmp_path / name, "JPEG")
    assert read(tmp_path, 16, 2).count == 3 and read(tmp_path / "a", 16, None).files == ("1.jfif", "2.JPE")
    for name in ("a/3.HEIC", "b/2.avif", "b/notes.txt"):
        (tmp_path / name).write_text("x")
    (notice,) = read(tmp_path, 16, 2).notices
    assert notice.startswith("2 pictures left out, such as a/3.HEIC: .avif, .heic is not read")
    assert read(tmp_path / "a", 16, None).notices[0].startswith("1 picture left out, such as 3.HEIC")


def test_a_folder_of_pictures_has_no_labels_and_pictures_beside_folders_are_refused(tmp_path):
    picture(tmp_path / "b.jpg")
    picture(tmp_path / "A.PNG")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / ".hidden.png").write_text("x")
    given = read(tmp_path, 16, 1000)
    assert given.labels is None and given.files == ("A.PNG", "b.jpg") and "model's own answer" in given.labelled_by
    assert given.read(1, 2).shape == (1, 3, 16, 16)
    picture(tmp_path / "dog" / "c.png")
    with pytest.raises(UserError, match="pictures beside the folder 'dog'"):
        read(tmp_path, 16, 1000)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no picture in it"):
        read(tmp_path / "empty", 16, 1000)


def test_pictures_are_scaled_and_cut_as_torchvision_does_it(tmp_path):
    """To 24 px and the centre of 16; recorded, and without `resize` the whole height."""
    from torchvision.transforms import functional as F

    pixels = Image.fromarray(picture(tmp_path / "a.png", size=(40, 60)))
    given = read(tmp_path, 16, 1000, 24)
    wanted = np.asarray(F.center_crop(F.resize(pixels, 24), 16)).transpose(2, 0, 1)
    np.testing.assert_array_equal(given.read(0, 1)[0].numpy(), wanted)
    assert (given.preparation["resize_px"], given.preparation["resolution_px"]) == (24, 16)
    assert read(tmp_path, 16, 1000).preparation["resize_px"] == 16
    with pytest.raises(UserError, match="resize_px"):
        read(tmp_path, 16, 1000, 8)


def described(folder: Path, architecture: dict, classes: list[str]) -> Path:
    """A model as this project writes it: weights, and a file that describes them."""
    path = folder / "classifier.safetensors"
    network = architectures.architecture(architecture).network(len(classes))
    save_file(network.state_dict(), path)
    told = {"classes": classes, "normalisation": "half", "architecture": architecture, "more": 1}
    path.with_suffix(".json").write_text(json.dumps(told))
    return path


def test_a_model_made_here_has_its_own_classes_normalisation_and_architecture(tmp_path):
    """Its classes are in another order than their names, and its stride is in no tensor."""
    small = {"name": "efficientnet_lite0", "params": {"stem": "small"}}
    path = described(tmp_path, small, ["horn", "arch", "cone"])
    for name in ("arch", "cone", "horn"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8), (90, 10, 10)).save(tmp_path / "pictures" / name / "a.png")
    for named in (None, "efficientnet_lite0", "{name: efficientnet_lite0, params: {stem: small}}"):
        network = open_network(path, named, None)
        assert network.model.normalisation == "half" and network.classes == ("horn", "arch", "cone")
        assert next(one for one in network.model.modules() if isinstance(one, nn.Conv2d)).stride == (1, 1)
    given = images_for(network, tmp_path / "pictures", 32, None)
    assert given.class_names == ("arch", "cone", "horn") and given.labels.tolist() == [1, 2, 0]
    assert open_network(path, None, "imagenet").model.normalisation == "imagenet"
    (tmp_path / "pictures" / "horn").rename(tmp_path / "pictures" / "tube")
    with pytest.raises(UserError, match="'tube' is no class of the classifier"):
        images_for(network, tmp_path / "pictures", 32, None)
    for named in ("resnet18", "{name: efficientnet_lite0, params: {stem: imagenet}}"):
        with pytest.raises(UserError, match=r"the \.json beside it says efficientnet_lite0 .stem: small.; leave"):
            open_network(path, named, None)
    path.with_suffix(".json").write_text('{"classes": ["a"]}')
    with pytest.raises(UserError, match="does not describe a model"):
        open_network(path, None, None)
