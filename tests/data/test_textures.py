"""Procedural textures: variety, recognisable classes, train and test apart, stable files; the DTD reader."""

import hashlib
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from robust3d.data.dtd import read_dtd
from robust3d.data.params import PAPER_TEXTURES, TextureParams
from robust3d.data.procedural_textures import make_textures
from robust3d.data.textures import Textures
from robust3d.errors import UserError

PARAMS = TextureParams(images_per_class=12, resolution_px=48)


@pytest.fixture(scope="module")
def textures() -> Textures:
    return make_textures(PARAMS, seed=0)


def digests(images: np.ndarray) -> set[str]:
    return {hashlib.sha256(image.tobytes()).hexdigest() for image in images}


def test_ten_classes_with_train_and_test_images_apart(textures):
    assert textures.names == PAPER_TEXTURES
    assert textures.images.shape == (120, 48, 48, 3) and textures.images.dtype == np.uint8
    for name in textures.names:
        train, test = textures.of(name, "train"), textures.of(name, "test")
        assert (len(train), len(test)) == (9, 3)
        assert not digests(textures.images[train]) & digests(textures.images[test])
    assert len(digests(textures.images)) == 120


def test_an_image_depends_on_seed_class_and_number_only(textures):
    other = make_textures(TextureParams(classes=("grid", "banded"), images_per_class=4, resolution_px=48), 0)
    assert np.array_equal(other.images[4:], textures.images[textures.class_index == 1][:4])
    assert not np.array_equal(make_textures(PARAMS, seed=1).images, textures.images)


def test_every_image_has_contrast_and_every_class_variety_of_colour(textures):
    grey = textures.images.mean(-1)
    assert (grey.std((1, 2)) > 12).all()
    mean_colour = textures.images.mean((1, 2))
    for k in range(10):
        assert mean_colour[textures.class_index == k].std(0).mean() > 12


