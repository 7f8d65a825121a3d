"""Bars R1, R2, R3, R5, R6, G2, G3: Blender's images against Embree's rays, closed forms and projections."""

import hashlib
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import trimesh
import yaml

from robust3d import cameras
from robust3d.cameras import CameraParams
from robust3d.errors import UserError
from robust3d.rendering import pool, system
from robust3d.rendering.params import RenderParams, Sun
from robust3d.rendering.pool import render_instances
from robust3d.shapes import geons
from robust3d.shapes.mesh import Mesh

SPHERE = CameraParams(views=4, radius=5.1, fov_deg=30.0)
NMR = CameraParams(protocol="nmr", views=4)
STUDY = yaml.safe_load((Path(__file__).parents[2] / "config.yaml").read_text())["families"]["geons"]


def plain(solid: trimesh.Trimesh, colour=(0.6, 0.6, 0.6), smooth_angle_deg=30.0) -> Mesh:
    colours = np.tile(np.float32(colour), (len(solid.faces), 1))
    return Mesh(np.array(solid.vertices), np.int32(solid.faces), colours, smooth_angle_deg)


def chair() -> Mesh:
    """Thin parts, gaps, and three colours."""
    boxes = [
        ((0.6, 0.06, 0.6), (0, 0, 0), (0.7, 0.3, 0.15)),
        ((0.6, 0.6, 0.06), (0, 0.3, 0.27), (0.15, 0.4, 0.7)),
    ]
    legs = [(x, -0.22, z) for x in (-0.26, 0.26) for z in (-0.26, 0.26)]
    boxes += [((0.06, 0.45, 0.06), place, (0.8, 0.8, 0.7)) for place in legs]
    vertices, faces, colours = [], [], []
    for size, place, colour in boxes:
        solid = trimesh.creation.box(size)
        faces.append(solid.faces + 8 * len(vertices))
        vertices.append(solid.vertices + place)
        colours.append(np.tile(np.float32(colour), (12, 1)))
    return Mesh(np.concatenate(vertices), np.int32(np.concatenate(faces)), np.concatenate(colours))


def geon(name: str) -> Mesh:
    params = geons.Params(classes=(name,), scalings=(0.5, 1.0, 1.5))
    return geons.build(params, 0, name, geons.instance_ids(params, 0)[-3])


SOLIDS = {
    "chair": (chair, NMR),
    "arch": (lambda: geon("arch"), SPHERE),
    "horn": (lambda: geon("horn"), SPHERE),
    "ball": (lambda: plain(trimesh.creation.icosphere(5, 0.35)), NMR),
}


@cache
def solid(name: str) -> Mesh:
    return SOLIDS[name][0]()


def render(requests, camera, resolution_px, workers=1, **params):
    params = RenderParams(resolution_px=resolution_px, **params)
    matrix = cameras.intrinsics(camera, resolution_px)
    requests = [(name, mesh, cameras.poses(camera, 0, name)) for name, mesh in requests]
    return list(render_instances(requests, matrix, params, 0, "solids", workers))


@cache
def views(name: str, resolution_px: int):
    return render([(name, solid(name))], SOLIDS[name][1], resolution_px, samples=4)


def first_hits(mesh: Mesh, frame, shift_px=0.0):
    """Embree's mask (H, W) and camera-z depth, inf where it hits nothing."""
    height, width = frame.mask.shape
    matrix = frame.intrinsics.copy()
    matrix[:2, 2] -= shift_px
    origin, directions = cameras.rays(frame.world_to_camera, matrix, height, width)
    directions = directions.reshape(-1, 3)
    caster = trimesh.ray.ray_pyembree.RayMeshIntersector(trimesh.Trimesh(mesh.vertices, mesh.faces, process=False))
    origins = np.broadcast_to(origin, directions.shape)
    triangle = caster.intersects_first(origins, directions)
    hit = triangle >= 0
    corners = mesh.vertices[mesh.faces[triangle[hit]]]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    plane = ((corners[:, 0] - origin) * normal).sum(-1) / (directions[hit] * normal).sum(-1)
    depth = np.full(len(hit), np.inf)
    depth[hit] = plane
    return hit.reshape(height, width), depth.reshape(height, width)


