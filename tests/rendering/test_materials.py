"""Materials on rendered meshes: without light each pixel shows what trimesh and Embree find in its centre."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from albedo import Solid, albedo
from PIL import Image

from robust3d import cameras
from robust3d.data.published.meshes import read_mesh
from robust3d.rendering.params import RenderParams
from robust3d.rendering.pool import render_instances

CATALOGUES = Path("/usr/share/sweethome3d/furniture")
CAMERA = cameras.CameraParams(protocol="nmr", views=2)

# A cube of six squares, each corner with a place of its own in the picture.
CUBE = "".join(f"v {x} {y} {z}\n" for x in (0, 1) for y in (0, 1) for z in (0, 1))
SIDES = ((1, 2, 4, 3), (5, 7, 8, 6), (1, 5, 6, 2), (3, 4, 8, 7), (1, 3, 7, 5), (2, 6, 8, 4))
UNIT = ((0, 0), (1, 0), (1, 1), (0, 1))
WITHIN = ((0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9))
PLACES = {
    "as it is": WITHIN,
    "mirrored": tuple((0.93 - u, v) for u, v in WITHIN),
    "negative": tuple((u - 3.0, v - 1.0) for u, v in WITHIN),
    "repeated": tuple((2.5 * u + 0.2, 3 * v - 0.7) for u, v in UNIT),
    "far away": tuple((u + 1000, v - 5000) for u, v in WITHIN),
}


def write_cube(
    folder: Path, places=WITHIN, library="newmtl skin\nKd 0.2 0.2 0.2\nmap_Kd skin.png\n", names=("skin",) * 6
):
    """An OBJ, its MTL and a picture in four colours with a ramp, so that no turn or mirror of it is the same."""
    folder.mkdir(parents=True, exist_ok=True)
    size = 64
    picture = np.zeros((size, size, 3), np.uint8)
    picture[..., 0] = np.linspace(20, 250, size)
    picture[..., 1] = np.linspace(240, 30, size)[:, None]
    picture[: size // 2, size // 2 :, 2] = 200
    Image.fromarray(picture).save(folder / "skin.png")
    holes = np.concatenate([picture, np.full((size, size, 1), 255, np.uint8)], axis=2)
    holes[16:48, 16:48, 3] = 0
    Image.fromarray(holes).save(folder / "holes.png")
    text = "mtllib cube.mtl\n" + CUBE + "".join(f"vt {u} {v}\n" for u, v in places)
    for number, (side, name) in enumerate(zip(SIDES, names, strict=True)):
        corners = " ".join(f"{vertex}/{place + 1}" for place, vertex in enumerate(side))
        text += f"usemtl {name}\ng side{number}\nf {corners}\n"
    (folder / "cube.obj").write_text(text)
    (folder / "cube.mtl").write_text(library)
    return folder / "cube.obj"


def requests_of(meshes):
    return [(name, mesh, cameras.poses(CAMERA, 0, name)) for name, mesh in meshes.items()]


def bare(meshes, px=48):
    """Their frames in the surfaces' own colours."""
    return albedo(requests_of(meshes), cameras.intrinsics(CAMERA, px), px)


def lit(meshes, px=48, samples=16):
    """Their frames as the workflow renders them."""
    params = RenderParams(resolution_px=px, samples=samples)
    return list(render_instances(requests_of(meshes), cameras.intrinsics(CAMERA, px), params, 0, "solids"))


def assert_alike(frame, path, tolerance=4):
    """Mask, depth and colour, pixel by pixel but for those at borders, where a ray may fall on either side."""
    hit, depth, colour = Solid(path).seen(frame)
    assert (hit != frame.mask).mean() < 0.004
    both = hit & frame.mask
    assert np.quantile(np.abs(depth[both] - frame.depth[both]), 0.99) < 1e-3
    difference = np.abs(colour[both][:, :3] - frame.rgba[both][:, :3].astype(float)).max(axis=1)
    assert np.quantile(difference, 0.95) <= tolerance, np.quantile(difference, [0.5, 0.9, 0.95, 0.99])
    return difference


def test_places_in_a_picture(tmp_path):
    paths = {name: write_cube(tmp_path / name, places) for name, places in PLACES.items()}
    meshes = {name: read_mesh(path) for name, path in paths.items()}
    assert not any(mesh.faults for mesh in meshes.values())
    frames = bare(meshes)
    for frame in frames:
        assert_alike(frame, paths[frame.instance])
    # The check sees a mirror, and that one object's picture is not the next one's.
    with pytest.raises(AssertionError):
        assert_alike(frames[0], paths["mirrored"])
    among = [frame for frame in lit(meshes) if frame.instance == "repeated"]
    for frame, again in zip(among, lit({"repeated": meshes["repeated"]}), strict=True):
        np.testing.assert_array_equal(frame.rgba, again.rgba)


