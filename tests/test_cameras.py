"""Bars R3 (converters), R4, G1 and G4: the camera convention, poses, and DVR, SRN and pixelNeRF's formats."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import stats

from robust3d import cameras
from robust3d.cameras import CameraParams


def some_cameras(views=6, resolution_px=64, seed=3):
    params = CameraParams(views=views)
    return cameras.poses(params, seed), cameras.intrinsics(params, resolution_px)


@pytest.mark.parametrize(("dtype", "bar_px"), [(np.float64, 1e-10), (np.float32, 1e-3)])
def test_g1_pixel_to_ray_to_point_to_pixel(dtype, bar_px):
    poses, matrix = some_cameras(resolution_px=224)
    for pose in poses:
        origin, directions = cameras.rays(pose.astype(dtype), matrix.astype(dtype), 224, 224)
        depth = np.random.default_rng(0).uniform(1, 4, (224, 224, 1)).astype(dtype)
        points = (origin + depth * directions).reshape(-1, 3)
        image, seen_depth = cameras.project(points, pose.astype(dtype), matrix.astype(dtype))
        assert np.abs(image.reshape(224, 224, 2) - cameras.pixel_centres(224, 224)).max() < bar_px
        np.testing.assert_allclose(seen_depth, depth.ravel(), atol=bar_px)


@pytest.mark.parametrize("width", [64, 128, 137, 224])
def test_g1_every_pixel_looks_up_itself(width):
    """Also through DVR's [-1, 1] and back; the reference code misses 127 of 4096 at 64 px."""
    centres = cameras.pixel_centres(width, width)
    expected = np.stack(np.mgrid[:width, :width], axis=-1)
    np.testing.assert_array_equal(cameras.pixel_at(centres), expected)
    ndc = 2 * centres / width - 1
    np.testing.assert_array_equal(cameras.pixel_at((ndc + 1) / 2 * width), expected)


def test_axes_of_the_convention():
    """A camera on +z: world x is to the right, world y is up in the image, depth grows away from it."""
    pose = cameras.look_at([0, 0, 3.0])
    matrix = cameras.intrinsics(CameraParams(), 64)
    points = np.array([[0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]])
    image, depth = cameras.project(points, pose, matrix)
    np.testing.assert_allclose(image[0], [32, 32])
    assert image[1, 0] > 32 and image[1, 1] == pytest.approx(32)
    assert image[2, 1] < 32 and image[2, 0] == pytest.approx(32)
    np.testing.assert_allclose(depth, [3, 3, 3, 2.5])


@settings(deadline=None, max_examples=60)
@given(st.tuples(*[st.floats(-3, 3)] * 3).filter(lambda v: np.linalg.norm(v) > 1e-3))
def test_look_at_is_a_rotation_towards_the_origin(eye):
    pose = cameras.look_at(eye)
    rotation = pose[:3, :3]
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(rotation) == pytest.approx(1)
    np.testing.assert_allclose(cameras.camera_centre(pose), eye, atol=1e-9)
    np.testing.assert_allclose(pose @ [0, 0, 0, 1], [0, 0, np.linalg.norm(eye), 1], atol=1e-9)


@pytest.mark.parametrize("eye", [(0, 2, 0), (0, -2, 0)])
def test_look_at_along_the_up_direction(eye):
    rotation = cameras.look_at(eye)[:3, :3]
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)


def test_look_at_refuses_its_own_place():
    with pytest.raises(ValueError, match="is at the point"):
        cameras.look_at([0.0, 0, 0])


def uniformity(directions):
    """p values of height and azimuth against the uniform sphere (Archimedes: height is uniform)."""
    azimuth = np.arctan2(directions[:, 0], directions[:, 2])
    return (
        stats.kstest(directions[:, 1], stats.uniform(-1, 2).cdf).pvalue,
        stats.kstest(azimuth, stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue,
    )


def test_r4_poses_are_uniform_on_the_sphere():
    params = CameraParams(views=2000, radius=2.5)
    poses = cameras.poses(params, 0)
    centres = cameras.camera_centre(poses)
    np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 2.5, atol=1e-6)
    assert min(uniformity(centres / 2.5)) > 0.01
    closest = centres + poses[:, 2, :3] * 2.5  # where the optical axis comes closest to the origin
    assert np.abs(closest).max() < 1e-6
    # Negative control: uniform elevation crowds the poles and must be rejected.
    rng = np.random.default_rng(0)
    elevation, azimuth = rng.uniform(-np.pi / 2, np.pi / 2, 2000), rng.uniform(-np.pi, np.pi, 2000)
    flat = np.cos(elevation)
    crowded = np.stack([flat * np.sin(azimuth), np.sin(elevation), flat * np.cos(azimuth)], axis=1)
    assert min(uniformity(crowded)) < 1e-6