def iou(one, other):
    return (one & other).sum() / (one | other).sum()


def off_the_surface(mesh: Mesh, frame, depth):
    """Distance of each re-projected foreground pixel to the mesh, and which lie inside the silhouette."""
    centres = cameras.pixel_centres(*frame.mask.shape)[frame.mask]
    points = cameras.unproject(centres, depth[frame.mask].astype(np.float64), frame.world_to_camera, frame.intrinsics)
    surface = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    inner = frame.mask.copy()
    for axis in (0, 1):
        inner &= np.roll(frame.mask, 1, axis) & np.roll(frame.mask, -1, axis)
    return trimesh.proximity.closest_point(surface, points)[1], inner[frame.mask]


def lies_on_the_surface(mesh: Mesh, frame, depth) -> bool:
    distance, inner = off_the_surface(mesh, frame, depth)
    return (distance <= 1e-4).mean() >= 0.999 and distance[inner].max() <= 1e-3


@pytest.mark.parametrize("name", ["chair", "arch", "horn"])
def test_r1_depth_is_on_the_surface(name):
    for frame in views(name, 64):
        assert frame.depth.dtype == np.float32
        np.testing.assert_array_equal(np.isfinite(frame.depth), frame.mask)
        assert lies_on_the_surface(solid(name), frame, frame.depth)
        halved = frame.depth.astype(np.float16).astype(np.float32)
        assert not lies_on_the_surface(solid(name), frame, halved), "the bar would not see half floats"


@pytest.mark.parametrize(("resolution_px", "bar"), [(64, 0.985), (224, 0.99)])
@pytest.mark.parametrize("name", ["chair", "arch", "horn"])
def test_r2_mask_and_depth_are_those_of_rays_through_pixel_centres(name, resolution_px, bar):
    shifted = []
    for frame in views(name, resolution_px):
        mask, depth = first_hits(solid(name), frame)
        assert iou(frame.mask, mask) >= bar
        both = frame.mask & mask
        difference = np.abs(frame.depth[both] - depth[both])
        # Cycles' filter table puts the centre sample up to 0.002 px off, which grazing faces magnify.
        assert np.median(difference) <= 5e-5 and np.quantile(difference, 0.995) <= 1e-3
        shifted.append(iou(frame.mask, first_hits(solid(name), frame, shift_px=0.5)[0]))
    assert min(shifted) < bar, "the bar would not see a shift by half a pixel"


@pytest.mark.parametrize("name", ["chair", "arch", "horn"])
def test_r5_no_object_touches_the_border(name):
    for frame in views(name, 64):
        edge = frame.mask | (frame.rgba[..., 3] > 0)
        assert not (edge[0].any() or edge[-1].any() or edge[:, 0].any() or edge[:, -1].any())
        assert 0.003 <= frame.mask.mean() <= 0.6


@pytest.mark.parametrize("name", STUDY["shapes"]["classes"])
def test_r5_every_geon_of_the_default_study_fits_the_image(name):
    """No vertex reaches the centre of a border pixel in any view."""
    side = STUDY["render"]["resolution_px"]
    camera = CameraParams(**STUDY["cameras"])
    matrix, poses = cameras.intrinsics(camera, side), cameras.poses(camera, 0)
    params = geons.Params(classes=(name,), scalings=tuple(STUDY["shapes"]["scalings"]))
    for instance in geons.instance_ids(params, 0):
        vertices = geons.build(params, 0, name, instance).vertices
        image, _ = cameras.project(vertices, poses, matrix)
        assert image.min() > 0.5
        assert image.max() < side - 0.5


