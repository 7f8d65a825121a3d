"""Depth maps of photographs in the files of several tools, and what is wrong with them."""

import struct

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from robust3d.data.depth_maps import DepthParams, depth_of, find_maps, read_map
from robust3d.errors import UserError

DEPTH = np.array([[1.0, 2.0, 4.0], [0.5, 8.0, 3.0]], np.float32)


def params(tmp_path, **more):
    return DepthParams(path=str(tmp_path), **more)


def write(path, values):
    if path.suffix == ".npy":
        np.save(path, values)
    elif path.suffix == ".png":
        Image.fromarray(values.astype(np.uint16)).save(path)
    elif path.suffix == ".pfm":
        head = f"Pf\n{values.shape[1]} {values.shape[0]}\n-1.0\n".encode()
        rows = [struct.pack(f"<{len(row)}f", *row) for row in values[::-1].tolist()]
        path.write_bytes(head + b"".join(rows))
    else:
        import OpenEXR

        header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
        OpenEXR.File(header, {"Z": values.astype(np.float32)}).write(str(path))
    return path


@pytest.mark.parametrize(
    ("name", "stored", "more"),
    [
        ("a.npy", DEPTH, {}),
        ("a.npy", DEPTH[None].astype(np.float64), {}),
        ("a.exr", DEPTH, {}),
        ("a.pfm", DEPTH, {}),
        ("a.png", DEPTH * 1000, {"scale": 0.001}),
        ("a.png", DEPTH * 256, {"source": "zoedepth"}),
        ("a.npy", DEPTH, {"source": "zoedepth"}),
        ("a.npy", DEPTH, {"source": "depth_anything"}),
        ("a.png", 8000 / DEPTH, {"source": "midas", "scale": 1 / 8000}),
        ("a.pfm", 1 / DEPTH, {"source": "midas"}),
        ("a.png", 8000 / DEPTH, {"source": "depth_anything", "scale": 1 / 8000}),
    ],
)
def test_each_tools_files_give_the_same_depth(tmp_path, name, stored, more):
    path = write(tmp_path / name, stored)
    np.testing.assert_allclose(depth_of(path, params(tmp_path, **more)), DEPTH, rtol=1e-3)


def test_what_is_not_known_is_nan(tmp_path):
    path = write(tmp_path / "a.png", np.array([[0, 512]]))
    np.testing.assert_array_equal(read_map(path, params(tmp_path, source="zoedepth")), [[np.nan, 2.0]])
    path = write(tmp_path / "a.npy", np.array([[np.inf, np.nan, -1.0, 0.0, 3.0]]))
    np.testing.assert_array_equal(read_map(path, params(tmp_path)), [[np.nan] * 4 + [3.0]])


def test_alignment_undoes_any_scale_and_shift(tmp_path):
    """Of depth, and of inverse depth; the ends are where 2 % of a map are beyond, which are cut."""
    ramp = np.linspace(1, 2, 101)[None].astype(np.float32)
    ends = ramp[0, [2, 98]].astype(float)
    for stored in (ramp, 3 * ramp + 7):
        path = write(tmp_path / "a.npy", stored)
        found = depth_of(path, params(tmp_path, align="scale_shift", range=tuple(ends)))
        np.testing.assert_allclose(found[0], np.clip(ramp[0], *ends), rtol=1e-5)
    for stored in (1 / ramp, 40 / ramp + 7):
        path = write(tmp_path / "b.pfm", stored)
        near, far = 1 / np.quantile(1 / ramp.astype(float), [0.98, 0.02])
        found = depth_of(path, params(tmp_path, source="midas", align="scale_shift", range=(near, far)))
        np.testing.assert_allclose(found[0], np.clip(ramp[0], near, far), rtol=1e-4)
    path = write(tmp_path / "c.npy", 5 * ramp)
    np.testing.assert_allclose(depth_of(path, params(tmp_path, align="scale", range=(1.0, 2.0))), ramp, rtol=1e-6)
    path = write(tmp_path / "d.pfm", 5 / ramp)
    found = depth_of(path, params(tmp_path, source="midas", align="scale", range=(1.0, 2.0)))
    assert float(np.median(1 / found)) == pytest.approx((1 + 0.5) / 2) and float(
        found.max() / found.min()
    ) == pytest.approx(2)