def test_shared_and_per_instance_poses():
    shared, own = CameraParams(views=5), CameraParams(views=5, poses="per_instance")
    np.testing.assert_array_equal(cameras.poses(shared, 0, "a"), cameras.poses(shared, 0, "b"))
    assert not np.allclose(cameras.poses(own, 0, "a"), cameras.poses(own, 0, "b"))
    assert not np.allclose(cameras.poses(shared, 0), cameras.poses(shared, 1))
    more = cameras.poses(CameraParams(views=9), 0)
    np.testing.assert_array_equal(more[:5], cameras.poses(shared, 0))


def test_nmr_ring():
    params = CameraParams(protocol="nmr", views=24)
    centres = cameras.camera_centre(cameras.poses(params, 0))
    np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 2.732)
    np.testing.assert_allclose(np.rad2deg(np.arcsin(centres[:, 1] / 2.732)), 30)
    azimuth = np.unwrap(np.arctan2(centres[:, 0], -centres[:, 2]))
    np.testing.assert_allclose(np.diff(np.rad2deg(azimuth)), 15)
    matrix = cameras.intrinsics(params, 64)
    assert matrix[0, 0] == pytest.approx(119.4256, abs=1e-3)  # of the published 64 px renders
    assert 2 * matrix[0, 0] / 64 == pytest.approx(2 + np.sqrt(3))
    subset = cameras.poses(CameraParams(protocol="nmr", views=12), 0)
    np.testing.assert_allclose(subset, cameras.poses(params, 0)[::2], atol=1e-12)
    turned = cameras.poses(CameraParams(protocol="nmr", views=12, azimuth_deg=15), 0)
    np.testing.assert_allclose(turned, cameras.poses(params, 0)[1::2], atol=1e-12)


@pytest.mark.parametrize(
    "wrong",
    [
        {"views": 0},
        {"protocol": "nmr", "views": 7},
        {"protocol": "nmr", "poses": "per_instance"},
        {"radius": 0.0},
        {"fov_deg": 180.0},
        {"protocol": "ring"},
        {"distance": 2.0},
        {"views": 2.5},
    ],
)
def test_impossible_cameras_are_refused(wrong):
    with pytest.raises(ValidationError):
        CameraParams(**wrong)


def test_g4_cube_interval_and_hit_fractions():
    params = CameraParams(protocol="nmr", views=24)
    matrix = cameras.intrinsics(params, 64)
    fractions = {0.5: [], 0.55: []}
    for pose, half in itertools.product(cameras.poses(params, 0), fractions):
        origin, directions = cameras.rays(pose, matrix, 64, 64)
        near, far, hit = cameras.cube_interval(origin, directions, half)
        fractions[half].append(hit.mean())
        steps = np.linspace(1, 5, 801)  # brute force: which of many points on the ray are inside
        inside = (np.abs(origin + steps[:, None] * directions[::8, ::8, None]) <= half).all(axis=-1)
        expected = np.where(inside.any(-1), (steps * inside).max(-1), 0)
        clear = far[::8, ::8] - near[::8, ::8] > 0.02
        found = np.where(hit, far, 0)[::8, ::8]
        assert np.abs(found - expected)[clear | ~hit[::8, ::8]].max() < 0.0051
    assert np.mean(fractions[0.5]) == pytest.approx(0.761, abs=0.005)
    assert np.mean(fractions[0.55]) == pytest.approx(0.873, abs=0.005)


def test_cube_interval_from_inside_behind_and_along_a_face():
    origins = np.array([[0.0, 0, 0], [0, 0, 2], [0.5, 0, -2], [0.6, 0, -2]])
    forward = np.array([0.0, 0, 1])
    near, far, hit = cameras.cube_interval(origins, forward, 0.5)
    np.testing.assert_array_equal(hit, [True, False, True, False])
    assert (near[0], far[0]) == (0.0, 0.5)
    np.testing.assert_allclose([near[2], far[2]], [1.5, 2.5])


# --- converters ---


def vertices(count=200):
    return np.random.default_rng(1).uniform(-0.75, 0.75, (count, 3))


def test_r3_dvr_matrices_project_like_ours():
    poses, matrix = some_cameras()
    written = cameras.to_dvr(poses, matrix, 64, extent=1.5)
    object_space = vertices() / 1.5
    assert np.abs(object_space).max() <= 0.55
    for view, pose in enumerate(poses):
        homogeneous = np.concatenate([object_space, np.ones((200, 1))], axis=1).T
        image = written[f"camera_mat_{view}"] @ written[f"world_mat_{view}"] @ written[f"scale_mat_{view}"]
        image = image @ homogeneous
        pixels = (image[:2] / image[2] + 1).T / 2 * 64
        assert np.abs(pixels - cameras.project(vertices(), pose, matrix)[0]).max() < 0.01
        for name in ("world", "camera", "scale"):
            product = written[f"{name}_mat_{view}"] @ written[f"{name}_mat_inv_{view}"]
            np.testing.assert_allclose(product, np.eye(4), atol=1e-12)