def test_g2_sphere_silhouette_and_depth_in_closed_form():
    """A fine ball lies inside its sphere, so its depth is the sphere's only up to the sagitta."""
    radius, frames = 0.35, views("ball", 128)
    for frame in frames:
        origin, directions = cameras.rays(frame.world_to_camera, frame.intrinsics, 128, 128)
        a, b = (directions**2).sum(-1), directions @ origin
        root = b**2 - a * (origin @ origin - radius**2)
        assert abs(frame.mask.sum() / (root > 0).sum() - 1) < 0.01
        deep = root > 0.3 * root.max()
        exact = (-b - np.sqrt(np.maximum(root, 0))) / a
        assert np.abs(frame.depth[deep] - exact[deep]).max() < 5e-4
        depth = first_hits(solid("ball"), frame)[1]
        assert np.abs(frame.depth[deep] - depth[deep]).max() < 2e-5  # the same ball, exactly


def inside(mask, image_points):
    """Share of image points in the mask widened by one pixel."""
    wide = mask.copy()
    for axis in (0, 1):
        wide |= np.roll(wide, 1, axis) | np.roll(wide, -1, axis)
    row, column = np.clip(cameras.pixel_at(image_points), 0, mask.shape[0] - 1).T
    return wide[row, column].mean()


def test_g3_surface_points_project_into_the_mask_and_wrong_conventions_do_not():
    mesh = solid("chair")
    sampled = trimesh.sample.sample_surface(trimesh.Trimesh(mesh.vertices, mesh.faces), 4000, seed=0)[0]
    flip = np.diag([1.0, -1, -1, 1])
    # The chair is symmetric in x, so a mirrored x cannot show; every other axis and order does.
    wrong = {
        "y up in the camera": lambda pose: np.diag([1.0, -1, 1, 1]) @ pose,
        "z up in the world": lambda pose: pose @ np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]]),
        "y mirrored in the world": lambda pose: pose @ np.diag([1.0, -1, 1, 1]),
        "z mirrored in the world": lambda pose: pose @ np.diag([1.0, 1, -1, 1]),
        "transposed rotation": lambda pose: np.block([[pose[:3, :3].T, pose[:3, 3:]], [pose[3:]]]),
        "axes of the image swapped": lambda pose: pose[[1, 0, 2, 3]],
        "camera to world": lambda pose: flip @ np.linalg.inv(pose) @ flip,
    }
    scores = {name: [] for name in wrong}
    for frame in views("chair", 64):
        image, _ = cameras.project(sampled, frame.world_to_camera, frame.intrinsics)
        assert inside(frame.mask, image) >= 0.995
        row, column = np.nonzero(frame.mask)
        covered = np.zeros_like(frame.mask)
        dense = trimesh.sample.sample_surface(trimesh.Trimesh(mesh.vertices, mesh.faces), 200_000, seed=1)[0]
        at = cameras.pixel_at(cameras.project(dense, frame.world_to_camera, frame.intrinsics)[0])
        covered[at[:, 0], at[:, 1]] = True
        assert covered[frame.mask].mean() >= 0.97
        hit_rows, hit_columns = np.nonzero(first_hits(mesh, frame)[0])
        offset = [row.mean() - hit_rows.mean(), column.mean() - hit_columns.mean()]
        assert np.abs(offset).max() <= 0.25
        for name, change in wrong.items():
            image, depth = cameras.project(sampled, change(frame.world_to_camera), frame.intrinsics)
            visible = depth > 0
            scores[name].append(inside(frame.mask, image[visible]) if visible.any() else 0.0)
    assert all(np.mean(score) < 0.9 for score in scores.values()), scores


def test_r3_dvr_matrices_of_a_frame_find_the_mask():
    mesh = solid("horn")
    frame = views("horn", 64)[0]
    written = cameras.to_dvr(frame.world_to_camera[None], frame.intrinsics, 64, extent=1.5)
    points = np.concatenate([mesh.vertices / 1.5, np.ones((len(mesh.vertices), 1))], axis=1)
    assert np.abs(points[:, :3]).max() <= 0.55
    image = points @ (written["camera_mat_0"] @ written["world_mat_0"] @ written["scale_mat_0"]).T
    pixels = (image[:, :2] / image[:, 2:3] + 1) / 2 * 64
    expected = cameras.project(mesh.vertices, frame.world_to_camera, frame.intrinsics)[0]
    assert np.abs(pixels - expected).max() <= 0.01
    assert inside(frame.mask, pixels) >= 0.995