def features(images: np.ndarray) -> np.ndarray:
    """Blind to colour and direction: radial and angular profile of the power spectrum, grey histogram."""
    grey = images.mean(-1)
    grey = (grey - grey.mean((1, 2), keepdims=True)) / grey.std((1, 2), keepdims=True)
    size = grey.shape[1]
    window = np.hanning(size)[:, None] * np.hanning(size)
    power = np.abs(np.fft.fftshift(np.fft.fft2(grey * window), axes=(1, 2))) ** 2
    fy, fx = np.indices((size, size)) - size // 2
    radius, angle = np.hypot(fx, fy), np.arctan2(fy, fx) % np.pi
    rings = np.stack([power[:, (radius >= r) & (radius < r * 1.35)].sum(1) for r in 1.35 ** np.arange(1, 11)], 1)
    sectors = np.stack([power[:, (np.floor(angle / np.pi * 12) == k) & (radius > 1)].sum(1) for k in range(12)], 1)
    sectors = np.abs(np.fft.fft(sectors / sectors.sum(1, keepdims=True), axis=1))[:, 1:7]
    histogram = np.sort(grey.reshape(len(grey), -1), 1)[:, :: size * size // 12]
    parts = (np.log(rings / rings.sum(1, keepdims=True) + 1e-4), 4 * sectors, histogram)
    return np.concatenate(parts, 1)


def test_classes_are_told_apart_by_pattern_and_not_by_colour():
    many = make_textures(TextureParams(images_per_class=24, resolution_px=40), 0)

    def nearest_neighbour_accuracy(description: np.ndarray) -> float:
        train, test = many.split == "train", many.split == "test"
        scaled = (description - description[train].mean(0)) / description[train].std(0)
        distance = np.linalg.norm(scaled[test][:, None] - scaled[train][None], axis=-1)
        guess = many.class_index[train][distance.argmin(1)]
        return float((guess == many.class_index[test]).mean())

    assert nearest_neighbour_accuracy(features(many.images)) > 0.9
    assert nearest_neighbour_accuracy(many.images.mean((1, 2)).astype(float)) < 0.4


def test_striped_repeats_two_colours_finely_and_banded_shows_wider_bands_of_several(textures):
    def coarse_share(name: str) -> np.ndarray:
        grey = textures.images[textures.class_index == textures.names.index(name)].mean(-1)
        power = np.abs(np.fft.fft2(grey - grey.mean((1, 2), keepdims=True))) ** 2
        f = np.fft.fftfreq(48, 1 / 48)
        coarse = np.hypot(*np.meshgrid(f, f)) < 6.5
        return power[:, coarse].sum(1) / power.sum((1, 2))

    def off_line(name: str) -> np.ndarray:
        """Share of the colour variance away from the best line in RGB: little where two colours are mixed."""
        images = textures.images[textures.class_index == textures.names.index(name)]
        spectra = [np.linalg.eigvalsh(np.cov(image.reshape(-1, 3).T.astype(float))) for image in images]
        return np.array([1 - spectrum[-1] / spectrum.sum() for spectrum in spectra])

    assert coarse_share("banded").min() > 0.5 > coarse_share("striped").max()
    assert np.median(off_line("banded")) > 4 * np.median(off_line("striped"))


def test_the_file_has_the_same_bytes_at_any_time_and_in_any_process(textures, tmp_path):
    textures.save(tmp_path / "a.npz")
    time.sleep(2.1)  # zip times count in steps of two seconds
    script = (
        "import sys; from pathlib import Path; from robust3d.data.params import TextureParams;"
        "from robust3d.data.procedural_textures import make_textures;"
        "params = TextureParams(images_per_class=12, resolution_px=48);"
        "make_textures(params, 0).save(Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path / "b.npz"], check=True)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    loaded = Textures.load(tmp_path / "a.npz")
    assert loaded.names == textures.names
    for field in ("images", "class_index", "split"):
        assert np.array_equal(getattr(loaded, field), getattr(textures, field))


def test_parameters_are_refused_with_a_reason():
    with pytest.raises(UserError, match=r"textures\.classes.*'bubbly'"):
        make_textures(TextureParams(classes=("bubbly",)), 0)
    for wrong in ({"source": "dtd"}, {"path": "x"}, {"classes": ("grid", "grid")}, {"test_fraction": 1.0}):
        with pytest.raises(ValidationError):
            TextureParams(**wrong)
    assert TextureParams(images_per_class=2, test_fraction=0.01).test_images() == 1
    assert TextureParams(images_per_class=2, test_fraction=0.99).test_images() == 1


@pytest.fixture
def dtd(tmp_path) -> Path:
    """A small tree as the real data set unpacks; image n of a class has grey value 10 n."""
    for name in ("grid", "banded"):
        (tmp_path / "dtd/images" / name).mkdir(parents=True)
        for n in range(9):
            image = Image.new("RGB", (60 + n, 40), (10 * n,) * 3)
            image.save(tmp_path / f"dtd/images/{name}/{name}_{n:04d}.jpg", quality=95)
    return tmp_path / "dtd"


def official_lists(dtd: Path) -> None:
    (dtd / "labels").mkdir()
    for part, numbers in {"train1": (0, 1, 2), "val1": (3, 4, 5), "test1": (6, 7, 8)}.items():
        lines = [f"{name}/{name}_{n:04d}.jpg\n" for name in ("banded", "grid") for n in numbers]
        (dtd / f"labels/{part}.txt").write_text("".join(lines))


def read(dtd: Path, **changes) -> Textures:
    settings = {
        "classes": ("grid", "banded"),
        "images_per_class": 9,
        "resolution_px": 16,
        "test_fraction": 1 / 3,
    }
    return read_dtd(TextureParams(source="dtd", path=str(dtd), **(settings | changes)), 0)


def numbers(textures: Textures, name: str, split: str) -> set[int]:
    return {round(textures.images[i].mean() / 10) for i in textures.of(name, split)}


def test_dtd_follows_the_official_division(dtd):
    official_lists(dtd)
    for path in (dtd, dtd.parent):
        textures = read(path)
        assert textures.names == ("grid", "banded") and textures.images.shape == (18, 16, 16, 3)
        for name in textures.names:
            assert numbers(textures, name, "test") == {6, 7, 8}
            assert numbers(textures, name, "train") == {0, 1, 2, 3, 4, 5}


def test_dtd_without_lists_is_divided_at_random_without_overlap(dtd):
    textures = read(dtd)
    test, train = numbers(textures, "grid", "test"), numbers(textures, "grid", "train")
    assert len(test) == 3 and test | train == set(range(9))
    assert np.array_equal(read(dtd).images, textures.images)


def test_dtd_mistakes_are_explained(dtd, tmp_path):
    with pytest.raises(UserError, match=r"textures\.path.*nowhere.*robots\.ox\.ac\.uk.*"):
        read(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"textures\.classes.*lacelike"):
        read(dtd, classes=("lacelike",))
    with pytest.raises(UserError, match=r"textures\.images_per_class.*has 6"):
        read(dtd, images_per_class=12, test_fraction=0.25)
    official_lists(dtd)
    with pytest.raises(UserError, match=r"asks for 4 test images.*has 3"):
        read(dtd, images_per_class=8, test_fraction=0.5)
    whole = (dtd / "images/grid/grid_0004.jpg").read_bytes()
    for broken in (whole[: len(whole) // 2], b"not an image"):
        (dtd / "images/grid/grid_0004.jpg").write_bytes(broken)
        with pytest.raises(UserError, match=r"grid_0004\.jpg: not a readable image"):
            read(dtd)


@pytest.mark.parametrize(
    "change, told",
    [
        (lambda dtd: (dtd / "labels/val1.txt").unlink(), r"val1.txt: no such list beside the others"),
        (lambda dtd: (dtd / "labels/test1.txt").unlink(), r"test1.txt: no such list beside the others"),
        (
            lambda dtd: (dtd / "labels/test1.txt").write_text("grid/grid_0000.jpg"),
            "is among the training images as well",
        ),
        (
            lambda dtd: (dtd / "labels/val1.txt").write_text("grid\\grid_0000.jpg"),
            r"val1.txt: .* is not <class>/<file>",
        ),
        (
            lambda dtd: (dtd / "images/grid/grid_0000.jpg").unlink(),
            r"images/grid: .* 1 images are missing, such as grid",
        ),
    ],
)
def test_dtd_lists_that_do_not_fit_divide_nothing(dtd, change, told):
    official_lists(dtd)
    change(dtd)
    with pytest.raises(UserError, match=told):
        read(dtd)


def test_dtd_passes_over_what_systems_leave_in_folders(dtd):
    expected = read(dtd).images
    for name in ("._grid_0000.jpg", ".DS_Store", "Thumbs.db", "@eaDir/grid_0000.jpg", "__MACOSX/._grid_0001.jpg"):
        path = dtd / "images/grid" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"\0\5\x16\7\0\2")
    assert np.array_equal(read(dtd).images, expected)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_dtd_lists_of_any_editor(dtd, encoding):
    official_lists(dtd)
    for path in (dtd / "labels").iterdir():
        path.write_bytes(path.read_text().replace("\n", "\r\n").encode(encoding))
    assert numbers(read(dtd), "banded", "test") == {6, 7, 8}


def test_dtd_tells_of_other_kinds_and_of_enormous_pictures(dtd):
    path = dtd / "images/grid/grid_0003.jpg"
    small = path.read_bytes()
    at = small.index(b"\xff\xc0") + 5  # height and width stand in the frame's header
    for height, width, told in ((15000, 15000, "hundreds of millions of pixels"), (9000, 9000, "9000x9000 px")):
        path.write_bytes(small[:at] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + small[at + 4 :])
        with pytest.raises(UserError, match=rf"grid_0003\.jpg: {told}; at most 67,108,864 pixels are read"):
            read(dtd)
    path.rename(path.with_suffix(".png"))
    with pytest.raises(UserError, match=r"grid has 5 \(and 1 others such as grid_0003.png: only .jpg is read\)"):
        read(dtd)


CASE = Path(__file__).parents[3] / "shared" / "cases" / "data" / "dtd-apple-double"


@pytest.mark.skipif(not CASE.is_dir(), reason="the cases are not beside the project")
def test_the_case_of_hidden_files_in_dtd():
    classes = ("banded", "grid")
    params = TextureParams(source="dtd", path=str(CASE), classes=classes, images_per_class=4, resolution_px=16)
    textures = make_textures(params, 0)
    assert textures.names == classes and textures.images.shape == (8, 16, 16, 3)
