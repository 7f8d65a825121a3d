"""Toy solids with closed-form images and depth: spheres, boxes and cylinders."""

import numpy as np
import torch

from robust3d.data.multiview import Multiview

ALBEDOS = np.array([[0.85, 0.25, 0.2], [0.25, 0.7, 0.3], [0.25, 0.35, 0.85]])
LIGHT = np.array([0.4, 0.8, 0.45]) / np.linalg.norm([0.4, 0.8, 0.45])
FOCAL, DISTANCE = 3.732, 2.732  # of the NMR renders: focal length in half image widths


def camera(azimuth, elevation):
    """World-to-camera of a camera at NMR's distance that looks at the origin, y up."""
    centre = DISTANCE * np.array(
        [np.cos(elevation) * np.sin(azimuth), np.sin(elevation), np.cos(elevation) * np.cos(azimuth)]
    )
    forward = -centre / DISTANCE
    right = np.cross(forward, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation, -rotation @ centre
    return matrix


def trace(kind, size, origins, directions):
    """Distance to the solid (inf for a miss) and its outward normal, for rays (N, 3)."""
    if kind == "sphere":
        return _ball(size[0], origins, directions, [0, 1, 2])
    if kind == "box":
        return _slabs(size, origins, directions, [0, 1, 2])
    distance, normal = _ball(size[0], origins, directions, [0, 2])  # cylinder: its side …
    height = origins[:, 1] + distance * directions[:, 1]
    distance = np.where(np.abs(np.nan_to_num(height, nan=9, posinf=9, neginf=9)) <= size[1], distance, np.inf)
    cap = (np.sign(origins[:, 1]) * size[1] - origins[:, 1]) / directions[:, 1]  # … and the near cap
    at_cap = origins + cap[:, None] * directions
    inside = (np.hypot(at_cap[:, 0], at_cap[:, 2]) <= size[0]) & (cap < distance) & (cap > 0)
    normal[inside] = np.sign(origins[inside, 1])[:, None] * np.array([0.0, 1.0, 0.0])
    return np.where(inside, cap, distance), normal


def _ball(radius, origins, directions, axes):
    o, d = origins[:, axes], directions[:, axes]
    a, b, c = (d * d).sum(1), (o * d).sum(1), (o * o).sum(1) - radius**2
    root = b * b - a * c
    distance = np.where(root > 0, (-b - np.sqrt(np.maximum(root, 0))) / a, np.inf)
    normal = np.zeros_like(origins)
    normal[:, axes] = (o + np.where(np.isfinite(distance), distance, 0)[:, None] * d) / radius
    return distance, normal


def _slabs(half, origins, directions, axes):
    faces = np.stack([(-half - origins) / directions, (half - origins) / directions])
    near, far = faces.min(0), faces.max(0)
    distance, axis = near.max(1), near.argmax(1)
    normal = np.zeros_like(origins)
    rows = np.arange(len(origins))
    normal[rows, axis] = -np.sign(directions[rows, axis])
    return np.where(far.min(1) > distance, distance, np.inf), normal


def draw(objects, views, size_px, seed):
    """Spheres, boxes and cylinders of random size and albedo in random views, Lambert shaded on white."""
    rng = np.random.default_rng(seed)
    intrinsics = np.array([[FOCAL / 2, 0, 0.5], [0, FOCAL / 2, 0.5], [0, 0, 1 / size_px]]) * size_px
    column, row = np.meshgrid(np.arange(size_px) + 0.5, np.arange(size_px) + 0.5)
    pixels = np.stack([column, row, np.ones_like(row)], -1).reshape(-1, 3) @ np.linalg.inv(intrinsics).T
    out = {name: [] for name in ("images", "masks", "depth", "cameras")}
    for number in range(objects):
        kind = ("sphere", "box", "cylinder")[number % 3]
        extents, albedo = rng.uniform(0.18, 0.4, 3), ALBEDOS[rng.integers(3)]
        for _ in range(views):
            matrix = camera(rng.uniform(0, 2 * np.pi), np.deg2rad(rng.uniform(10, 50)))
            rotation = matrix[:3, :3]
            origins = np.broadcast_to(-rotation.T @ matrix[:3, 3], pixels.shape)
            directions = pixels @ rotation  # advance camera z by one
            depth, normal = trace(kind, extents, origins, directions)
            hit = np.isfinite(depth)
            shade = 0.35 + 0.65 * np.clip(normal @ LIGHT, 0, 1)
            colour = np.where(hit[:, None], np.clip(albedo * shade[:, None], 0, 1), 1.0)
            grid = (size_px, size_px)
            out["images"].append(np.round(colour * 255).astype(np.uint8).reshape(*grid, 3))
            out["masks"].append(hit.reshape(grid))
            out["depth"].append(np.where(hit, depth, np.inf).reshape(grid))
            out["cameras"].append(matrix)

    def stacked(name, dtype):
        array = np.stack(out[name])
        return torch.from_numpy(array.reshape(objects, views, *array.shape[1:])).to(dtype)

    images = stacked("images", torch.uint8).movedim(-1, 2).contiguous()
    return Multiview(
        inputs=images,
        targets=images,
        masks=stacked("masks", torch.bool),
        depth=stacked("depth", torch.float32),
        world_to_camera=stacked("cameras", torch.float32),
        intrinsics=torch.from_numpy(intrinsics).float().expand(objects, views, 3, 3).clone(),
        class_index=torch.arange(objects) % 3,
        names=[f"solid/{seed}-{number}" for number in range(objects)],
    )
