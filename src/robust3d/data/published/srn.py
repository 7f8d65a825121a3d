"""Reads the layout of Scene Representation Networks (Sitzmann et al., 2019).

``<root>/<class>_{train,val,test}/<object>/{rgb/*.png, pose/*.txt, intrinsics.txt}``: pictures on white, camera-to-world
matrices with OpenCV's axes, and one pinhole camera for all views.
"""

import os
from pathlib import Path

import numpy as np

from robust3d.data.blank import BlankViews
from robust3d.data.frame import Frame
from robust3d.data.params import SPLITS
from robust3d.data.published.files import MIB, reading
from robust3d.data.published.inventory import (
    Entry,
    Inventory,
    Missing,
    check_missing,
    root_folder,
    sub_folders,
    the_one,
)
from robust3d.data.published.numbering import Note, check_same_views, chosen_views, numbered_files, to_stderr
from robust3d.data.published.params import SRNParams
from robust3d.data.published.text import read_text
from robust3d.data.published.views import (
    PUT_ON_WHITE,
    check_object,
    check_optics,
    check_resolution,
    frame_of,
    is_transparent,
    matrix,
    on_white,
    read_square,
    rigid,
    seen_on_white,
    shown_views,
)
from robust3d.errors import UserError


def take_inventory(root: str | Path, params: SRNParams) -> Inventory:
    """List the objects and their published division; no image is opened.

    Raises:
        Missing: the folder, a class or an object's file is not there.
        UserError: an object stands in two parts.
    """
    root = root_folder(root, "srn")
    with reading(root, "cannot be listed", "look at its links and permissions"):
        inventory = Inventory("srn", {})
        partial: list[str] = []
        for name in params.classes:
            found: dict[str, Entry] = {}
            splits: dict[str, tuple[str, ...]] = {}
            absent = []
            for split in SPLITS:
                objects = _objects(_part(root, name, split))
                ids = sorted(objects)[: params.instances]
                for key in ids:
                    if key in found or key in absent:
                        raise UserError(f"{objects[key]}: this object stands in another part of {name} as well")
                    try:
                        size = os.stat(objects[key] / "intrinsics.txt").st_size
                    except OSError:
                        absent.append(key)
                    else:
                        found[key] = Entry(objects[key].relative_to(root).as_posix(), size)
                splits[split] = tuple(key for key in ids if key in found)
            if not any(_part(root, name, split) for split in SPLITS):
                raise Missing("srn", f"{root}: no folder {name}_train, {name}_val or {name}_test")
            inventory.classes[name] = dict(sorted(found.items()))
            inventory.splits[name] = splits
            if absent:
                inventory.missing[name] = tuple(absent)
                partial += [f"{name}/{key}" for key in absent]
        return check_missing(inventory, params.missing, root, partial, "intrinsics.txt")


def _part(root: Path, name: str, split: str) -> Path | None:
    """The folder of one part, which the archives hold at the top or one level down."""
    names = (f"{name}_{split}", f"{name}/{name}_{split}", f"srn_{name}/{name}_{split}")
    return the_one([root / folder for folder in names])


def _objects(part: Path | None) -> dict[str, Path]:
    """The objects of a part by id; a folder between, such as chairs_2.0_train in chairs_train, is no object.

    Raises:
        UserError: an id stands there twice.
    """
    found: dict[str, Path] = {}
    pending = [part / name for name in sub_folders(part)] if part else []
    while pending:
        folder = pending.pop()
        inner = [] if (folder / "intrinsics.txt").exists() else [folder / name for name in sub_folders(folder)]
        if folder.parent == part and any((path / "intrinsics.txt").exists() for path in inner):
            pending += inner
        elif found.setdefault(folder.name, folder) != folder:
            raise UserError(f"{folder}: this object stands in {found[folder.name].parent} as well; leave one of them")
    return found


