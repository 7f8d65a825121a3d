"""The one camera convention, poses on the sphere, and converters to DVR, SRN and pixelNeRF.

Cameras are OpenCV's: x right, y down, z forward, `world_to_camera` 4x4, intrinsics in pixels; the centre of
pixel (row i, column j) is the image point (j + 0.5, i + 0.5); depth is camera z. The world's y points up.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, model_validator

from robust3d.params import Params
from robust3d.seeds import numpy_generator

Array = NDArray[np.float64]

NMR_AZIMUTHS = 24  # the NMR renders stand 15 degrees apart
_DEFAULT_FOV_DEG = {"sphere": 60.0, "nmr": 30.0, "fixed": 60.0}  # nmr: focal length 3.732 = 1 / tan 15 deg
_Y_DOWN_Z_FORWARD = np.diag([1.0, -1.0, -1.0, 1.0])  # OpenCV camera axes <-> OpenGL camera axes
_Y_UP_TO_Z_UP = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])  # pixelNeRF's DVR loader


class CameraParams(Params):
    """Where the cameras of a family of objects stand; they all look at the origin."""

    protocol: Literal["sphere", "nmr", "fixed"] = "sphere"  # uniform on the sphere | a ring like the NMR renders | all
    # views from one place
    views: int = Field(default=24, ge=1, le=10_000)  # images of an object; nmr: a divisor of 24
    poses: Literal["shared", "per_instance", "per_object"] = "shared"  # shared: the same for all (Geon3D §3); per
    # instance id: the same for all classes; per_object: each object of each class has its own
    radius: float = Field(default=2.732, gt=0)  # distance of the camera from the origin, world units
    fov_deg: float | None = Field(default=None, gt=1, lt=150)  # full angle of view; None: nmr 30, else 60
    elevation_deg: float = Field(default=30.0, ge=-90, le=90)  # nmr, fixed: height of the ring or place
    azimuth_deg: float = Field(default=0.0, ge=-180, le=180)  # nmr, fixed: of the first view; the renders have 0

    @model_validator(mode="after")
    def _even_ring(self) -> "CameraParams":
        if self.protocol == "nmr" and NMR_AZIMUTHS % self.views:
            raise ValueError(f"views: the nmr protocol takes a divisor of {NMR_AZIMUTHS}, not {self.views}")
        if self.protocol != "sphere" and self.poses != "shared":
            what = "nmr ring" if self.protocol == "nmr" else "fixed place"
            raise ValueError(f"poses: the {what} is the same for every object; use 'shared'")
        return self

    @property
    def angle_of_view_deg(self) -> float:
        """The full angle of view that is used, in degrees."""
        return _DEFAULT_FOV_DEG[self.protocol] if self.fov_deg is None else self.fov_deg


def poses(params: CameraParams, seed: int, instance: str = "", class_name: str = "") -> Array:
    """World-to-camera matrices of one object's views.

    A shared pose depends on (seed, view) only, so more views leave the earlier ones as they are.

    Args:
        params: "sphere" draws normalised Gaussians (uniform on the sphere), "nmr" stands on a ring, "fixed" still.
        seed: Seed of the study.
        instance: Id of the object; matters for poses of its own only.
        class_name: Its class; matters for poses per object only.

    Returns:
        (V, 4, 4) world_to_camera.
    """
    if params.protocol != "sphere":
        turn = 2 * np.pi if params.protocol == "nmr" else 0.0
        azimuth = turn * np.arange(params.views) / params.views + np.deg2rad(params.azimuth_deg)
        elevation = np.full(params.views, np.deg2rad(params.elevation_deg))
        flat = np.cos(elevation)
        directions = np.stack([flat * np.sin(azimuth), np.sin(elevation), -flat * np.cos(azimuth)], axis=-1)
        return look_at(params.radius * directions)
    owner = {"shared": "", "per_instance": instance, "per_object": f"{class_name}/{instance}"}[params.poses]
    drawn = [numpy_generator(seed, "pose", owner, view).normal(size=3) for view in range(params.views)]
    directions = np.stack(drawn)
    return look_at(params.radius * directions / np.linalg.norm(directions, axis=-1, keepdims=True))


def intrinsics(params: CameraParams, resolution_px: int) -> Array:
    """(3, 3) intrinsics in pixels of a square image with the principal point in its middle."""
    half = resolution_px / 2
    focal_px = half / np.tan(np.deg2rad(params.angle_of_view_deg) / 2)
    return np.array([[focal_px, 0, half], [0, focal_px, half], [0, 0, 1.0]])


def look_at(eyes: ArrayLike, target: ArrayLike = (0, 0, 0), up: ArrayLike = (0, 1, 0)) -> Array:
    """World-to-camera matrices of cameras at `eyes` that look at `target` with `up` upwards in the image.

    Args:
        eyes: (..., 3) camera centres.
        target: (3,) point that all look at.
        up: (3,) up direction; a camera that looks along it takes another axis instead.

    Returns:
        (..., 4, 4) world_to_camera.
    """
    eyes = np.asarray(eyes, dtype=np.float64)
    forward = np.asarray(target, dtype=np.float64) - eyes
    distance = np.linalg.norm(forward, axis=-1, keepdims=True)
    if np.any(distance < 1e-9):
        raise ValueError("a camera is at the point that it looks at")
    forward = forward / distance
    up = np.asarray(up, dtype=np.float64) / np.linalg.norm(up)
    fallback = np.roll(up, 1)  # not parallel to `up` for the axes that are used as `up`
    parallel = np.abs(forward @ up)[..., None] > 1 - 1e-8
    right = np.cross(forward, np.where(parallel, fallback, up))
    right /= np.linalg.norm(right, axis=-1, keepdims=True)
    rotation = np.stack([right, np.cross(forward, right), forward], axis=-2)
    result = np.zeros((*eyes.shape[:-1], 4, 4))
    result[..., :3, :3] = rotation
    result[..., :3, 3] = -np.einsum("...ij,...j->...i", rotation, eyes)
    result[..., 3, 3] = 1
    return result


def camera_centre(world_to_camera: Array) -> Array:
    """(..., 3) camera centres in the world."""
    return -np.einsum("...ji,...j->...i", world_to_camera[..., :3, :3], world_to_camera[..., :3, 3])


def project(points: Array, world_to_camera: Array, intrinsics: Array) -> tuple[Array, Array]:
    """Image points and depths of world points.

    Args:
        points: (..., P, 3) world points.
        world_to_camera: (..., 4, 4).
        intrinsics: (..., 3, 3) in pixels.

    Returns:
        (..., P, 2) image points (x right, y down, px) and (..., P) camera-z depths.
    """
    turned = points @ np.swapaxes(world_to_camera[..., :3, :3], -1, -2)
    camera = turned + world_to_camera[..., None, :3, 3]
    image = camera @ np.swapaxes(intrinsics, -1, -2)
    return image[..., :2] / image[..., 2:], camera[..., 2]


def unproject(image_points: Array, depth: Array, world_to_camera: Array, intrinsics: Array) -> Array:
    """World points (..., P, 3) seen at image points (..., P, 2) in px with camera-z depth (..., P)."""
    homogeneous = np.concatenate([image_points, np.ones_like(image_points[..., :1])], axis=-1)
    camera = depth[..., None] * (homogeneous @ np.swapaxes(np.linalg.inv(intrinsics), -1, -2))
    return (camera - world_to_camera[..., None, :3, 3]) @ world_to_camera[..., :3, :3]


def pixel_centres(height_px: int, width_px: int) -> Array:
    """(H, W, 2) image points (x, y) of the pixel centres."""
    rows, columns = np.mgrid[:height_px, :width_px]
    return np.stack([columns + 0.5, rows + 0.5], axis=-1)


def pixel_at(image_points: ArrayLike) -> NDArray[np.int64]:
    """(..., 2) row and column of the pixel that holds each image point (..., 2)."""
    return np.floor(np.asarray(image_points)[..., ::-1]).astype(np.int64)


def rays(world_to_camera: Array, intrinsics: Array, height_px: int, width_px: int) -> tuple[Array, Array]:
    """Rays through the pixel centres of one image.

    Returns:
        (3,) origin and (H, W, 3) directions whose length makes the ray parameter equal to camera-z depth.
    """
    centres = pixel_centres(height_px, width_px).reshape(-1, 2)
    ends = unproject(centres, np.ones(len(centres)), world_to_camera, intrinsics)
    origin = camera_centre(world_to_camera)
    return origin, (ends - origin).reshape(height_px, width_px, 3)


def cube_interval(origins: Array, directions: Array, half_size: float) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Where rays are inside the cube [-half_size, half_size]^3 (slab method).

    Args:
        origins: (..., 3), broadcast against the directions.
        directions: (..., 3), of any length; the interval is in units of it.
        half_size: Half the side of the cube.

    Returns:
        (...,) near (at least 0), (...,) far, (...,) whether the ray meets the cube ahead of its origin.
    """
    origins, directions = np.broadcast_arrays(origins, directions + 0.0)  # + 0.0 makes -0.0 positive
    with np.errstate(divide="ignore", invalid="ignore"):
        first = (-half_size - origins) / directions
        second = (half_size - origins) / directions
    first = np.where(np.isnan(first), -np.inf, first)  # 0/0: the ray runs inside a face, which excludes nothing
    second = np.where(np.isnan(second), np.inf, second)
    entry = np.minimum(first, second).max(axis=-1)
    exit_ = np.maximum(first, second).min(axis=-1)
    near = np.maximum(entry, 0.0)
    return near, exit_, near < exit_