def digest(frames):
    parts = [(f.instance, f.view, f.rgba.tobytes(), f.mask.tobytes(), f.depth.tobytes()) for f in frames]
    return {(name, view): hashlib.sha256(b"".join(pixels)).hexdigest() for name, view, *pixels in parts}


def test_r6_pixels_depend_on_neither_run_nor_worker_nor_order():
    requests = [(name, solid(name)) for name in ("chair", "horn", "ball", "arch")]
    one = render(requests, NMR, 48, workers=1, samples=3)
    two = render(requests[::-1], NMR, 48, workers=2, samples=3)
    again = render(requests[1:2], NMR, 48, samples=3)
    assert [(f.instance, f.view) for f in one] == [(name, view) for name, _ in requests for view in range(4)]
    assert [f.instance for f in two] == [name for name, _ in requests[::-1] for _ in range(4)]
    assert digest(one) == digest(two)
    assert digest(again).items() <= digest(one).items()
    other_seed = list(
        render_instances(
            [("chair", solid("chair"), cameras.poses(NMR, 0))],
            cameras.intrinsics(NMR, 48),
            RenderParams(resolution_px=48, samples=3),
            1,
            "solids",
        )
    )
    assert any(digest(other_seed)[key] != digest(one)[key] for key in digest(other_seed))
    np.testing.assert_array_equal(other_seed[0].depth, one[0].depth)  # geometry has no noise


def test_brightness_of_a_lit_face_in_closed_form():
    """Colour management, lamps, paint and alpha at once: white box, face up, seen from above."""
    params = RenderParams()
    white = [("box", plain(trimesh.creation.box((0.6, 0.6, 0.6)), colour=(0.5, 0.25, 0.8)))]
    above = cameras.look_at([[0.0, 2.732, 0.0]])
    (frame,) = render_instances(
        [(*white[0], above)], cameras.intrinsics(NMR, 32), RenderParams(resolution_px=32, samples=4), 0, "box"
    )
    unit = [np.array(sun.direction) / np.linalg.norm(sun.direction) for sun in params.suns]
    light = params.ambient + sum(sun.strength * max(0, way[1]) for sun, way in zip(params.suns, unit))
    linear = light * np.array([0.5, 0.25, 0.8])
    expected = 255 * (1.055 * linear ** (1 / 2.4) - 0.055)
    middle = frame.rgba[14:18, 14:18].reshape(-1, 4)
    assert (middle[:, 3] == 255).all()
    assert np.abs(middle[:, :3] - expected).max() <= 1
    edge = frame.rgba[(frame.rgba[..., 3] > 40) & (frame.rgba[..., 3] < 250)]
    assert len(edge) > 10
    assert np.abs(edge[:, :3] - expected).max() <= 1, "alpha is not straight"
    empty = frame.rgba[0, 0]
    assert not empty.any() and np.isinf(frame.depth[0, 0])


