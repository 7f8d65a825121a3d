"""Reads DVR's layout: the NMR renders of ShapeNet (Kato et al., 2018) as DVR's authors published them, and one's own.

``<root>/<synset>/<object>/{image,mask}/*.png``, ``cameras.npz`` and, where they are, ``depth/*.exr`` or
``visual_hull_depth/*.exr``; lists ``<root>/<synset>/{softras_train,…}.lst`` or ``{train,…}.lst`` (3D-R2N2).
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robust3d.cameras import from_dvr
from robust3d.data.blank import BlankViews
from robust3d.data.frame import Frame
from robust3d.data.params import SPLITS
from robust3d.data.published.files import MIB, read_exr_depth, read_npz, reading
from robust3d.data.published.inventory import (
    Entry,
    Inventory,
    Missing,
    check_id,
    check_missing,
    root_folder,
    sub_folders,
    the_one,
)
from robust3d.data.published.numbering import (
    Note,
    OtherKind,
    check_same_views,
    chosen_views,
    numbered_files,
    shortened,
    to_stderr,
)
from robust3d.data.published.params import SYNSETS, NMRParams
from robust3d.data.published.text import read_lines
from robust3d.data.published.views import (
    PUT_ON_WHITE,
    check_object,
    check_optics,
    check_resolution,
    frame_of,
    is_transparent,
    mask_of,
    matrix,
    on_white,
    read_square,
    rigid,
    shown_views,
)
from robust3d.errors import UserError

LISTS = {"softras": "softras_{}.lst", "choy": "{}.lst"}
_CAMERAS_BYTES = 64 * MIB


def class_folder(root: Path, name: str) -> Path:
    """The folder of a class: named by its synset as published, or by its name as we export it.

    Raises:
        Missing: neither is there.
        UserError: both are.
    """
    folders = [root / folder for folder in (SYNSETS.get(name), name) if folder]
    if folder := the_one(folders):
        return folder
    raise Missing("nmr", f"{root}: no folder {' or '.join(folder.name for folder in folders)} for class {name!r}")


def take_inventory(root: str | Path, params: NMRParams) -> Inventory:
    """List the objects and their published division; no image is opened.

    Raises:
        Missing: the folder, a class, a list or an object is not there.
        UserError: a list is damaged.
    """
    root = root_folder(root, "nmr")
    with reading(root, "cannot be listed", "look at its links and permissions"):
        inventory = Inventory("nmr", {})
        partial: list[str] = []
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
                    partial += [f"{name}/{key}"] if (folder / key).is_dir() else []
                else:
                    found[key] = Entry(f"{folder.name}/{key}", size)
            inventory.classes[name] = found
            if params.split != "random":
                inventory.splits[name] = {
                    part: tuple(key for key in ids if key in found) for part, ids in parts.items()
                }
            if absent:
                inventory.missing[name] = tuple(absent)
        return check_missing(inventory, params.missing, root, partial, "cameras.npz")


def _objects(folder: Path) -> list[str]:
    """Folders that are objects, whole or not."""
    parts = ("cameras.npz", "image", "mask")
    return [name for name in sub_folders(folder) if any((folder / name / part).exists() for part in parts)]


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


def read_instance(
    folder: str | Path,
    instance_id: str,
    views: int | None = None,
    resolution_px: int | None = None,
    note: Note = to_stderr,
    blank: BlankViews | None = None,
) -> list[Frame]:
    """The views of one object: file N of every folder with camera N.

    Args:
        folder: of the object.
        instance_id: the id that its frames bear.
        views: how many, evenly spaced among those there; None: all.
        resolution_px: side that the pictures must have; None: any.
        note: is called with oddities of an object that can be read nevertheless.
        blank: collects the blank views, and says what to do with them; None: they are kept.

    Returns:
        Frames in the order of the files' numbers, none of an object that is to be left out; the world is the unit cube
        in which DVR trains.

    Raises:
        UserError: a file is missing, damaged, or does not go with the others.
    """
    folder = Path(folder)
    with reading(folder, "not readable as an object in DVR's layout"):
        images, masks = (numbered_files(folder / name, ".png", note) for name in ("image", "mask"))
        check_same_views(folder, image=images, mask=masks)
        chosen_views(folder, len(images), views)
        depths = depth_files(folder, images, note)
        cameras = read_cameras(folder / "cameras.npz").of(images, note)
        side: int | None = None
        transparent = 0

        def read(place: int) -> Frame:
            nonlocal side, transparent
            number = cameras.numbers[place]
            picture = read_square(images[number], side)
            transparent += is_transparent(picture)
            side = len(picture)
            check_resolution(images[number], side, resolution_px)
            mask = mask_of(read_square(masks[number], side), masks[number])
            pose, intrinsics, distance = view_camera(cameras, place, side)
            depth = None
            if depths:
                depth = read_exr_depth(depths[number])
                if depth.shape != mask.shape:
                    raise UserError(f"{depths[number]}: {depth.shape} px, but the images have {mask.shape}")
                depth = depth / distance
            return frame_of(instance_id, place, on_white(picture), mask, depth, pose, intrinsics)

        frames = shown_views(instance_id, list(images.values()), views, read, blank or BlankViews("keep"), note)
        if transparent:
            note(f"{folder}: {PUT_ON_WHITE}")
        if not frames:
            return frames
        if depths and np.isnan(np.concatenate([frame.depth[frame.mask] for frame in frames])).all():
            note(f"{folder}: its depth maps have no depth above 0 at any pixel of the object, so it has none")
        check_object(folder, frames, "in a mask, what is not 0 is the object", note)
        return frames


def depth_files(folder: Path, images: Mapping[int, Path], note: Note = to_stderr) -> dict[int, Path]:
    """Depth maps of the surface by number if there are any, else those of the visual hull, else none.

    Raises:
        UserError: an image has no depth map, or the reverse.
    """
    for name in ("depth", "visual_hull_depth"):
        if not (folder / name).is_dir():
            continue
        try:
            files = numbered_files(folder / name, ".exr", note)
        except OtherKind as error:
            note(f"{error}. Its depth is not used")
            continue
        if files:
            check_same_views(folder, **{"image": images, name: files})
            return files
        note(f"{folder / name}: no .exr files in it, so it gives no depth")
    return {}


@dataclass(frozen=True)
class Cameras:
    """Raw matrices of a ``cameras.npz``.

    Attributes:
        path: of the file.
        numbers: of the views, ascending: N for ``world_mat_N``.
        world_mat: (V, 4, 4).
        camera_mat: (V, 4, 4).
        scale_mat: (V, 4, 4), identities if the file has none.
    """

    path: Path
    numbers: tuple[int, ...]
    world_mat: np.ndarray
    camera_mat: np.ndarray
    scale_mat: np.ndarray

    def at(self, places: Sequence[int]) -> "Cameras":
        """Some of them."""
        chosen = list(places)
        matrices = (self.world_mat[chosen], self.camera_mat[chosen], self.scale_mat[chosen])
        return Cameras(self.path, tuple(self.numbers[place] for place in chosen), *matrices)

    def of(self, images: Mapping[int, Path], note: Note = to_stderr) -> "Cameras":
        """The cameras of these images, in the order of their numbers.

        Cameras without an image are passed over where a gap in the images' numbers shows that they are the cameras'
        numbers. Without a gap the images may have been renumbered, from 0 or 1, after some were left out.

        Raises:
            UserError: an image has no camera of its number, or it is not certain that the numbers go together.
        """
        counts = f"{self.path}: {len(self.numbers)} cameras for {len(images)} images"
        absent = sorted(set(images) - set(self.numbers))
        if absent:
            raise UserError(
                f"{counts}: no world_mat_{absent[0]} for image/{images[absent[0]].name}; file N goes with camera N, "
                f"number them alike (cameras: {self.numbers[0]} to {self.numbers[-1]}, images: {min(images)} to "
                f"{max(images)})"
            )
        spare = sorted(set(self.numbers) - set(images))
        if spare:
            names = shortened([f"world_mat_{number}" for number in spare])
            if min(images) != self.numbers[0] or max(images) - min(images) + 1 == len(images):
                raise UserError(
                    f"{counts}: no image for {names}. Were views left out, or the images renumbered? File N goes with "
                    "camera N: number the images so, and take the cameras without an image out of the file"
                )
            note(f"{counts}: no image for {names}; the others go together by number")
        return self.at([self.numbers.index(number) for number in sorted(images)])


def read_cameras(path: Path) -> Cameras:
    """The matrices of ``cameras.npz``, whatever views it has.

    Raises:
        UserError: the file or a matrix is missing, or one is not 4x4 (or 3x4) finite numbers.
    """
    given: dict[str, dict[int, tuple[str, np.ndarray]]] = {"world": {}, "camera": {}, "scale": {}}
    for key, array in read_npz(path, limit_bytes=_CAMERAS_BYTES).items():
        if spelt := re.fullmatch(r"(world|camera|scale)_mat_([0-9]{1,9})", key):
            of_kind, number = given[spelt[1]], int(spelt[2])
            if number in of_kind:
                raise UserError(f"{path}: {key} and {of_kind[number][0]} are both of view {number}; leave one")
            of_kind[number] = (key, array)
    numbers = sorted(given["world"])
    if not numbers:
        raise UserError(f"{path}: no world_mat_0 in it; it should hold world_mat_i and camera_mat_i of every image")
    if not given["scale"]:
        given["scale"] = {number: (f"scale_mat_{number}", np.eye(4)) for number in numbers}
    stacks = []
    for kind, matrices in given.items():
        for number in numbers:
            if number not in matrices:
                raise UserError(f"{path}: no {kind}_mat_{number}, but world_mat_{number} is there; write both")
        stacks.append(np.stack([matrix(matrices[number][1], matrices[number][0], path) for number in numbers]))
    return Cameras(path, tuple(numbers), *stacks)


def view_camera(cameras: Cameras, place: int, side_px: int) -> tuple[np.ndarray, np.ndarray, float]:
    """One view's camera in our convention.

    An image point does not change when the camera frame is scaled, so a scale_mat of one scale s and a shift
    becomes part of a rigid world_to_camera, and depths shrink by s.

    Returns:
        (4, 4) world_to_camera of the unit cube, (3, 3) intrinsics in pixels, and s.

    Raises:
        UserError: not a pinhole camera with a rigid pose.
    """
    number, path = cameras.numbers[place], cameras.path
    world_mat = rigid(cameras.world_mat[place], f"world_mat_{number}", path)
    scale_mat = cameras.scale_mat[place]
    scale = float(scale_mat[0, 0])
    if scale <= 0 or not np.allclose(scale_mat[:3, :3], scale * np.eye(3), atol=1e-6 * abs(scale)):
        raise UserError(f"{path}: scale_mat_{number} does more than scale all axes alike and shift; cannot be read")
    camera_mat = cameras.camera_mat[place]
    check_camera_mat(camera_mat, number, path)
    one = {"world_mat_0": world_mat, "camera_mat_0": camera_mat}
    pose, intrinsics, _ = from_dvr(one, side_px)
    units = "image points of DVR go from -1 to 1 across the picture and are no pixels"
    check_optics(intrinsics[0], side_px, f"{path}: camera_mat_{number}", units)
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