def test_several_materials_and_holes(tmp_path):
    library = (
        "newmtl skin\nmap_Kd skin.png\nnewmtl red\nKd 0.8 0.1 0.1\nnewmtl holes\nKd 1 1 1\nmap_Kd holes.png\n"
        "newmtl blue\nKd 0.1 0.1 0.9\nd 1.0\n"
    )
    names = ("skin", "red", "holes", "holes", "blue", "skin")
    path = write_cube(tmp_path, library=library, names=names)
    mesh = read_mesh(path)
    assert len(mesh.paint.pictures) == 2 and not mesh.faults
    for frame in bare({"cube": mesh}):
        assert_alike(frame, path)
    for frame in lit({"cube": mesh}, samples=4):
        hit = Solid(path).seen(frame)[0]
        assert (hit != frame.mask).mean() < 0.004
        inner = frame.mask & (frame.rgba[..., 3] == 255)
        assert inner.sum() > 0.8 * frame.mask.sum() and np.isfinite(frame.depth[frame.mask]).all()


def test_glass_is_there_and_lets_light_through(tmp_path):
    """A box of red glass: the first surface counts, and two of them leave a quarter of what is behind."""
    glass = "newmtl skin\nKd 1 0 0\nd 0.5\n"
    path = write_cube(tmp_path, library=glass)
    solid = read_mesh(write_cube(tmp_path / "solid", library=glass.replace("0.5", "1")))
    for one, other in zip(lit({"a": read_mesh(path)}, samples=64), lit({"a": solid}, samples=64), strict=True):
        np.testing.assert_array_equal(one.mask, other.mask)
        np.testing.assert_array_equal(one.depth, other.depth)
        inner = one.mask & (other.rgba[..., 3] == 255)
        assert abs(one.rgba[inner][:, 3].mean() / 255 - 0.75) < 0.02
        assert other.rgba[inner][:, 0].min() > 20 and one.rgba[inner][:, 0].min() > 20


def test_clamped_pictures_and_options(tmp_path):
    """The border's colour goes on; -s and -o move the places as trimesh would see them moved."""
    options = "newmtl skin\nmap_Kd -blendu on -s 2 3 1 -o 0.25 0.5 0 -mm 0 1 skin.png\n"
    moved = write_cube(tmp_path / "moved", library=options)
    expected = write_cube(tmp_path / "expected", tuple((2 * u + 0.25, 3 * v + 0.5) for u, v in WITHIN))
    clamped = write_cube(
        tmp_path / "clamped", ((2, 2), (3, 2), (3, 3), (2, 3)), "newmtl skin\nmap_Kd -clamp on skin.png\n"
    )
    meshes = {name: read_mesh(path) for name, path in (("moved", moved), ("clamped", clamped))}
    assert not any(mesh.faults for mesh in meshes.values())
    frames = bare(meshes)
    assert_alike(frames[0], expected)
    corner = np.array(Image.open(tmp_path / "clamped" / "skin.png"))[0, -1]
    assert np.abs(frames[2].rgba[frames[2].mask][:, :3].astype(int) - corner).max() <= 1


def test_vertex_colours_blend(tmp_path):
    text = "v 0 0 0 1 0 0\nv 2 0 0 0 1 0\nv 0 2 0 0 0 1\nf 1 2 3\nf 1 3 2\n"
    (tmp_path / "a.obj").write_text(text)
    (tmp_path / "a.off").write_text(
        "COFF\n3 2 0\n0 0 0 255 0 0 255\n2 0 0 0 255 0 255\n0 2 0 0 0 255 255\n3 0 1 2\n3 0 2 1\n"
    )
    meshes = {kind: read_mesh(tmp_path / f"a.{kind}") for kind in ("obj", "off")}
    frames = bare(meshes)
    for one, other in zip(frames[:2], frames[2:], strict=True):
        np.testing.assert_array_equal(one.rgba, other.rgba)
        levels = one.rgba[..., :3] / 255
        linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
        sums = linear[one.mask].sum(axis=1)
        assert np.abs(sums - 1).max() < 0.02 and (linear[one.mask].max(axis=0) > 0.8).all()


