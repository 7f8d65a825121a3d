"""Pictures come back pixel by pixel whatever their mode; archives unpack whole or not at all."""

import io
import tarfile
import zipfile

import numpy as np
import OpenEXR
import pytest
from PIL import Image

from robust3d.data.published.archives import extract_archive
from robust3d.data.published.files import read_exr_depth, read_npz, read_png
from robust3d.errors import UserError

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("mode, shape", [("L", (5, 7)), ("RGB", (5, 7, 3)), ("RGBA", (5, 7, 4)), ("LA", (5, 7, 4))])
def test_pictures(tmp_path, mode, shape):
    pixels = RNG.integers(0, 256, (5, 7, len(Image.new(mode, (1, 1)).getbands())), dtype=np.uint8)
    Image.fromarray(pixels[..., 0] if mode == "L" else pixels, mode).save(tmp_path / "a.png")
    read = read_png(tmp_path / "a.png")
    assert read.shape == shape and read.dtype == np.uint8
    if mode == "LA":
        pixels = pixels[..., [0, 0, 0, 1]]
    np.testing.assert_array_equal(read, pixels[..., 0] if mode == "L" else pixels)


def test_pictures_with_a_palette_or_one_bit(tmp_path):
    colours = Image.fromarray(RNG.integers(0, 2, (4, 4, 3), dtype=np.uint8) * 255)
    colours.quantize(8).save(tmp_path / "p.png")
    np.testing.assert_array_equal(read_png(tmp_path / "p.png"), np.array(colours))
    bits = RNG.integers(0, 2, (4, 4)).astype(bool)
    Image.fromarray(bits).save(tmp_path / "1.png")
    np.testing.assert_array_equal(read_png(tmp_path / "1.png") > 0, bits)
    Image.fromarray(RNG.integers(0, 60000, (4, 4)).astype(np.uint16)).save(tmp_path / "16.png")
    with pytest.raises(UserError, match=r"16.png: 16 bits a channel"):
        read_png(tmp_path / "16.png")
    with pytest.raises(UserError, match="claims 4x4 px; at most 3"):
        read_png(tmp_path / "1.png", max_side_px=3)


def test_arrays(tmp_path):
    arrays = {"a": RNG.normal(size=(3, 4)), "b": np.asfortranarray(RNG.integers(0, 9, (2, 5))), "c": np.float32(2)}
    arrays["d"] = np.array(["x", "yz"])
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    for key, value in read_npz(tmp_path / "a.npz").items():
        np.testing.assert_array_equal(value, arrays[key])
    assert list(read_npz(tmp_path / "a.npz", ["b"])) == ["b"]
    with pytest.raises(UserError, match=r"a.npz: no array 'z' in it; it holds a, b, c, d"):
        read_npz(tmp_path / "a.npz", ["z"])
    np.savez_compressed(tmp_path / "bomb.npz", a=np.zeros(1 << 20))
    assert (tmp_path / "bomb.npz").stat().st_size < 20_000
    with pytest.raises(UserError, match=r"bomb.npz: would unpack to 8,388,"):
        read_npz(tmp_path / "bomb.npz", limit_bytes=1 << 20)


@pytest.mark.parametrize("names, kind", [("RGB", np.float32), ("Z", np.float16), ("BGRA", np.float32)])
def test_depth(tmp_path, names, kind):
    depth = np.array([[1.5, 2.5, np.inf], [np.nan, 1e10, 3.0]], np.float32)
    with np.errstate(over="ignore"):
        channels = {name: (depth if name in "RZ" else -depth).astype(kind) for name in names}
    with OpenEXR.File({}, channels) as file:
        file.write(str(tmp_path / "a.exr"))
    np.testing.assert_array_equal(read_exr_depth(tmp_path / "a.exr"), [[1.5, 2.5, np.inf], [np.inf, np.inf, 3.0]])


@pytest.mark.parametrize(
    "names, depth",
    [
        (["A", "B", "G", "R", "Z"], "Z"),
        (["Y"], "Y"),
        (["V"], "V"),
        (["Depth"], "Depth"),
        (["A", "Z"], "Z"),
        (["r", "g", "b"], "r"),
        (
            ["ViewLayer.Combined.R", "ViewLayer.Combined.G", "ViewLayer.Depth.Z", "ViewLayer.Mist.Z"],
            "ViewLayer.Depth.Z",
        ),
        (["Combined.R", "Depth.V", "Normal.X", "Normal.Y", "Normal.Z"], "Depth.V"),
        (["A"], None),
        (["B", "G"], None),
        (["T"], None),
        (["X", "Y", "Z"], None),
        (["U", "V"], None),
        (["BY", "RY", "Y"], None),
        (["Normal.X", "Normal.Y", "Normal.Z"], None),
        (["Normal.X", "R", "G", "B"], None),
        (["left.depth.Z", "right.depth.Z"], None),
    ],
)
def test_the_channel_of_a_depth_map_is_known_by_its_name(tmp_path, names, depth):
    with OpenEXR.File({}, {n: np.full((2, 2), 1.0 + (n == depth), np.float32) for n in names}) as file:
        file.write(str(tmp_path / "a.exr"))
    if depth:
        assert (read_exr_depth(tmp_path / "a.exr") == 2).all()
    else:
        with pytest.raises(UserError, match=f"a.exr: which of its channels {', '.join(sorted(names))} is the depth"):
            read_exr_depth(tmp_path / "a.exr")


def make_archive(path, kind, names):
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, name * 100)
        return
    with tarfile.open(path, f"w:{kind}") as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 100 * len(name)
            archive.addfile(info, io.BytesIO((name * 100).encode()))


@pytest.mark.parametrize("kind", ["zip", "", "gz", "bz2", "xz"])
def test_archives(tmp_path, kind):
    make_archive(tmp_path / "a", kind, ["x/one.txt", "x/y/two.txt"])
    extract_archive(tmp_path / "a", tmp_path / "out")
    assert (tmp_path / "out/x/y/two.txt").read_text() == "x/y/two.txt" * 100
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "out"]
    with pytest.raises(UserError, match="exists already"):
        extract_archive(tmp_path / "a", tmp_path / "out")
    make_archive(tmp_path / "evil", kind, ["fine.txt", "../evil.txt"])
    with pytest.raises(UserError, match=r"evil: '../evil.txt' would be written outside"):
        extract_archive(tmp_path / "evil", tmp_path / "other")
    with pytest.raises(UserError, match=r"a: unpacks to .* bytes or more; at most 1,000"):
        extract_archive(tmp_path / "a", tmp_path / "other", limit_bytes=1000)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "evil", "out"]
