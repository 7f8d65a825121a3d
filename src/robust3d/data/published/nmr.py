"""Reads DVR's layout: the NMR renders of ShapeNet (Kato et al., 2018) as DVR's authors published them, and one's own.

``<root>/<synset>/<object>/{image,mask}/*.png``, ``cameras.npz`` and, where they are, ``depth/*.exr`` or
``visual_hull_depth/*.exr``; lists ``<root>/<synset>/{softras_train,…}.lst`` or ``{train,…}.lst`` (3D-R2N2).
"""

import os
import re
from pathlib import Path

import numpy as np

from robust3d.cameras import from_dvr
from robust3d.data.frame import Frame
from robust3d.data.params import SPLITS
from robust3d.data.published.files import MIB, read_exr_depth, read_npz
from robust3d.data.published.inventory import (
    Entry,
    Inventory,
    Missing,
    check_id,
    check_missing,
    root_folder,
    sub_folders,
)
from robust3d.data.published.params import SYNSETS, NMRParams
from robust3d.data.published.text import read_lines
from robust3d.data.published.views import chosen_views, frame_of, matrix, numbered_files, read_square, rgb, rigid
from robust3d.errors import UserError

LISTS = {"softras": "softras_{}.lst", "choy": "{}.lst"}
_CAMERAS_BYTES = 64 * MIB


def class_folder(root: Path, name: str) -> Path:
    """The folder of a class: named by its synset as published, or by its name as we export it.

    Raises:
        Missing: neither is there.
    """
    folders = [root / folder for folder in (SYNSETS.get(name), name) if folder]
    for folder in folders:
        if folder.is_dir():
            return folder
    raise Missing("nmr", f"{root}: no folder {' or '.join(folder.name for folder in folders)} for class {name!r}")


def take_inventory(root: str | Path, params: NMRParams) -> Inventory:
    """List the objects and their published division; no image is opened.

    Raises:
        Missing: the folder, a class, a list or an object is not there.
        UserError: a list is damaged.
    """
    root = root_folder(root, "nmr")
    inventory = Inventory("nmr", {})
    for name in params.classes:
        folder = class_folder(root, name)
        if params.split == "random":
            parts = {"all": _objects(folder)[: params.instances]}
        else:
            parts = {part: ids[: params.instances] for part, ids in _published(folder, params.split).items()}
        found: dict[str, Entry] = {}
        absent = []
        for key in sorted(key for ids in parts.values() for key in ids):
            try:
                size = os.stat(folder / key / "cameras.npz").st_size
            except OSError:
                absent.append(key)
            else:
                found[key] = Entry(f"{folder.name}/{key}", size)
        inventory.classes[name] = found
        if params.split != "random":
            inventory.splits[name] = {part: tuple(key for key in ids if key in found) for part, ids in parts.items()}
        if absent:
            inventory.missing[name] = tuple(absent)
    return check_missing(inventory, params.missing, root)


def _objects(folder: Path) -> list[str]:
    return [name for name in sub_folders(folder) if (folder / name / "cameras.npz").is_file()]


def _published(folder: Path, split: str) -> dict[str, list[str]]:
    """Sorted ids of each part of the published division."""
    parts: dict[str, list[str]] = {}
    for part in SPLITS:
        path = folder / LISTS[split].format(part)
        if not path.is_file():
            raise Missing("nmr", f"{path}: no such list (split: {split}; split: random needs none)")
        parts[part] = sorted({check_id(line, path) for line in read_lines(path)})
    owner: dict[str, str] = {}
    for part, ids in parts.items():
        for key in ids:
            if owner.setdefault(key, part) != part:
                raise UserError(f"{folder}: the {split} lists put {key} into both {owner[key]} and {part}")
    return parts


def read_instance(folder: str | Path, instance_id: str, views: int | None = None) -> list[Frame]:
    """The views of one object.

    Args:
        folder: of the object.
        instance_id: the id that its frames bear.
        views: how many, evenly spaced among those there; None: all.

    Returns:
        Frames in the order of the files; the world is the unit cube in which DVR trains.

    Raises:
        UserError: a file is missing, damaged, or does not go with the others.
    """
    folder = Path(folder)
    images, masks = (numbered_files(folder / name, (".png",)) for name in ("image", "mask"))
    if len(images) != len(masks):
        raise UserError(f"{folder}: {len(images)} files in image/ but {len(masks)} in mask/; unpack the data set again")
    chosen = chosen_views(folder, len(images), views)
    cameras = read_cameras(folder / "cameras.npz")
    if len(cameras["world_mat"]) < len(images):
        raise UserError(
            f"{folder / 'cameras.npz'}: {len(cameras['world_mat'])} cameras for {len(images)} images; "
            "every image needs world_mat_i and camera_mat_i"
        )
    depths = depth_files(folder, len(images))
    frames: list[Frame] = []
    side = None
    for number in chosen:
        picture = rgb(read_square(images[number], side))
        side = len(picture)
        mask = read_square(masks[number], side)[..., 0] > 0
        pose, intrinsics, distance = view_camera(cameras, number, side, folder / "cameras.npz")
        depth = None
        if depths:
            depth = read_exr_depth(depths[number])
            if depth.shape != mask.shape:
                raise UserError(f"{depths[number]}: {depth.shape} px, but the images have {mask.shape}")
            depth = depth / distance
        frames.append(frame_of(instance_id, len(frames), picture, mask, depth, pose, intrinsics))
    return frames