def test_dvr_round_trip_and_three_row_matrices():
    poses, matrix = some_cameras()
    written = cameras.to_dvr(poses, matrix, 64, extent=1.5)
    for view in range(len(poses)):
        written[f"world_mat_{view}"] = written[f"world_mat_{view}"][:3]
    world, pixel_matrices, scale = cameras.from_dvr(written, 64)
    np.testing.assert_allclose(world, poses, atol=1e-12)
    np.testing.assert_allclose(pixel_matrices, np.broadcast_to(matrix, (6, 3, 3)), atol=1e-12)
    np.testing.assert_allclose(scale[0], np.diag([1.5, 1.5, 1.5, 1]))
    bare = {key: value for key, value in written.items() if not key.startswith("scale")}
    np.testing.assert_allclose(cameras.from_dvr(bare, 64)[2][3], np.eye(4))


def test_from_dvr_refuses_hidden_intrinsics_and_empty_files():
    poses, matrix = some_cameras()
    written = cameras.to_dvr(poses, matrix, 64)
    written["world_mat_2"] = np.diag([100.0, 100, 1, 1]) @ written["world_mat_2"]
    with pytest.raises(ValueError, match="world_mat_2"):
        cameras.from_dvr(written, 64)
    with pytest.raises(ValueError, match="world_mat_0"):
        cameras.from_dvr({}, 64)


def test_srn_round_trip_and_meaning():
    poses, matrix = some_cameras()
    text, camera_to_world = cameras.to_srn(poses, matrix, 64)
    lines = text.splitlines()
    focal, centre_x, centre_y = (float(word) for word in lines[0].split()[:3])
    assert lines[-1] == "64 64"
    # SRN and pixelNeRF: x_image = f x / z + c in OpenCV's camera axes.
    camera = (np.linalg.inv(camera_to_world[2]) @ np.append(vertices()[0], 1))[:3]
    expected = cameras.project(vertices()[:1], poses[2], matrix)[0][0]
    np.testing.assert_allclose(focal * camera[:2] / camera[2] + [centre_x, centre_y], expected)
    world, read_matrix, side = cameras.from_srn(text, camera_to_world)
    np.testing.assert_allclose(world, poses, atol=1e-12)
    np.testing.assert_array_equal(read_matrix, matrix)
    assert side == 64


@pytest.mark.parametrize("z_up", [False, True])
def test_pixelnerf_projects_like_ours(z_up):
    """pixelNeRF: u = -f x / z + c_x, v = +f y / z + c_y with OpenGL's axes, in its own (z-up) world."""
    poses, matrix = some_cameras()
    camera_to_world, focal, centre = cameras.to_pixelnerf(poses, matrix, z_up=z_up)
    points = vertices()
    turned = np.stack([points[:, 0], -points[:, 2], points[:, 1]], axis=1) if z_up else points
    for view, pose in enumerate(poses):
        inverse = np.linalg.inv(camera_to_world[view])
        local = turned @ inverse[:3, :3].T + inverse[:3, 3]
        image = np.stack([-focal * local[:, 0] / local[:, 2], focal * local[:, 1] / local[:, 2]], axis=1)
        assert np.abs(image + centre - cameras.project(points, pose, matrix)[0]).max() < 0.01
    world, read_matrix = cameras.from_pixelnerf(camera_to_world, focal, centre, z_up=z_up)
    np.testing.assert_allclose(world, poses, atol=1e-12)
    np.testing.assert_allclose(read_matrix, matrix)


def test_opengl_round_trip_and_axes():
    poses, _ = some_cameras()
    camera_to_world = cameras.opengl(poses)
    np.testing.assert_allclose(cameras.from_opengl(camera_to_world), poses, atol=1e-12)
    towards = -camera_to_world[:, :3, 2]  # OpenGL looks along -z
    np.testing.assert_allclose(towards * 2.732, -cameras.camera_centre(poses), atol=1e-9)


def test_one_focal_length_only():
    poses, matrix = some_cameras()
    stretched = matrix * [[1.1, 1, 1], [1, 1, 1], [1, 1, 1]]
    for convert in (
        lambda: cameras.to_srn(poses, stretched, 64),
        lambda: cameras.to_pixelnerf(poses, stretched),
    ):
        with pytest.raises(ValueError, match="one focal length"):
            convert()