def test_the_map_of_a_picture_is_found_by_its_name(tmp_path):
    (tmp_path / "dogs").mkdir()
    for name in ("a-dpt_beit_large_512.png", "b_raw_depth_meter.npy", "c.exr", "c.png"):
        (tmp_path / "dogs" / name).touch()
    asked = params(tmp_path)
    found = find_maps(asked, [f"dogs/{name}.jpg" for name in "abc"])
    assert [path.name for path in found.values()] == ["a-dpt_beit_large_512.png", "b_raw_depth_meter.npy", "c.exr"]
    with pytest.raises(UserError, match=r"dogs: no depth map d\{"):
        find_maps(asked, ["dogs/d.jpg"])
    with pytest.raises(UserError, match=r"depth\.path: no folder .*cats of depth maps; .* cats/d\.jpg"):
        find_maps(asked, ["cats/d.jpg"])
    (tmp_path / "dogs" / "c_depth.exr").touch()
    with pytest.raises(UserError, match=r"c\.exr and c_depth\.exr may both be the depth of dogs/c\.jpg"):
        find_maps(asked, ["dogs/c.jpg"])


def test_a_map_is_that_of_one_picture_only(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((2, 2)))
    with pytest.raises(UserError, match=r"a\.npy: may be the depth of a\.jpg or of a\.png"):
        find_maps(params(tmp_path), ["a.jpg", "a.png"])


@pytest.mark.parametrize(
    ("name", "values", "says"),
    [
        ("a.npy", np.zeros((2, 3)), "not one pixel with a known depth"),
        ("a.npy", np.full((2, 3), np.nan), "not one pixel with a known depth"),
        ("a.npy", np.ones((4, 3)), "3x4 px, but its picture has 3x2"),
        ("a.npy", np.ones((2, 3, 3)), r"an array of shape \(2, 3, 3\)"),
        ("a.npy", np.array([["x"]]), "not an array of numbers"),
    ],
)
def test_bad_maps_are_one_message_that_names_the_file(tmp_path, name, values, says):
    path = write(tmp_path / name, values)
    with pytest.raises(UserError, match=rf"a\.npy: {says}"):
        read_map(path, params(tmp_path), (2, 3))


def test_pictures_for_the_eye_and_damaged_files_are_refused(tmp_path):
    eye = tmp_path / "eye.png"
    Image.fromarray(np.zeros((2, 3), np.uint8)).save(eye)
    with pytest.raises(UserError, match=r"eye\.png: L of 8 bits is a picture for the eye"):
        read_map(eye, params(tmp_path))
    short = write(tmp_path / "short.pfm", DEPTH)
    short.write_bytes(short.read_bytes()[:-4])
    with pytest.raises(UserError, match=r"short\.pfm: claims 3x2 px, but holds 5 numbers"):
        read_map(short, params(tmp_path))
    for name in ("bad.npy", "bad.png", "bad.exr", "bad.pfm"):
        (tmp_path / name).write_bytes(b"nonsense")
        with pytest.raises(UserError, match=name.replace(".", r"\.")):
            read_map(tmp_path / name, params(tmp_path))
    with pytest.raises(UserError, match=r"flat\.npy: flat, which no shift brings to depth\.range"):
        depth_of(write(tmp_path / "flat.npy", np.ones((2, 3))), params(tmp_path, align="scale_shift"))
    with pytest.raises(ValidationError, match=r"range: \[3\.0, 1\.0\] is not near and far"):
        params(tmp_path, range=(3.0, 1.0))
