"""Images for `robust3d evaluate`: whatever is wrong with the file ends in one message that names it."""

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from robust3d.errors import UserError
from robust3d.evaluate.images import read_images

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
