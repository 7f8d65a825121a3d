"""Loads one object of a user's own views, right or wrong, and reports what is odd about its files on the way."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from robust3d.data.published import nmr, srn
from robust3d.data.published.agreement import Object, widen
from robust3d.data.published.files import read_exr_depth
from robust3d.data.published.findings import Report
from robust3d.data.published.numbering import Note, check_same_views, lone_files, numbered_files
from robust3d.data.published.views import (
    PUT_ON_WHITE,
    is_transparent,
    mask_of,
    not_white,
    on_white,
    read_square,
    seen_on_white,
    why_not_rigid,
)
from robust3d.errors import UserError

_FOCAL_TOLERANCE = 1e-5  # between views; pixelNeRF's
_RIM_PX = 2  # beside a mask, pixels are mixed: renderers filter over 1.5 px
_COLOURED = 0.02  # of the rest of a picture; less are parts that fall between the pixel centres of the mask


def load_dvr(path: Path, name: str, report: Report) -> Object:
    """Masks and cameras of an object; raises what makes it unusable, reports what does not."""
    note = _note(path, name, report)
    every = {part: numbered_files(path / part, ".png", note) for part in ("image", "mask")}
    numbers = [number for number in every["image"] if number in every["mask"]]
    lone = lone_files(every["image"], every["mask"])
    if lone:
        counts = f"{len(every['image'])} PNG files in image/ and {len(every['mask'])} in mask/"
        report.add("pairs", name, f"{counts}; every view needs one of each, these stand alone: {lone}")
    if not numbers:
        raise UserError("no view has both an image and a mask")
    images, files = ({number: every[part][number] for number in numbers} for part in ("image", "mask"))
    if [file.stem for file in images.values()] != [file.stem for file in files.values()]:
        says = "files in image/ and mask/ have different names; they are matched by number here, by order elsewhere"
        report.add("names", name, says, is_error=False)
    cameras, numbers = _paired(path, every["image"] | every["mask"], images, name, report)
    masks, side = _masks([images[number] for number in numbers], [files[number] for number in numbers], name, report)
    given = cameras.camera_mat[:, :3, :3]
    _check_poses(cameras.world_mat, [f"world_mat_{number}" for number in cameras.numbers], name, report)
    for place, number in enumerate(cameras.numbers):
        try:
            nmr.check_camera_mat(cameras.camera_mat[place], number, cameras.path)
        except UserError as error:
            report.add("camera_mat", name, str(error).removeprefix(f"{cameras.path}: "))
            break
    _check_focal(given, [f"camera_mat_{number}" for number in cameras.numbers], name, report)
    if not np.allclose(cameras.scale_mat, np.eye(4)):
        says = "scale_mat is not the identity: DVR uses it, pixelNeRF ignores it; better put it into world_mat"
        report.add("scale_mat", name, says, is_error=False)
    to_pixels = np.array([[side / 2, 0, side / 2], [0, side / 2, side / 2], [0, 0, 1]])
    poses = cameras.world_mat @ cameras.scale_mat
    depth = _depth(path, images, numbers, side, name, report)
    names = tuple(images[number].name for number in numbers)
    return Object(name, masks, poses, to_pixels @ given, given, np.argsort(numbers), depth, names)


def load_srn(path: Path, name: str, report: Report) -> Object:
    """The same for SRN's layout."""
    note = _note(path, name, report)
    images, files = numbered_files(path / "rgb", ".png", note), numbered_files(path / "pose", ".txt", note)
    check_same_views(path, rgb=images, pose=files)
    if not images:
        raise UserError("no views in rgb/ and pose/")
    counted = [[number for _, number in sorted((of[n].name, n) for n in of)] for of in (images, files)]
    if counted[0] != counted[1]:
        place = next(place for place, (a, b) in enumerate(zip(*counted, strict=True)) if a != b)
        a, b = images[counted[0][place]].name, files[counted[1][place]].name
        report.add("order", name, f"as names sort, {a} goes with {b} elsewhere; name both with the same leading zeros")
    matrix, resolution = srn.read_intrinsics(path / "intrinsics.txt")
    masks, side = _masks(list(images.values()), None, name, report)
    if side != resolution:
        report.add("resolution", name, f"intrinsics.txt is for {resolution} px, but the pictures have {side} a side")
    camera_to_world = np.stack([srn.read_pose(file) for file in files.values()])
    _check_poses(camera_to_world, [f"pose/{file.name}" for file in files.values()], name, report)
    try:
        poses = np.linalg.inv(camera_to_world)
    except np.linalg.LinAlgError:
        raise UserError("a pose is a singular matrix; write the cameras again") from None
    given = np.repeat(matrix[None], len(images), axis=0)
    names = tuple(image.name for image in images.values())
    return Object(name, masks, poses, given, given, np.arange(len(images)), None, names)


def _note(path: Path, name: str, report: Report) -> Note:
    """Turns what a reader has to say into a finding."""
    return lambda text: report.add("files", name, text.removeprefix(f"{path}").lstrip("/: "), is_error=False)