def test_a_large_sun_softens_shadows_by_its_size():
    """Below a plate at height h, a sun of angle a makes a half-shadow that is 2 h tan(a / 2) wide."""
    floor = trimesh.creation.box((0.9, 0.02, 0.9))
    plate = trimesh.creation.box((0.02, 0.002, 0.9)).apply_translation((0, 0.2, 0))
    wall = trimesh.creation.box((0.45, 0.002, 0.9)).apply_translation((-0.225, 0.2, 0))
    mesh = plain(trimesh.util.concatenate([floor, plate, wall]), colour=(1.0, 1.0, 1.0))
    camera = cameras.look_at([[1.9, 1.7, 0.0]])
    widths = {}
    for angle in (0.0, 30.0):
        light = Sun(direction=(0.0, 1.0, 0.0), strength=0.8, shadow=True, angle_deg=angle)
        params = RenderParams(resolution_px=128, samples=64, suns=(light,), ambient=0.1)
        (frame,) = render_instances([("one", mesh, camera)], cameras.intrinsics(NMR, 128), params, 0, "box")
        points, _ = cameras.project(
            np.array([[x, 0.01, 0.0] for x in np.linspace(-0.18, 0.42, 121)]), camera[0], cameras.intrinsics(NMR, 128)
        )
        shown = frame.rgba[points[:, 1].astype(int), points[:, 0].astype(int), 0] / 255
        linear = np.where(shown > 0.04045, ((shown + 0.055) / 1.055) ** 2.4, shown / 12.92)
        assert np.quantile(linear, 0.9) == pytest.approx(0.9, abs=0.03)
        widths[angle] = 0.005 * np.count_nonzero((linear > 0.25) & (linear < 0.8))
    whole = 2 * 0.19 * np.tan(np.deg2rad(15))
    assert widths[0.0] < 0.03
    assert 0.5 * whole < widths[30.0] < whole  # the steep part, from 0.25 to 0.8


def test_faces_of_a_box_differ_and_nothing_clips():
    camera = CameraParams(views=12, radius=5.1, fov_deg=30.0)
    mesh = plain(trimesh.creation.box((1, 1, 1)), colour=(0.8, 0.8, 0.8))
    for frame in render([("box", mesh)], camera, 64, samples=4):
        assert frame.rgba[frame.mask][:, :3].min() > 10 and frame.rgba[frame.mask][:, :3].max() < 250
        triangle = face_normals(mesh, frame)
        levels = [np.median(frame.rgba[triangle == side][:, 0]) for side in range(6) if (triangle == side).sum() > 20]
        assert all(abs(a - b) >= 12 for i, a in enumerate(levels) for b in levels[:i]), levels


def face_normals(mesh: Mesh, frame):
    """(H, W) number of the box side that Embree sees in each pixel, -1 outside."""
    origin, directions = cameras.rays(frame.world_to_camera, frame.intrinsics, *frame.mask.shape)
    surface = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    flat = directions.reshape(-1, 3)
    triangle = trimesh.ray.ray_pyembree.RayMeshIntersector(surface).intersects_first(
        np.broadcast_to(origin, flat.shape), flat
    )
    normal = np.round(surface.face_normals[triangle])
    side = np.where(triangle >= 0, np.abs(normal).argmax(1) * 2 + (normal.sum(1) > 0), -1)
    return side.reshape(frame.mask.shape)


def test_smoothing_angle_and_face_colours():
    coarse = trimesh.creation.icosphere(1, 0.35)
    faceted, smooth = (plain(coarse, smooth_angle_deg=angle) for angle in (0.0, 60.0))
    frames = render([("faceted", faceted), ("smooth", smooth)], NMR, 64, samples=4)
    flat = []  # share of neighbouring pixels of one brightness
    for frame in (frames[0], frames[4]):
        both = frame.mask[:, 1:] & frame.mask[:, :-1]
        flat.append((np.diff(frame.rgba[..., 0].astype(int), axis=1)[both] == 0).mean())
    assert flat[0] > 0.4
    assert flat[1] < 0.3
    colours = views("chair", 64)[0].rgba
    hue = colours[views("chair", 64)[0].mask][:, :3].astype(int)
    assert (hue[:, 0] > hue[:, 2] + 30).any() and (hue[:, 2] > hue[:, 0] + 30).any()


def test_alpha_agrees_with_the_mask():
    for frame in views("chair", 64):
        alpha = frame.rgba[..., 3]
        assert (alpha[frame.mask] > 0).all()
        assert abs(alpha.mean() / 255 - frame.mask.mean()) < 0.02
        assert not frame.rgba[alpha == 0].any()


# --- workers ---


def ball_requests(count):
    mesh = plain(trimesh.creation.icosphere(2, 0.35))
    return [(f"ball{number}", mesh) for number in range(count)]


