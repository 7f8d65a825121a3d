"""What the readers of multi-view folders share: pictures of one size, camera matrices, and frames out of them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from robust3d.data.blank import BlankViews, why_blank
from robust3d.data.compositing import compose
from robust3d.data.frame import Frame
from robust3d.data.published.files import read_png
from robust3d.data.published.numbering import Note, chosen_views, shortened
from robust3d.errors import UserError

PUT_ON_WHITE = "pictures with transparent pixels are put on white; others' readers drop alpha and see what is under it"
_ROTATION_TOLERANCE = 1e-4  # published matrices are float32, some printed with few digits


def read_square(path: Path, side_px: int | None = None) -> np.ndarray:
    """A square picture.

    Args:
        path: of a PNG.
        side_px: its side if that is known.

    Returns:
        uint8 (S, S, C), C = 1, 3 or 4.

    Raises:
        UserError: unreadable, or of another size.
    """
    picture = read_png(path)
    height, width = picture.shape[:2]
    if height != width:
        raise UserError(f"{path}: {width}x{height} px; pictures have to be square, cut or pad them (and the cameras)")
    if side_px is not None and height != side_px:
        raise UserError(f"{path}: {height} px a side, but the object's other pictures have {side_px}")
    return picture.reshape(height, width, -1)


def check_resolution(path: Path, side_px: int, resolution_px: int | None) -> None:
    """Refuse a picture that is not of the size that the configuration gives.

    Raises:
        UserError: naming it and the key.
    """
    if resolution_px is not None and side_px != resolution_px:
        raise UserError(
            f"{path}: {side_px} px a side, but the family's shapes have resolution_px: {resolution_px}; set "
            f"resolution_px: {side_px}, or scale the pictures"
        )


def check_optics(intrinsics: np.ndarray, side_px: int, where: str, hint: str) -> None:
    """Refuse intrinsics that only numbers in other units can be.

    Args:
        intrinsics: (3, 3) px.
        side_px: of the pictures.
        where: file and name, for the message.
        hint: what the units are.

    Raises:
        UserError: an angle of view above 150 degrees, or a centre further from the picture than it is wide.
    """
    focal, centre = intrinsics[0, 0], intrinsics[:2, 2]
    if focal < side_px / 2 / np.tan(np.deg2rad(75)) or (np.abs(centre - side_px / 2) > 1.5 * side_px).any():
        x, y = centre
        raise UserError(
            f"{where}: a focal length of {focal:.4g} px and a centre at ({x:.4g}, {y:.4g}) px in pictures of {side_px} "
            f"px; {hint}"
        )


def check_object(folder: Path, frames: Sequence[Frame], hint: str, note: Callable[[str], object]) -> None:
    """Refuse an object without a background; report masks without the object, and an opaque background.

    Args:
        folder: of the object.
        frames: its views.
        hint: what tells object and background apart.
        note: is called for masks without the object, and about a background that is not white.

    Raises:
        UserError: every pixel of every view belongs to the object.
    """
    masks = np.stack([frame.mask for frame in frames])
    if masks.all():
        raise UserError(f"{folder}: every pixel of every view belongs to the object; {hint}")
    if not masks.any():
        note(f"{folder}: no pixel of any view belongs to the object; {hint}")
    hidden = np.stack([frame.rgba[..., 3] > 0 for frame in frames]) & ~masks
    if hidden.sum() > (~masks).sum() / 2:
        note(
            f"{folder}: around the object (by its masks) the pictures are not white; they hide the backgrounds that "
            "sets put there"
        )


def on_white(picture: np.ndarray) -> np.ndarray:
    """The colours (S, S, 3) of a picture, put on white where it is transparent; grey becomes RGB."""
    if picture.shape[2] == 1:
        return np.repeat(picture, 3, axis=2)
    if is_transparent(picture):
        return compose(picture, 255)
    return picture[..., :3]


def is_transparent(picture: np.ndarray) -> bool:
    """Whether alpha says anything."""
    return bool(picture.shape[2] == 4 and picture[..., 3].min() < 255)


def seen_on_white(picture: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Where the object is (S, S): what is not wholly transparent, or without such pixels what is not white.

    Args:
        picture: (S, S, C) as read.
        colours: the same on white.
    """
    if picture.shape[2] == 4 and not picture[..., 3].all():
        return np.asarray(picture[..., 3] > 0)
    return not_white(colours)


def not_white(colours: np.ndarray) -> np.ndarray:
    """Where one of three channels is below 255; ten times as fast as any() along the short axis."""
    return np.asarray((colours[..., 0] & colours[..., 1] & colours[..., 2]) < 255)


def mask_of(picture: np.ndarray, path: Path) -> np.ndarray:
    """The object's pixels (S, S) in a picture of a mask: any channel is not zero, or alpha where colours say nothing.

    Raises:
        UserError: colours and alpha show different masks.
    """
    mask: np.ndarray = picture[..., 0] > 0
    for channel in range(1, min(3, picture.shape[2])):
        mask = mask | (picture[..., channel] > 0)
    opaque: np.ndarray = picture[..., -1] > 0
    if picture.shape[2] < 4 or opaque.all() or np.array_equal(mask, opaque):
        return mask
    if mask.any() and not mask.all():
        raise UserError(f"{path}: its colours and its alpha show different masks; save it as a grey PNG")
    return opaque