def _paired(
    path: Path, every: Mapping[int, Path], images: Mapping[int, Path], name: str, report: Report
) -> tuple[nmr.Cameras, list[int]]:
    """The cameras of these images, and the images' numbers in the order of the cameras.

    Args:
        path: of the object.
        every: a file of every view, also of those without an image.
        images: of the views that are looked into.
        name: of the object.
        report: is called with what is wrong. Where numbers do not match, the images are taken as their names sort, as
            DVR does: whether that fits shows how to correct it.
    """
    counted = sorted(images, key=lambda number: images[number].name)
    numbers = sorted(images)
    if counted != numbers:
        place = next(place for place, number in enumerate(numbers) if counted[place] != number)
        says = (
            f"file names have no leading zeros, so {images[counted[place]].name} comes as view {place} elsewhere, "
            "where views are numbered in the order of sorted names"
        )
        report.add("order", name, says)
    cameras = nmr.read_cameras(path / "cameras.npz")
    try:
        paired = cameras.of(every, _note(path, name, report))
    except UserError as error:
        if len(cameras.numbers) < len(images):
            raise
        report.add("numbers", name, str(error).removeprefix(f"{path}/"))
        return cameras.at(range(len(images))), counted
    gap = next((place for place, number in enumerate(paired.numbers) if place != number), None)
    if gap is not None:
        says = (
            f"no view {gap}, so view {paired.numbers[gap]} gets another view's camera where files are counted, as in "
            "DVR and pixelNeRF; number images, masks, depth maps and cameras 0, 1, 2, … without gaps"
        )
        report.add("gap", name, says)
    return paired.at([paired.numbers.index(number) for number in numbers]), numbers


def _masks(images: list[Path], files: list[Path] | None, name: str, report: Report) -> tuple[np.ndarray, int]:
    """Masks (V, S, S), from mask pictures or from what is not white."""
    masks: list[np.ndarray] = []
    coloured = transparent = 0
    for number, image in enumerate(images):
        picture = read_square(image, len(masks[0]) if masks else None)
        colours = on_white(picture)
        transparent += is_transparent(picture)
        if files is None:
            mask = seen_on_white(picture, colours)
        else:
            drawn = read_square(files[number], len(picture))
            mask = mask_of(drawn, files[number])
            levels = np.unique(drawn[mask][:, :3].max(axis=1))
            if len(levels) > 1:
                says = (
                    f"{files[number].name} has {len(levels) + 1} grey values; a mask has two (non-zero is the object)"
                )
                report.add("grey mask", name, f"{says}: threshold it and save it as PNG")
            coloured += _is_coloured(colours, mask)
        masks.append(mask)
        _check_mask(mask, (files or images)[number].name, files is not None, name, report)
    if coloured > len(images) / 2:
        says = "the background is not white; DVR does not mind, pixelNeRF takes it for white"
        report.add("background", name, says, is_error=False)
    if transparent:
        report.add("transparent", name, PUT_ON_WHITE, is_error=False)
    return np.stack(masks), len(masks[0])


def _is_coloured(colours: np.ndarray, mask: np.ndarray) -> bool:
    """Whether the background is not white, away from rims and parts that are thinner than a pixel."""
    beyond = ~widen(mask[None], _RIM_PX if len(mask) >= 16 else 1)[0]
    return bool(beyond.any()) and float(not_white(colours)[beyond].mean()) > _COLOURED


def _check_mask(mask: np.ndarray, file: str, is_drawn: bool, name: str, report: Report) -> None:
    if not mask.any():
        report.add("empty mask", name, f"{file}: no pixel belongs to the object; leave the view out")
    elif all(mask[edge].any() for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1])):
        other = "does the picture show part of the object?" if is_drawn else "the picture not on white?"
        says = f"{file}: the object touches all four borders; is the mask inverted, or {other}"
        report.add("full mask", name, says)


def _check_poses(poses: np.ndarray, labels: list[str], name: str, report: Report) -> None:
    wrong = [(label, why) for pose, label in zip(poses, labels, strict=True) if (why := why_not_rigid(pose))]
    if wrong:
        label, why = wrong[0]
        report.add("not rigid", name, f"{label} is not a rotation and a translation: {why} ({len(wrong)} views)")


def _check_focal(given: np.ndarray, labels: list[str], name: str, report: Report) -> None:
    across, down = given[:, 0, 0], given[:, 1, 1]
    if np.abs(across - down).max() > 1e-9 * max(1.0, np.abs(across).max()):
        i = int(np.abs(across - down).argmax())
        says = f"{labels[i]} has fx {across[i]:.6g} and fy {down[i]:.6g}; pixelNeRF needs square pixels, fx = fy"
        report.add("focal", name, says, is_error=abs(across[i] - down[i]) > 1e-3 * abs(across[i]))
    if np.ptp(across) > _FOCAL_TOLERANCE * max(1.0, np.abs(across).max()):
        says = f"focal lengths differ between views ({across.min():.6g} to {across.max():.6g}); pixelNeRF allows one"
        report.add("focals", name, says, is_error=False)


def _depth(
    path: Path, images: Mapping[int, Path], numbers: list[int], side: int, name: str, report: Report
) -> np.ndarray | None:
    """Depth maps (V, S, S) in the order of `numbers`; None without them or if they do not go with the images."""
    try:
        files = nmr.depth_files(path, images, _note(path, name, report))
    except UserError as error:
        report.add("depth files", name, str(error).removeprefix(f"{path}").lstrip("/: "))
        return None
    if not files:
        return None
    maps = [read_exr_depth(files[number]) for number in numbers]
    for number, depth in zip(numbers, maps, strict=True):
        if depth.shape != (side, side):
            raise UserError(f"{files[number].name}: its size is not that of the pictures")
    return np.stack(maps)