def read_instance(
    folder: str | Path,
    instance_id: str,
    views: int | None = None,
    resolution_px: int | None = None,
    note: Note = to_stderr,
    blank: BlankViews | None = None,
) -> list[Frame]:
    """The views of one object: picture N with pose N. Depth is unknown; the mask is where the picture is not white.

    Args:
        folder: of the object.
        instance_id: the id that its frames bear.
        views: how many, evenly spaced among those there; None: all.
        resolution_px: side that the pictures must have; None: any.
        note: is called with oddities of an object that can be read nevertheless.
        blank: collects the blank views, and says what to do with them; None: they are kept.

    Returns:
        Frames in the order of the files' numbers; none of an object that is to be left out.

    Raises:
        UserError: a file is missing, damaged, or does not go with the others.
    """
    folder = Path(folder)
    with reading(folder, "not readable as an object in SRN's layout"):
        images, poses = numbered_files(folder / "rgb", ".png", note), numbered_files(folder / "pose", ".txt", note)
        check_same_views(folder, rgb=images, pose=poses)
        chosen_views(folder, len(images), views)
        numbers = list(images)
        intrinsics, side = read_intrinsics(folder / "intrinsics.txt")
        check_optics(intrinsics, side, f"{folder / 'intrinsics.txt'}", "f, cx and cy are in pixels")
        transparent = 0

        def read(place: int) -> Frame:
            nonlocal transparent
            number = numbers[place]
            picture = read_square(images[number])
            if len(picture) != side:
                raise UserError(
                    f"{images[number]}: {len(picture)} px a side, but {folder / 'intrinsics.txt'} is for {side}; "
                    "scale the focal length and centre with the pictures"
                )
            check_resolution(images[number], side, resolution_px)
            colours = on_white(picture)
            transparent += is_transparent(picture)
            camera_to_world = rigid(read_pose(poses[number]), "the pose", poses[number])
            pose = np.linalg.inv(camera_to_world)
            mask = seen_on_white(picture, colours)
            return frame_of(instance_id, place, colours, mask, None, pose, intrinsics)

        frames = shown_views(instance_id, list(images.values()), views, read, blank or BlankViews("keep"), note)
        if transparent:
            note(f"{folder}: {PUT_ON_WHITE}")
        if frames:
            check_object(folder, frames, "in this layout, what is not pure white is the object", note)
        return frames


def read_pose(path: Path) -> np.ndarray:
    """The (4, 4) matrix of a text file of sixteen numbers; whether it is rigid is not checked.

    Raises:
        UserError: something else.
    """
    values = _numbers(read_text(path, MIB), path)
    if len(values) not in (12, 16):
        raise UserError(f"{path}: {len(values)} numbers; a pose is a 4x4 camera-to-world matrix")
    return matrix(np.array(values).reshape(-1, 4), "the pose", path)


def read_intrinsics(path: Path) -> tuple[np.ndarray, int]:
    """(3, 3) intrinsics in pixels and the side of the square pictures.

    Raises:
        UserError: not SRN's file.
    """
    lines = [line for line in read_text(path, MIB).split("\n") if line.strip()]
    if len(lines) > 2 and len(lines[-1].split()) == 1 and any(_numbers(lines.pop(), path)):
        raise UserError(f"{path}: the last line says that poses are world-to-camera; invert them and write 0 there")
    first, last = _numbers(lines[0] if lines else "", path), _numbers(lines[-1] if lines else "", path)
    if len(first) not in (3, 4) or len(last) != 2:
        raise UserError(f"{path}: expected 'f cx cy 0.' in the first line and 'height width' in the last")
    focal, centre_x, centre_y = first[:3]
    if any(first[3:]) or (centre_x == 0 and centre_y != 0):
        raise UserError(
            f"{path}: the first line is {lines[0]!r}, no 'f cx cy 0.'; is it of a matrix, or has it fx and fy?"
        )
    if last[0] != last[1] or not 1 <= last[0] <= 1e5 or last[0] != int(last[0]):
        raise UserError(f"{path}: pictures of {last[0]:g}x{last[1]:g} px; they have to be square")
    if focal <= 0 or max(map(abs, first)) > 1e9:
        raise UserError(f"{path}: a focal length of {focal:g} px cannot be")
    return np.array([[focal, 0, centre_x], [0, focal, centre_y], [0, 0, 1.0]]), int(last[0])


def _numbers(text: str, path: Path) -> list[float]:
    words = text.split()
    if len(words) > 64:
        raise UserError(f"{path}: {len(words)} numbers where at most 16 belong; is it the right file?")
    try:
        values = [float(word) for word in words]
    except ValueError as error:
        raise UserError(f"{path}: {error}; only numbers belong here") from None
    if not np.isfinite(values).all():
        raise UserError(f"{path}: NaN or infinity; write the cameras again")
    return values