def matrix(values: np.ndarray, name: str, path: Path) -> np.ndarray:
    """A 4x4 matrix; one of 3x4 gets the row 0 0 0 1.

    Raises:
        UserError: of another shape, or with values that are no finite numbers.
    """
    values = np.asarray(values)
    if values.dtype == np.float16:
        raise UserError(f"{path}: {name} is float16, too coarse for a camera; write float32 or float64")
    if values.shape not in ((3, 4), (4, 4)) or values.dtype.kind not in "fiu":
        raise UserError(f"{path}: {name} is {values.dtype} {values.shape}; expected a 4x4 matrix of numbers")
    full = np.eye(4)
    full[: len(values)] = values
    if not np.isfinite(full).all():
        raise UserError(f"{path}: {name} holds NaN or infinity; write the cameras again")
    if np.abs(full).max() > 1e9:
        raise UserError(f"{path}: {name} holds {np.abs(full).max():.3g}; write the cameras again")
    return full


def why_not_rigid(pose: np.ndarray) -> str | None:
    """What keeps a 4x4 matrix from being a rotation and a translation, in words; None if nothing does."""
    rotation = pose[:3, :3]
    if not np.allclose(pose[3], [0, 0, 0, 1], atol=1e-6):
        return f"its last row is {np.round(pose[3], 4).tolist()} instead of 0 0 0 1 (is it transposed?)"
    lengths = np.linalg.norm(rotation, axis=1)
    if not np.allclose(rotation @ rotation.T, np.eye(3), atol=_ROTATION_TOLERANCE):
        if lengths.max() - lengths.min() < _ROTATION_TOLERANCE * lengths.max() and lengths.min() > 0:
            turned = rotation / lengths[0]
            if np.allclose(turned @ turned.T, np.eye(3), atol=10 * _ROTATION_TOLERANCE):
                return f"it scales by {lengths[0]:.4g}; divide the matrix by it, or put the scale into scale_mat"
        return "its 3x3 part is no rotation (rows are not orthonormal); intrinsics belong into camera_mat"
    if np.linalg.det(rotation) < 0:
        return "its 3x3 part mirrors (determinant -1): one axis has the wrong sign"
    return None


def rigid(pose: np.ndarray, name: str, path: Path) -> np.ndarray:
    """The pose, if it is one.

    Raises:
        UserError: it is no rigid motion.
    """
    reason = why_not_rigid(pose)
    if reason:
        raise UserError(f"{path}: {name} is not a rotation and a translation: {reason}")
    return pose


def frame_of(
    instance: str,
    view: int,
    picture: np.ndarray,
    mask: np.ndarray,
    depth: np.ndarray | None,
    world_to_camera: np.ndarray,
    intrinsics: np.ndarray,
) -> Frame:
    """A frame whose colours over white are the published picture, byte for byte.

    Args:
        instance: id of the object.
        view: number of the view.
        picture: (S, S, 3) uint8, on white.
        mask: (S, S) bool.
        depth: (S, S) camera z, inf where unknown; None: unknown everywhere.
        world_to_camera: (4, 4).
        intrinsics: (3, 3) px.

    Returns:
        Alpha is 255 in the mask and where the picture is not white; depth is NaN where it is unknown in the mask.
    """
    seen = mask | not_white(picture)
    rgba = np.zeros((*mask.shape, 4), np.uint8)
    rgba[seen, :3], rgba[seen, 3] = picture[seen], 255
    known = np.full(mask.shape, np.nan, np.float32)
    if depth is not None:
        usable = np.isfinite(depth) & (depth > 0)
        known[usable] = depth[usable]
    return Frame(instance, view, rgba, mask, np.where(mask, known, np.float32(np.inf)), world_to_camera, intrinsics)


def shown_views(
    name: str,
    files: Sequence[Path],
    wanted: int | None,
    read: Callable[[int], Frame],
    blank: BlankViews,
    note: Note,
) -> list[Frame]:
    """Frames of evenly spaced views of an object: of those that are not blank, unless these are to be kept.

    A view is opened only if it is chosen; where that shows it to be blank, the choice is made again without it.

    Args:
        name: of the object.
        files: pictures of all its views, at least as many as wanted, in the order of their numbers.
        wanted: how many views; None: all.
        read: gives the frame of the view at a place in `files`.
        blank: collects the blank views; its policy decides.
        note: is called with the same in words.

    Returns:
        Frames numbered from 0; none if too few views are not blank.

    Raises:
        UserError: a view is blank and the policy is "error".
    """
    folder = files[0].parents[1]
    frames: dict[int, Frame] = {}
    places, empty = list(range(len(files))), set[int]()
    while len(places) >= (wanted or 1):
        chosen = [places[index] for index in chosen_views(folder, len(places), wanted)]
        for place in chosen:
            if place not in frames:
                frames[place] = read(place)
                if reason := why_blank(frames[place].mask):
                    blank.add(name, f"{files[place].parent.name}/{files[place].name}", reason)
                    empty.add(place)
        if blank.policy == "keep" or empty.isdisjoint(chosen):
            break
        places = [place for place in places if place not in empty]
    else:
        blank.left_out.append(name)
        chosen = []
    if empty:
        done = "kept" if blank.policy == "keep" else "skipped"
        summary = f"{len(empty)} of {len(files)} views are blank and {done if chosen else 'too few others remain'}"
        left_out = "" if chosen else "; the object is left out"
        note(f"{folder}: {summary}: {shortened(blank.views[name])}{left_out}")
    return [replace(frames[place], view=view) for view, place in enumerate(chosen)]