def test_a_worker_that_has_grown_is_replaced_and_pixels_stay(monkeypatch):
    expected = digest(render(ball_requests(2), NMR, 24, samples=1))
    monkeypatch.setattr(pool, "GROWTH_MIB", -100_000)
    starts = []
    start = pool._Worker._start
    monkeypatch.setattr(pool._Worker, "_start", lambda self: (starts.append(1), start(self))[1])
    assert digest(render(ball_requests(2), NMR, 24, samples=1)) == expected
    assert len(starts) == 2


def test_a_killed_worker_is_a_clear_error(monkeypatch):
    receive = pool._Worker._receive

    def die(self, instance):
        self.process.kill()
        self.process.wait()
        return receive(self, instance)

    monkeypatch.setattr(pool._Worker, "_receive", die)
    with pytest.raises(UserError, match="rendering ball0: Blender's process ended with status -9"):
        render(ball_requests(2), NMR, 24, workers=2)


def test_a_hanging_worker_is_a_clear_error(monkeypatch):
    monkeypatch.setattr(pool, "FRAME_TIMEOUT_S", 0.05)
    with pytest.raises(UserError, match="ball0: Blender has not responded for"):
        render(ball_requests(1), NMR, 24)


def test_what_goes_wrong_in_a_worker_is_shown():
    off_centre = cameras.intrinsics(NMR, 24) + np.array([[0, 0, 3.0], [0, 0, 0], [0, 0, 0]])
    requests = [("ball", ball_requests(1)[0][1], cameras.poses(NMR, 0))]
    with pytest.raises(UserError, match="principal point"):
        list(render_instances(requests, off_centre, RenderParams(resolution_px=24), 0, "balls"))


def test_nothing_goes_on_when_the_caller_stops(monkeypatch):
    crew = []
    start = pool._Worker._start
    monkeypatch.setattr(
        pool._Worker, "_start", lambda self: (start(self), crew.append((self.process, self.process.args[-1])))[0]
    )
    requests = [(name, mesh, cameras.poses(NMR, 0)) for name, mesh in ball_requests(9)]
    frames = render_instances(
        iter(requests), cameras.intrinsics(NMR, 24), RenderParams(resolution_px=24), 0, "balls", 2
    )
    next(frames)
    frames.close()
    assert crew and all(process.poll() is not None for process, _ in crew)
    assert not any(pool.Path(folder).exists() for _, folder in crew)


def test_workers_share_the_cores_without_spinning(monkeypatch):
    """Idle threads of Blender's that wait by yielding switch contexts 1,000 to 25,000 times a frame, ours about 100."""
    receive, told = pool._Worker._receive, {}

    def watched(self, instance):
        for status in pool.Path(f"/proc/{self.process.pid}/task").glob("*/status"):
            lines = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
            switches = sum(int(lines[f"{kind}_ctxt_switches"]) for kind in ("voluntary", "nonvoluntary"))
            told[status] = switches, lines["Cpus_allowed_list"]
        return receive(self, instance)

    monkeypatch.setattr(pool._Worker, "_receive", watched)
    frames = render([(name, chair()) for name, _ in ball_requests(6)], NMR, 224, samples=16, workers=2)
    own = Path("/proc/self/status").read_text().split("Cpus_allowed_list:\t")[1].split()[0]
    assert {cores for _, cores in told.values()} == {own}
    assert sum(switches for switches, _ in told.values()) < 500 * len(frames)


def test_missing_system_libraries_are_named(monkeypatch):
    system.check_system_libraries()
    monkeypatch.setitem(system.LIBRARIES, "libnothere.so.7", "libnothere7")
    with pytest.raises(UserError, match="apt-get install libnothere7"):
        system.check_system_libraries()


def test_lights_are_checked():
    with pytest.raises(ValueError, match="direction"):
        Sun(direction=(0.0, 0.0, 0.0), strength=1.0)
    with pytest.raises(ValueError, match="strength"):
        Sun(direction=(0.0, 1.0, 0.0), strength=-1.0)
    with pytest.raises(ValueError, match="angle_deg"):
        Sun(direction=(0.0, 1.0, 0.0), strength=1.0, angle_deg=10.0)