@pytest.mark.slow
@pytest.mark.skipif(not CATALOGUES.is_dir(), reason="needs the Debian package sweethome3d-furniture")
def test_real_objects_have_the_mean_colour_that_trimesh_finds(tmp_path):
    """50 objects with pictures and without faults, three levels of 255."""
    meshes, paths = {}, {}
    for path in real_objects(tmp_path):
        mesh = read_mesh(path, crossed="fan")
        opaque = mesh.paint and all(material.alpha == 1 for material in mesh.paint.materials)
        if opaque and mesh.paint.pictures and not mesh.faults and len(meshes) < 50:
            meshes[path.stem], paths[path.stem] = mesh, path
    off = {}
    for frame in bare(meshes, px=96):
        hit, depth, colour = Solid(paths[frame.instance]).seen(frame)
        assert (hit & frame.mask).sum() > 0.97 * (hit | frame.mask).sum() - 20, frame.instance
        # At the same hits: trimesh cuts concave polygons as fans, which cover what they do not.
        both = hit & frame.mask
        both[both] = np.abs(depth[both] - frame.depth[both]) < 1e-3
        assert both.sum() > 0.85 * frame.mask.sum() - 20, frame.instance
        means = [pixels[both][:, :3].astype(float).mean(axis=0) for pixels in (colour, frame.rgba)]
        off[frame.instance, frame.view] = float(np.abs(means[0] - means[1]).max())
    wrong = {place: round(value, 1) for place, value in off.items() if value > 3}
    print(f"largest difference of {len(meshes)} objects: {max(off.values()):.2f} of 255 levels")
    assert len(meshes) == 50 and not wrong, wrong


@pytest.mark.slow
def test_memory_of_a_large_mesh_with_large_pictures(tmp_path):
    """200,000 triangles with four pictures of 4096 px, all pixels kept: under 1.5 GB, here and in the worker."""
    job = tmp_path / "job.py"
    job.write_text(LARGE)
    command = [sys.executable, str(job), str(tmp_path)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-3:]
    triangles, reader_mib, worker_mib = map(float, told)
    assert triangles == 199_712 and max(reader_mib, worker_mib) < 1500, told


LARGE = """
import resource, sys
from pathlib import Path
import numpy as np
from PIL import Image
from robust3d import cameras
from robust3d.data.published.meshes import read_mesh
from robust3d.rendering.params import RenderParams
from robust3d.rendering.pool import render_instances

folder, n = Path(sys.argv[1]), 317
x, y = (side.ravel() for side in np.meshgrid(np.linspace(0, 1, n), np.linspace(0, 1, n)))
text = ["mtllib big.mtl"] + [f"v {a:.5f} {b:.5f} {a * b:.5f}\\nvt {a:.5f} {b:.5f}" for a, b in zip(x, y)]
for row in range(n - 1):
    text.append(f"usemtl m{row % 4}")
    for a in range(row * n + 1, row * n + n):
        b, c, d = a + 1, a + n + 1, a + n
        text.append(f"f {a}/{a} {b}/{b} {c}/{c}\\nf {a}/{a} {c}/{c} {d}/{d}")
(folder / "big.obj").write_text("\\n".join(text))
(folder / "big.mtl").write_text("".join(f"newmtl m{k}\\nmap_Kd m{k}.png\\n" for k in range(4)))
rng = np.random.default_rng(0)
for k in range(4):
    pixels = np.kron(rng.integers(0, 255, (256, 256, 4)), np.ones((16, 16, 1))).astype(np.uint8)
    Image.fromarray(pixels).save(folder / f"m{k}.png", compress_level=1)
mesh = read_mesh(folder / "big.obj", texture_px=4096)
assert len(mesh.paint.pictures) == 4 and not mesh.faults
camera = cameras.CameraParams(protocol="nmr", views=1)
request = ("a", mesh, cameras.poses(camera, 0, "a"))
optics = cameras.intrinsics(camera, 224)
list(render_instances([request], optics, RenderParams(resolution_px=224, samples=1), 0, "x"))
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
here = int(status["VmHWM"].split()[0]) / 1024  # ru_maxrss of this process counts the one that started it
worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(len(mesh.faces), here, worker)
"""


def real_objects(folder: Path):
    """Unpack every fourth object of the catalogues, one after the other."""
    for catalogue in sorted(CATALOGUES.glob("*.sh3f")):
        with zipfile.ZipFile(catalogue) as archive:
            names = archive.namelist()
            for name in sorted(name for name in names if name.endswith(".obj"))[::4]:
                beside = [other for other in names if os.path.dirname(other) == os.path.dirname(name)]
                archive.extractall(folder, beside)
                yield folder / name
