"""A sun that is drawn for each view: where it stands, how bright surfaces look under it, and what it depends on."""

import numpy as np
import pytest
import trimesh

from robust3d import cameras
from robust3d.cameras import CameraParams
from robust3d.rendering.params import LightParams, RenderParams, light_of
from robust3d.rendering.pool import render_instances
from robust3d.shapes.mesh import Mesh

CAMERA = CameraParams(views=5, poses="per_object", radius=2.0, fov_deg=30.0)
PX = 33  # odd: the middle of the ball is the middle of a pixel
BALL = trimesh.creation.icosphere(4, 0.45)
COLOUR = 0.6


def to_linear(srgb: np.ndarray) -> np.ndarray:
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def test_brightness_is_that_of_the_suns_that_were_drawn():
    mesh = Mesh(np.array(BALL.vertices), np.int32(BALL.faces), np.full((len(BALL.faces), 3), COLOUR, np.float32), 60.0)
    params = RenderParams(resolution_px=PX, samples=4, suns=(), ambient=0.2, light=LightParams(strength=(0.3, 1.2)))
    poses = cameras.poses(CAMERA, 0, "0000", "ball")
    optics = cameras.intrinsics(CAMERA, PX)
    frames = list(render_instances([("ball/0000", mesh, poses)], optics, params, 0, ""))
    for view, (frame, pose) in enumerate(zip(frames, poses, strict=True)):
        sun = light_of(params.light, 0, "", "ball/0000", view, pose)
        towards = np.array(sun.direction) / np.linalg.norm(sun.direction)
        origin, beams = cameras.rays(pose, optics, PX, PX)
        points = origin + beams * np.where(frame.mask, frame.depth, 1)[..., None]  # beams reach depth 1
        normals = points / np.linalg.norm(points, axis=2, keepdims=True)
        cosine = np.where(frame.mask, normals @ towards, -1)
        inner = frame.mask & (frame.depth < 2 - 0.25)
        expected = COLOUR * (0.2 + sun.strength * np.maximum(cosine, 0))
        seen = to_linear(frame.rgba[..., 0] / 255)
        sure = inner & (np.abs(cosine) > 0.15)  # near the terminator, faces shade themselves
        assert sure.sum() > 100 and np.abs(seen - np.minimum(expected, 1))[sure].max() < 0.03
    lone = list(render_instances([("ball/0000", mesh, poses)], optics, params, 0, "", held={("ball/0000", 0)}))
    assert [frame.view for frame in lone] == [1, 2, 3, 4]
    for ours, theirs in zip(lone, frames[1:], strict=True):  # neither earlier views nor their lights leave a trace
        assert np.abs(ours.rgba.astype(int) - theirs.rgba).max() <= 1


def drawn(side: str, count: int = 600):
    poses = cameras.poses(CAMERA.model_copy(update={"views": count}), 0, "0000", "a")
    suns = [light_of(LightParams(side=side), 0, "a", "0000", view, pose) for view, pose in enumerate(poses)]
    ways = np.array([sun.direction for sun in suns])
    eyes = np.array([cameras.camera_centre(pose) for pose in poses])
    return ways / np.linalg.norm(ways, axis=1, keepdims=True), eyes, np.array([sun.strength for sun in suns])


def test_suns_stand_on_the_cameras_side_or_anywhere():
    ways, eyes, strength = drawn("camera")
    assert ((ways * eyes).sum(1) > 0).all() and np.abs(ways.mean(0)).max() < 0.1
    anywhere, _, _ = drawn("any")
    assert 0.4 < ((anywhere * eyes).sum(1) > 0).mean() < 0.6
    share = np.log(strength / 0.4) / np.log(3)  # uniform in the logarithm, from 0.4 to 1.2
    assert np.sort(share) == pytest.approx((np.arange(600) + 0.5) / 600, abs=0.06)
    assert light_of(LightParams(), 0, "a", "1", 3, np.eye(4)) == light_of(LightParams(), 0, "", "a/1", 3, np.eye(4))