def opengl(world_to_camera: Array) -> Array:
    """(..., 4, 4) camera-to-world of a camera with OpenGL's and Blender's axes (y up, looking along -z)."""
    return np.linalg.inv(world_to_camera) @ _Y_DOWN_Z_FORWARD


def from_opengl(camera_to_world: Array) -> Array:
    """(..., 4, 4) world_to_camera of an OpenGL camera-to-world matrix; inverse of `opengl`."""
    return np.linalg.inv(camera_to_world @ _Y_DOWN_Z_FORWARD)


def _ndc(resolution_px: int) -> Array:
    """(3, 3) from image points in px to DVR's [-1, 1], where (-1, -1) is the image's top left corner."""
    return np.array([[2 / resolution_px, 0, -1], [0, 2 / resolution_px, -1], [0, 0, 1.0]])


def to_dvr(world_to_camera: Array, intrinsics: Array, resolution_px: int, extent: float = 1.0) -> dict[str, Array]:
    """Contents of DVR's ``cameras.npz``: image = camera_mat @ world_mat @ scale_mat @ point.

    Args:
        world_to_camera: (V, 4, 4).
        intrinsics: (3, 3) in pixels.
        resolution_px: Side of the square images.
        extent: Side of the origin-centred cube that holds the objects; DVR sees it as [-0.5, 0.5]^3.

    Returns:
        Keys world_mat_i, camera_mat_i, scale_mat_i and their *_inv_i, each (4, 4).
    """
    camera_mat = np.eye(4)
    camera_mat[:3, :3] = _ndc(resolution_px) @ intrinsics
    scale_mat = np.diag([extent, extent, extent, 1.0])
    result = {}
    for view, world_mat in enumerate(world_to_camera):
        for name, matrix in (("world", world_mat), ("camera", camera_mat), ("scale", scale_mat)):
            result[f"{name}_mat_{view}"] = np.array(matrix, dtype=np.float64)
            result[f"{name}_mat_inv_{view}"] = np.linalg.inv(matrix)
    return result


