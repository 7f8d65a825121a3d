"""A small family rendered by a ray caster that shares no code with ours but the camera convention's matrices."""

from pathlib import Path

import numpy as np
import pytest
import trimesh
from trimesh.ray.ray_pyembree import RayMeshIntersector

from robust3d import cameras
from robust3d.data.frame import Frame
from robust3d.data.manifest import Shard, Views
from robust3d.data.shards import write_shard
from robust3d.shapes import categories

CLASSES = ("airplane", "chair")
EXTENT = 1.5


def cast(mesh, pose, intrinsics, side, instance="a", view=0):
    """A frame of a mesh; colours from the face numbers, so that pictures differ."""
    caster = RayMeshIntersector(trimesh.Trimesh(mesh.vertices, mesh.faces, process=False))
    rows, columns = np.mgrid[:side, :side]
    local = np.stack([columns + 0.5, rows + 0.5, np.ones((side, side))], -1) @ np.linalg.inv(intrinsics).T
    rays = local.reshape(-1, 3) @ pose[:3, :3]  # unit camera z, in the world
    origin = -pose[:3, :3].T @ pose[:3, 3]
    hits, index, _ = caster.intersects_location(np.broadcast_to(origin, rays.shape), rays, multiple_hits=False)
    depth = np.full(side * side, np.inf, np.float32)
    depth[index] = (hits @ pose[:3, :3].T + pose[:3, 3])[:, 2]
    depth = depth.reshape(side, side)
    mask = np.isfinite(depth)
    rgba = np.zeros((side, side, 4), np.uint8)
    rgba[mask] = np.stack([rows % 200, columns % 200, (rows * columns) % 200, np.full_like(rows, 255)], -1)[mask]
    return Frame(instance, view, rgba, mask, depth, pose, intrinsics)


@pytest.fixture(scope="session")
def caster():
    return cast


@pytest.fixture(scope="session")
def meshes():
    """Meshes by (class, instance), in a cube of side EXTENT."""
    params = categories.Params(classes=CLASSES, instances=3)
    return {
        (name, key): categories.build(params, 0, name, key).scaled((EXTENT,) * 3)
        for name in CLASSES
        for key in categories.instance_ids(params, 0)
    }


@pytest.fixture(scope="session")
def family(tmp_path_factory, meshes):
    """(manifest, frames by (class, instance)) of 2 classes, 3 instances, 8 views of 48 px."""
    folder = tmp_path_factory.mktemp("family")
    camera = cameras.CameraParams(views=8, radius=2.732 * EXTENT, fov_deg=32.0)
    intrinsics = cameras.intrinsics(camera, 48)
    frames, shards = {}, []
    for name in CLASSES:
        mine = []
        for (owner, key), mesh in meshes.items():
            if owner == name:
                poses = cameras.poses(camera, 3)
                frames[name, key] = [cast(mesh, pose, intrinsics, 48, key, i) for i, pose in enumerate(poses)]
                mine += frames[name, key]
        path = folder / f"{name}.h5"
        entry = write_shard(path, iter(mine), class_name=name, resolution_px=48, extent=EXTENT)
        shards.append(Shard(str(path), {name: tuple(entry["instances"])}, entry["sha256"], entry["bytes"]))
    splits = {"train": ("0000",), "val": ("0001",), "test": ("0002",)}
    return Views("small", CLASSES, 8, 48, EXTENT, splits, tuple(shards)), frames


@pytest.fixture(scope="session")
def many_views(meshes) -> list[Frame]:
    """24 views of one chair from all sides, 48 px."""
    camera = cameras.CameraParams(views=24, radius=2.732 * EXTENT, fov_deg=32.0)
    optics = cameras.intrinsics(camera, 48)
    return [cast(meshes["chair", "0000"], pose, optics, 48, view=i) for i, pose in enumerate(cameras.poses(camera, 3))]


@pytest.fixture(scope="session")
def exported(tmp_path_factory, family) -> dict[str, Path]:
    """The family in both layouts; not to be written to."""
    from robust3d.data.published.export import export_views

    root = tmp_path_factory.mktemp("exported")
    for layout in ("dvr", "srn"):
        assert export_views(family[0], root / layout, layout) == 6
    return {layout: root / layout for layout in ("dvr", "srn")}