def depth_files(folder: Path, images: int) -> list[Path]:
    """Depth maps of the surface if there are any, else those of the visual hull, else none.

    Raises:
        UserError: fewer than images.
    """
    for name in ("depth", "visual_hull_depth"):
        files = numbered_files(folder / name, (".exr",))
        if files and len(files) != images:
            raise UserError(f"{folder / name}: {len(files)} depth maps for {images} images; unpack the data set again")
        if files:
            return files
    return []


def read_cameras(path: Path) -> dict[str, np.ndarray]:
    """Raw matrices of ``cameras.npz``: "world_mat", "camera_mat" and "scale_mat", each (V, 4, 4).

    Raises:
        UserError: the file or a matrix is missing, or one is not 4x4 (or 3x4) finite numbers.
    """
    arrays = read_npz(path, limit_bytes=_CAMERAS_BYTES)
    numbers = sorted(int(key[10:]) for key in arrays if re.fullmatch(r"world_mat_\d{1,6}", key))
    if not numbers:
        raise UserError(f"{path}: no world_mat_0 in it; it should hold world_mat_i and camera_mat_i of every image")
    if numbers != list(range(len(numbers))):
        gap = next(i for i, number in enumerate(numbers) if i != number)
        raise UserError(f"{path}: no world_mat_{gap}; cameras are numbered 0, 1, … like the sorted images")
    found: dict[str, list[np.ndarray]] = {"world_mat": [], "camera_mat": [], "scale_mat": []}
    for number in numbers:
        for name, matrices in found.items():
            key = f"{name}_{number}"
            if key not in arrays and name == "camera_mat":
                raise UserError(f"{path}: no {key}; every image needs its intrinsics")
            matrices.append(matrix(arrays[key], key, path) if key in arrays else np.eye(4))
    return {name: np.stack(matrices) for name, matrices in found.items()}


def view_camera(
    cameras: dict[str, np.ndarray], number: int, side_px: int, path: Path
) -> tuple[np.ndarray, np.ndarray, float]:
    """One view's camera in our convention.

    An image point does not change when the camera frame is scaled, so a scale_mat of one scale s and a shift
    becomes part of a rigid world_to_camera, and depths shrink by s.

    Returns:
        (4, 4) world_to_camera of the unit cube, (3, 3) intrinsics in pixels, and s.

    Raises:
        UserError: not a pinhole camera with a rigid pose.
    """
    name = f"world_mat_{number}"
    rigid(cameras["world_mat"][number], name, path)
    scale_mat = cameras["scale_mat"][number]
    scale = float(scale_mat[0, 0])
    if scale <= 0 or not np.allclose(scale_mat[:3, :3], scale * np.eye(3), atol=1e-6 * abs(scale)):
        raise UserError(f"{path}: scale_mat_{number} does more than scale all axes alike and shift; cannot be read")
    camera_mat = cameras["camera_mat"][number]
    check_camera_mat(camera_mat, number, path)
    one = {"world_mat_0": cameras["world_mat"][number], "camera_mat_0": camera_mat}
    pose, intrinsics, _ = from_dvr(one, side_px)
    pose = pose[0] @ scale_mat
    pose[:3] /= scale
    return pose, intrinsics[0], scale


def check_camera_mat(camera_mat: np.ndarray, number: int, path: Path) -> None:
    """Refuse what is no matrix of a pinhole camera that looks along +z.

    Raises:
        UserError: saying what is odd.
    """
    expected = np.eye(4)
    expected[0, 0], expected[1, 1] = camera_mat[0, 0], camera_mat[1, 1]
    expected[0, 1:3], expected[1, 2] = camera_mat[0, 1:3], camera_mat[1, 2]
    if not np.allclose(camera_mat, expected, atol=1e-6):
        raise UserError(
            f"{path}: camera_mat_{number} is not [[fx, 0, cx, 0], [0, fy, cy, 0], [0, 0, 1, 0], [0, 0, 0, 1]]; "
            "DVR's cameras look along +z with y down"
        )
    if camera_mat[0, 0] <= 0 or camera_mat[1, 1] <= 0:
        raise UserError(f"{path}: camera_mat_{number} has a focal length that is not positive (an axis is flipped)")