def from_dvr(cameras: Mapping[str, ArrayLike], resolution_px: int) -> tuple[Array, Array, Array]:
    """Cameras out of DVR's ``cameras.npz``.

    Returns:
        (V, 4, 4) world_to_camera, (V, 3, 3) intrinsics in pixels, (V, 4, 4) scale_mat (identity if absent).

    Raises:
        ValueError: If a world_mat is no rigid motion, as in DVR's DTU files, which hide the intrinsics in it.
    """
    world: list[Array] = []
    camera: list[Array] = []
    scale: list[Array] = []
    while f"world_mat_{len(world)}" in cameras:
        view = len(world)
        world_mat = np.eye(4)
        given = np.asarray(cameras[f"world_mat_{view}"], dtype=np.float64)
        world_mat[: len(given)] = given
        rotation = world_mat[:3, :3]
        if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-4):
            raise ValueError(f"world_mat_{view} is not a rotation and a translation")
        camera_mat = np.asarray(cameras[f"camera_mat_{view}"], dtype=np.float64)
        world.append(world_mat)
        camera.append(np.linalg.inv(_ndc(resolution_px)) @ camera_mat[:3, :3])
        scale.append(np.asarray(cameras.get(f"scale_mat_{view}", np.eye(4)), dtype=np.float64))
    if not world:
        raise ValueError("there is no world_mat_0 among the cameras")
    return np.stack(world), np.stack(camera), np.stack(scale)


