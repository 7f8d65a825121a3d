"""Pictures come back pixel by pixel whatever their mode; archives unpack whole or not at all."""

import io
import struct
import tarfile
import zipfile
import zlib

import numpy as np
import OpenEXR
import pytest
from PIL import Image

from robust3d.data.published.archives import extract_archive
from robust3d.data.published.files import read_exr_depth, read_npz, read_photograph, read_png
from robust3d.data.published.materials import read_picture
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


def test_no_wrong_bit_of_a_picture_goes_unnoticed(tmp_path):
    pixels = np.zeros((24, 24, 3), np.uint8)
    pixels[8:20, 8:15, 1] = 200  # hardly compressed pictures break anyway
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    content, refused = path.read_bytes(), 0
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :])
        try:
            np.testing.assert_array_equal(read_png(path), pixels)
        except UserError as error:
            refused += "a.png: " in str(error)
    assert refused > 0.8 * len(content)


def test_pictures_that_viewers_show_turned(tmp_path):
    exif = Image.Exif()
    exif[274] = 6  # turn by 90 degrees
    picture = Image.fromarray(RNG.integers(0, 256, (8, 6, 3), dtype=np.uint8))
    for mark in (None, 1):  # turned, upright
        exif[274] = mark or 6
        picture.save(tmp_path / "a.png", exif=exif)
        picture.save(tmp_path / "a.jpg", exif=exif)
        if mark:
            np.testing.assert_array_equal(read_png(tmp_path / "a.png"), np.array(picture))
            assert read_photograph(tmp_path / "a.jpg").size == (6, 8)
        else:
            with pytest.raises(UserError, match=r"a.png: its EXIF orientation rotates it"):
                read_png(tmp_path / "a.png")  # cameras are those of the pixels as they are stored, or not
            assert read_photograph(tmp_path / "a.jpg").size == (8, 6)
    picture.save(tmp_path / "a.png", exif=b"broken")
    np.testing.assert_array_equal(read_png(tmp_path / "a.png"), np.array(picture))


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_a_transparent_level_of_grey(tmp_path, bits):
    white = 2**bits - 1
    row = (
        b"\0" + (white << max(8 - bits, 0)).to_bytes(max(bits // 8, 1)) + bytes(bits // 8)
    )  # a white pixel, a black one
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", 2, 1, bits, 0, 0, 0, 0),
        b"tRNS": struct.pack(">H", white),
        b"IDAT": zlib.compress(row),
        b"IEND": b"",
    }
    path = tmp_path / "a.png"
    path.write_bytes(png_of(chunks))
    shown = np.array(Image.open(io.BytesIO(read_picture(path.read_bytes(), 8))))
    assert shown[0].tolist() == [[255, 255, 255, 0], [0, 0, 0, 255]]  # on a mesh
    with pytest.raises(UserError, match="pixels of kind I;16" if bits == 16 else "transparent"):
        read_photograph(path)
    if bits == 16:
        return
    if bits in (2, 4):  # Pillow does not see which
        with pytest.raises(UserError, match=f"a.png: {bits} bits of grey, one of them transparent"):
            read_png(path)
    else:
        assert read_png(path)[0].tolist() == [[255, 255, 255, 0], [0, 0, 0, 255]]


def test_photographs_lose_nothing_in_silence(tmp_path):
    path = tmp_path / "a.jpg"  # whatever its name says
    opaque = RNG.integers(0, 256, (4, 4, 4), dtype=np.uint8)
    opaque[..., 3] = 255
    Image.fromarray(opaque).save(path, "PNG")
    np.testing.assert_array_equal(np.array(read_photograph(path)), opaque[..., :3])
    opaque[0, 0, 3] = 254
    Image.fromarray(opaque).save(path, "PNG")
    with pytest.raises(UserError, match=r"a.jpg: some of its pixels are transparent"):
        read_photograph(path)
    for kind, save_as in ((np.uint16, "PNG"), (np.float32, "TIFF")):
        Image.fromarray(np.full((4, 4), 0.5 if kind is np.float32 else 30000, kind)).save(path, save_as)
        with pytest.raises(UserError, match=r"a.jpg: pixels of kind .*; convert it to 8 bits"):
            read_photograph(path)


@pytest.mark.parametrize("kind", ["png", "png with alpha", "ppm", "plain ppm", "tiff"])
def test_colours_of_16_bits_are_not_cut_to_8(tmp_path, kind):
    path = tmp_path / "a"
    if kind.startswith("png"):
        channels, colour_type = (4, 6) if "alpha" in kind else (3, 2)
        header = struct.pack(">IIBBBBB", 1, 1, 16, colour_type, 0, 0, 0)
        pixel = struct.pack(f">{channels}H", *[65535] * channels)
        path.write_bytes(png_of({b"IHDR": header, b"IDAT": zlib.compress(b"\0" + pixel), b"IEND": b""}))
    elif kind == "tiff":
        tags = {256: 1, 257: 1, 259: 1, 262: 2, 277: 3, 278: 1, 279: 6}
        entries = [(tag, 3, 1, struct.pack("<HH", value, 0)) for tag, value in tags.items()]
        entries += [(258, 3, 3, struct.pack("<I", 200)), (273, 4, 1, struct.pack("<I", 210))]
        table = b"".join(struct.pack("<HHI", *entry[:3]) + entry[3] for entry in sorted(entries))
        content = b"II*\0" + struct.pack("<IH", 8, len(entries)) + table + bytes(4)
        path.write_bytes(content.ljust(200, b"\0") + struct.pack("<HHHHH", 16, 16, 16, 0, 0) + bytes(6))
    else:
        pixel = struct.pack(">3H", 65535, 7, 0) if kind == "ppm" else b"65535 7 0\n"
        path.write_bytes(b"P6\n1 1\n65535\n" + pixel if kind == "ppm" else b"P3\n1 1\n65535\n" + pixel)
    with Image.open(path) as image:
        assert image.mode in ("RGB", "RGBA")  # as if there were nothing to lose
    with pytest.raises(UserError, match="more than 8 bits a channel; convert it to 8 bits"):
        read_photograph(path)
    Image.new("RGB", (2, 2)).save(path, "PPM" if "ppm" in kind else kind.partition(" ")[0].upper())
    assert read_photograph(path).size == (2, 2)


def png_of(chunks):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*entry) for entry in chunks.items())


