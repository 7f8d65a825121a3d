"""What is exported lies between the planes from which pixelNeRF's loaders sample rays, up to a recorded scale."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robust3d.data.manifest import Shard, Views
from robust3d.data.published import nmr, srn
from robust3d.data.published.export import export_views
from robust3d.data.published.scaling import planes_of, scales_of
from robust3d.data.shards import write_shard


def family(folder, classes, extent=1.0):
    """A manifest of classes of one object each; classes: frames by name."""
    shards = []
    for name, frames in classes.items():
        entry = write_shard(folder / f"{name}.h5", frames, class_name=name, resolution_px=64, extent=extent)
        path, ids = str(folder / f"{name}.h5"), tuple(entry["instances"])
        shards.append(Shard(path, {name: ids}, entry["sha256"], entry["bytes"]))
    ids = tuple(sorted({instance for shard in shards for held in shard.instances.values() for instance in held}))
    return Views("balls", tuple(classes), 6, 64, extent, {"all": ids}, tuple(shards))


def distances(frames):
    """Of the surface that is seen, by hand: depth times the length of the ray with unit z."""
    found = []
    for frame in frames:
        rows, columns = np.nonzero(frame.mask)
        x = (columns + 0.5 - frame.intrinsics[0, 2]) / frame.intrinsics[0, 0]
        y = (rows + 0.5 - frame.intrinsics[1, 2]) / frame.intrinsics[1, 1]
        found.append(frame.depth[frame.mask] * np.sqrt(1 + x**2 + y**2))
    return np.concatenate(found)


def recorded(root):
    content = json.loads((root / "scale.json").read_text())
    assert content["format"] == "robust3d-scale-1"
    return {name: one for one in content["scales"] for name in one["classes"]}


def test_far_objects_come_nearer_and_their_export_reads_back_up_to_the_scale(balls, tmp_path):
    frames = balls.ball(0.4, 4.3)
    views, told = family(tmp_path, {"cone": frames}), []
    export_views(views, tmp_path / "out", "dvr", note=told.append)
    one = recorded(tmp_path / "out")["cone"]
    scale = one["scale"]
    assert scale == pytest.approx(4.0 / 4.7, rel=1e-3)  # the far side of the ball comes to the far plane
    assert (one["near"], one["far"], one["outside"]) == (1.2, 4.0, 0.0)
    assert one["nearest"] == pytest.approx(scale * 3.9, rel=1e-3) and one["farthest"] == pytest.approx(4.0)
    assert told == [f"lengths of cone are multiplied by {scale:.4g}, see README.md"]
    readme = (tmp_path / "out/README.md").read_text()
    assert f"multiplied by {scale:.9g}" in readme and "from 1.2 to 4" in readme
    back = nmr.read_instance(tmp_path / "out/cone/a", "a")
    assert distances(frames).max() > 4.0 > distances(back).max() and distances(back).min() > 1.2
    for mine, theirs in zip(frames, back, strict=True):
        pose = mine.world_to_camera.copy()
        pose[:3, 3] *= scale
        np.testing.assert_allclose(theirs.world_to_camera, pose, atol=1e-12)
        np.testing.assert_allclose(theirs.depth, mine.depth * scale, rtol=1e-6)
        np.testing.assert_array_equal(theirs.mask, mine.mask)
        np.testing.assert_array_equal(theirs.rgba, mine.rgba)
    hull = nmr.read_exr_depth(tmp_path / "out/cone/a/visual_hull_depth/0000.exr")
    both = np.isfinite(hull) & frames[0].mask
    assert both.sum() > 0.9 * frames[0].mask.sum()
    assert np.median(np.abs(hull[both] - scale * frames[0].depth[both])) < 0.1  # unscaled: more than 0.5


def test_each_class_of_an_srn_export_fits_the_planes_of_the_loader_that_its_name_chooses(balls, tmp_path):
    frames = balls.ball(0.35, 2.732)
    views = family(tmp_path, {"chairlift": frames, "cone": frames, "cube": frames})
    export_views(views, tmp_path / "out", "srn", note=lambda text: None)
    scales = recorded(tmp_path / "out")
    assert scales["cone"] == scales["cube"] and scales["cone"]["scale"] == pytest.approx(1.8 / 3.082, rel=1e-3)
    assert scales["chairlift"]["scale"] == pytest.approx(2.75 / 3.082, rel=1e-3)
    for name, (near, far) in (("chairlift", (1.25, 2.75)), ("cone", (0.8, 1.8))):
        scale = scales[name]["scale"]
        back = srn.read_instance(tmp_path / f"out/{name}_train/a", "a")
        for mine, theirs in zip(frames, back, strict=True):
            pose = mine.world_to_camera.copy()
            pose[:3, 3] *= scale
            np.testing.assert_allclose(theirs.world_to_camera, pose, atol=1e-12)
        seen = scale * distances(frames)
        assert near < seen.min() and seen.max() < far
    readme = (tmp_path / "out/README.md").read_text()
    assert "chairlift: " in readme and "from 1.25 to 2.75" in readme and "cone, cube: " in readme


def test_srns_own_sets_need_no_scale(balls):
    assert scales_of("srn", [("cars", balls.ball(0.45, 1.3))])["cars"].scale == 1.0
    assert scales_of("srn", [("chairs", balls.ball(0.45, 2.0))])["chairs"].scale == 1.0
    assert scales_of("dvr", [("chair", balls.ball(0.45, 2.732))])["chair"].scale == 1.0


def test_unknown_depth_is_scaled_by_the_hull(balls):
    frames = balls.ball(0.35, 2.732)
    unknown = [type(f)(**vars(f) | {"depth": np.where(f.mask, np.float32(np.nan), np.float32(np.inf))}) for f in frames]
    scale = scales_of("srn", [("cone", unknown)])["cone"]
    assert scale.scale == pytest.approx(1.8 / 3.1, rel=0.06) and scale.outside == 0


def test_in_dvrs_layout_nothing_leaves_the_cube_and_what_stays_outside_is_said(balls, tmp_path):
    near = scales_of("dvr", [("cone", balls.ball(0.3, 1.0))])["cone"]
    assert near.scale == 1.0  # 1.7 would fit, and bring the ball out of the cube
    assert near.outside == pytest.approx(1.0, abs=1e-6) and "No scale fits: 100.00% of the surface" in near.warning()
    part = scales_of("dvr", [("cone", balls.ball(0.3, 1.4))])["cone"]
    assert part.scale == 1.0 and part.outside == pytest.approx(balls.share_before(1.2, 0.3, 1.4), abs=0.03)
    large = scales_of("dvr", [("cone", balls.ball(0.8, 3.5))])["cone"]
    assert large.scale == pytest.approx(0.5 / 0.8, rel=1e-2) and large.reach <= 0.5 + 1e-9 and large.outside == 0
    told = []
    export_views(family(tmp_path, {"cone": balls.ball(0.3, 1.0)}), tmp_path / "out", "dvr", note=told.append)
    assert "No scale fits: 100.00%" in told[0] and "No scale fits" in (tmp_path / "out/README.md").read_text()
    wide = scales_of("srn", [("cone", balls.ball(0.3, 0.6))])["cone"]
    assert wide.scale > 1 and wide.reach == pytest.approx(0.3 * wide.scale, rel=1e-2)


@given(radius=st.floats(0.1, 0.49), ratio=st.floats(1.6, 9), layout=st.sampled_from(["dvr", "srn"]))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_fits_is_brought_between_the_planes(radius, ratio, layout, balls):
    distance = radius * ratio
    frames = balls.ball(radius, distance, side=24, views=2, focal=0.4)
    for name in ("cone", "armchair"):
        near, far = planes_of(layout, name)
        scale = scales_of(layout, [(name, frames)])[name]
        seen = scale.scale * distances(frames)
        low, high = distances(frames).min(), distance + radius
        if far / near > high / low and (layout == "srn" or near / low <= 1):
            assert near * (1 - 1e-6) <= seen.min() and seen.max() <= far * (1 + 1e-6)
            assert scale.outside == 0 and not scale.warning().startswith(" No scale")
        assert layout == "srn" or scale.scale <= 1
        inside = (seen >= near * (1 - 1e-6)) & (seen <= far * (1 + 1e-6))
        assert scale.outside == pytest.approx(1 - inside.mean(), abs=1e-3)


def test_blank_views_in_an_export_are_named(balls, tmp_path):
    frames = balls.ball(0.4, 2.732)
    gone = frames[2]
    frames[2] = type(gone)(**vars(gone) | {"mask": gone.mask & False, "rgba": gone.rgba * 0})
    told = []
    export_views(family(tmp_path, {"cone": frames}), tmp_path / "out", "dvr", visual_hull=False, note=told.append)
    assert told == ["1 of 6 views are blank, at which pixelNeRF's loader stops: cone/a view 2"]
    assert told[0] in (tmp_path / "out/README.md").read_text()