def to_srn(world_to_camera: Array, intrinsics: Array, resolution_px: int) -> tuple[str, Array]:
    """Text of SRN's ``intrinsics.txt`` and (V, 4, 4) OpenCV camera-to-world matrices of ``pose/*.txt``."""
    if abs(intrinsics[0, 0] - intrinsics[1, 1]) > 1e-9:
        raise ValueError("SRN has one focal length, these intrinsics have two")
    focal, centre_x, centre_y = (float(intrinsics[k]) for k in ((0, 0), (0, 2), (1, 2)))
    text = f"{focal!r} {centre_x!r} {centre_y!r} 0.\n0. 0. 0.\n0.\n1.\n{resolution_px} {resolution_px}\n"
    return text, np.linalg.inv(world_to_camera)


def from_srn(intrinsics_text: str, camera_to_world: Array) -> tuple[Array, Array, int]:
    """(V, 4, 4) world_to_camera, (3, 3) intrinsics in pixels and resolution; inverse of `to_srn`."""
    lines = intrinsics_text.split("\n")
    focal, centre_x, centre_y = (float(word) for word in lines[0].split()[:3])
    height, width = (int(float(word)) for word in intrinsics_text.rstrip().split("\n")[-1].split())
    if height != width:
        raise ValueError(f"SRN images of {height} x {width} px are not square")
    matrix = np.array([[focal, 0, centre_x], [0, focal, centre_y], [0, 0, 1.0]])
    return np.linalg.inv(camera_to_world), matrix, height


def to_pixelnerf(world_to_camera: Array, intrinsics: Array, z_up: bool = True) -> tuple[Array, float, Array]:
    """Cameras as pixelNeRF holds them in memory.

    Args:
        world_to_camera: (V, 4, 4).
        intrinsics: (3, 3) in pixels.
        z_up: Turn the world so that z is up, as pixelNeRF's loader of DVR's data does (its SRN one does not).

    Returns:
        (V, 4, 4) OpenGL camera-to-world, focal length in pixels, and (2,) principal point in pixels.
    """
    if abs(intrinsics[0, 0] - intrinsics[1, 1]) > 1e-9:
        raise ValueError("pixelNeRF has one focal length, these intrinsics have two")
    turn = _Y_UP_TO_Z_UP if z_up else np.eye(4)
    return turn @ opengl(world_to_camera), float(intrinsics[0, 0]), intrinsics[:2, 2].copy()


def from_pixelnerf(
    camera_to_world: Array, focal_px: float, centre_px: ArrayLike, z_up: bool = True
) -> tuple[Array, Array]:
    """(V, 4, 4) world_to_camera and (3, 3) intrinsics in pixels; inverse of `to_pixelnerf`."""
    turn = _Y_UP_TO_Z_UP if z_up else np.eye(4)
    centre_x, centre_y = np.asarray(centre_px, dtype=np.float64)
    matrix = np.array([[focal_px, 0, centre_x], [0, focal_px, centre_y], [0, 0, 1.0]])
    return from_opengl(np.linalg.inv(turn) @ camera_to_world), matrix