def test_orientation_may_come_after_the_pixels_of_a_png(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    pixels = RNG.integers(0, 256, (2, 3, 3), dtype=np.uint8)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", 3, 2, 8, 2, 0, 0, 0)
    content = {b"IHDR": header, b"IDAT": zlib.compress(rows), b"eXIf": exif.tobytes()[6:], b"IEND": b""}
    (tmp_path / "a.png").write_bytes(png_of(content))
    np.testing.assert_array_equal(np.array(read_photograph(tmp_path / "a.png")), np.rot90(pixels, -1))


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
    with zipfile.ZipFile(tmp_path / "twice.npz", "w") as archive:
        for name in ("a", "a.npy"):
            archive.writestr(name, (tmp_path / "a.npz").read_bytes())
    with pytest.raises(UserError, match=r"twice.npz: two arrays in it have the same name"):
        read_npz(tmp_path / "twice.npz")


@pytest.mark.parametrize("names, kind", [("RGB", np.float32), ("Z", np.float16), ("BGRA", np.float32)])
def test_depth(tmp_path, names, kind):
    depth = np.array([[1.5, 2.5, np.inf], [np.nan, 1e10, 3.0]], np.float32)
    with np.errstate(over="ignore"):
        channels = {name: (-depth if name == "A" else depth).astype(kind) for name in names}
    with OpenEXR.File({}, channels) as file:
        file.write(str(tmp_path / "a.exr"))
    np.testing.assert_array_equal(read_exr_depth(tmp_path / "a.exr"), [[1.5, 2.5, np.inf], [np.inf, np.inf, 3.0]])


def test_what_only_looks_like_depth(tmp_path):
    path = tmp_path / "a.exr"

    def write(header=None, **channels):
        with OpenEXR.File(header or {}, {name: np.float32(values) for name, values in channels.items()}) as file:
            file.write(str(path))

    depth = np.array([[1.5, 2.5], [np.inf, 3.0]])
    write(R=depth, G=depth, B=depth * 1.5)
    with pytest.raises(UserError, match=r"a.exr: its R, G and B differ, so it is no depth"):
        read_exr_depth(path)
    write(**{"Depth.R": depth, "Depth.G": depth + 1, "Depth.B": depth})
    with pytest.raises(UserError, match=r"a.exr: its R, G and B differ"):
        read_exr_depth(path)
    write(Z=[[-1.5, 1e10], [0.0, -3.0]])
    with pytest.raises(UserError, match=r"a.exr: no depth in it is above 0; .* change the sign"):
        read_exr_depth(path)
    write(Z=[[-1.0, 2.0], [-1.0, -1.0]])  # -1 where nothing is
    assert read_exr_depth(path)[0, 1] == 2
    corners = {"dataWindow": ((2, 2), (3, 3)), "displayWindow": ((0, 0), (1, 1))}
    write({name: tuple(np.array(corner, np.int32) for corner in at) for name, at in corners.items()}, Z=depth)
    with pytest.raises(UserError, match=r"a.exr: cut to \[\[2, 2\], \[3, 3\]\] out of .*; save it whole"):
        read_exr_depth(path)


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
    with OpenEXR.File({}, {n: np.full((2, 2), 1.0 + (n in (depth, *"gb")), np.float32) for n in names}) as file:
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
