"""Rendered classes of ProcSynthDB are told apart from one view by simple descriptors of their shape."""

import itertools

import numpy as np
import pytest

from robust3d import cameras
from robust3d.rendering.params import RenderParams
from robust3d.rendering.pool import render_instances
from robust3d.shapes import procsynth


def looks(frame):
    """Of a view, what does not change when it is turned: area, border, axes, distances, rings, and its depths."""
    rows, columns = np.nonzero(frame.mask)
    y, x = rows - rows.mean(), columns - columns.mean()
    axes = np.sqrt(np.linalg.eigvalsh(np.cov(np.stack([x, y]))))
    border = (frame.mask[1:] != frame.mask[:-1]).sum() + (frame.mask[:, 1:] != frame.mask[:, :-1]).sum()
    away, angle = np.hypot(x, y), np.arctan2(y, x)
    found = [len(x), border, border / np.sqrt(len(x)), *axes, *np.quantile(away, np.linspace(0.05, 1, 12))]
    for low, high in itertools.pairwise(np.array([0, 0.1, 0.2, 0.3, 0.45]) * len(frame.mask)):
        ring = np.histogram(angle[(away >= low) & (away < high)], 24, (-np.pi, np.pi))[0]
        found += [*np.abs(np.fft.fft(ring))[:6]]
    depths = frame.depth[frame.mask]
    return [*found, *np.quantile(depths - np.median(depths), [0.05, 0.25, 0.75, 0.95])]


def share_right(classes):
    """How often a view's nearest among one other view of each class is that of its own class."""
    params = procsynth.Params(meshes=classes, stretch=(1.0,))
    meshes, _ = procsynth.build_all(params, 0)
    camera = cameras.CameraParams(protocol="sphere", poses="per_object", views=2, radius=2.0, fov_deg=30.0)
    requests = (
        (name, mesh, cameras.poses(camera, 0, name.partition("/")[2], name.partition("/")[0]))
        for name, mesh in meshes.items()
    )
    optics = cameras.intrinsics(camera, 64)
    frames = list(render_instances(requests, optics, RenderParams(resolution_px=64, samples=1), 0, "", workers=2))
    assert [frame.view for frame in frames[:4]] == [0, 1, 0, 1] and len(frames) == 2 * classes
    found = np.array([looks(frame) for frame in frames]).reshape(classes, 2, -1)
    known, seen = np.moveaxis((found - found.mean((0, 1))) / found.std((0, 1)), 1, 0)
    return float(np.mean([((known - one) ** 2).sum(1).argmin() == k for k, one in enumerate(seen)]))


@pytest.mark.slow
def test_1000_classes_are_told_apart_20_times_as_often_as_by_chance():
    assert share_right(1000) >= 20 / 1000
