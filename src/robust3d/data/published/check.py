"""Checks a user's own views in DVR's or SRN's layout: files, pictures, masks, cameras, and whether they fit."""

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from robust3d.cameras import camera_centre
from robust3d.data.published import nmr, srn
from robust3d.data.published.agreement import Object, agreement, depth_agreement
from robust3d.data.published.files import read_exr_depth
from robust3d.data.published.inventory import listing
from robust3d.data.published.mistakes import FITS, explain, half_pixel
from robust3d.data.published.text import read_lines
from robust3d.data.published.views import numbered_files, read_square, rgb, why_not_rigid
from robust3d.errors import UserError

_VIEWS = 24  # of an object, for whether cameras and masks fit
_SHOWN = 5  # findings of a kind that are spelt out
_FOCAL_TOLERANCE = 1e-5  # between views; pixelNeRF's


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, or (not `is_error`) that some readers trip over.

    Attributes:
        kind: findings of one kind are shown together.
        where: an object or a file.
        says: what is wrong and what to do.
    """

    kind: str
    where: str
    says: str
    is_error: bool = True


@dataclass
class Report:
    """What `check_views` found.

    Attributes:
        folder: of the data set.
        layout: "dvr" or "srn".
        objects: how many there are.
        looked_at: names of those whose pictures and cameras were read.
        agreement: by object: fraction of the mask pixels that the visual hull of all views reaches.
        findings: in the order in which they were made.
    """

    folder: Path
    layout: str
    objects: int = 0
    looked_at: list[str] = field(default_factory=list)
    agreement: dict[str, float] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not any(finding.is_error for finding in self.findings)

    def add(self, kind: str, where: str | Path, says: str, is_error: bool = True) -> None:
        """Note a finding."""
        self.findings.append(Finding(kind, str(where), says, is_error))

    def text(self) -> str:
        """The report for a person."""
        layout = {"dvr": "DVR", "srn": "SRN"}[self.layout]
        lines = [f"{self.folder}: {self.objects:,} objects in {layout}'s layout, {len(self.looked_at)} looked into"]
        if self.agreement:
            scores = list(self.agreement.values())
            lines.append(
                f"cameras against masks: the visual hull explains {np.mean(scores):.1%} of the mask pixels "
                f"(worst object {min(scores):.1%}; good data have {FITS:.0%} and more)"
            )
        for is_error, title in ((True, "wrong"), (False, "to know")):
            for kind in dict.fromkeys(finding.kind for finding in self.findings if finding.is_error == is_error):
                lines += self._told(title, [f for f in self.findings if f.kind == kind and f.is_error == is_error])
        lines.append("all is well" if self.ok else "this data set needs mending before a network is trained on it")
        return "\n".join(lines)

    def _told(self, title: str, same: list[Finding]) -> list[str]:
        """Findings of one kind: a line for each of the first different ones, and where else."""
        firsts = list({finding.says: finding for finding in reversed(same)}.values())[::-1][:_SHOWN]
        lines = [f"{title}: {finding.where}: {finding.says}" for finding in firsts]
        others = [finding.where for finding in same if finding not in firsts]
        if others:
            more = ", …" if len(others) > _SHOWN else ""
            lines.append(f"  likewise in {len(others)} more: {', '.join(others[:_SHOWN])}{more}")
        return lines


def check_views(folder: str | Path, objects: int = 24) -> Report:
    """Check a data set.

    Args:
        folder: of the data set, of one class in it, or of one object.
        objects: how many to look into, evenly spaced; files are listed for all.

    Raises:
        UserError: there is no such folder, or it has neither layout.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    layout, found = _detect(folder)
    report = Report(folder, layout, objects=len(found))
    _check_lists(folder, found, report)
    step = max(1, math.ceil(len(found) / objects))
    things, ups = [], {}
    for path in found[::step]:
        name = path.relative_to(folder).as_posix() if path != folder else path.name
        report.looked_at.append(name)
        try:
            thing = (_load_dvr if layout == "dvr" else _load_srn)(path, name, report)
        except UserError as error:
            report.add("unreadable", name, str(error))
            continue
        things.append(thing)
        ups[name] = _up(thing)
    if things:
        _check_fit(things, report)
        _check_up(ups, report)
    return report


def _detect(folder: Path) -> tuple[str, list[Path]]:
    """The layout and the objects' folders, at most three levels down."""
    found: dict[str, list[Path]] = {"dvr": [], "srn": []}
    for path in _folders(folder, 3):
        if (path / "cameras.npz").exists() or ((path / "image").is_dir() and (path / "mask").is_dir()):
            found["dvr"].append(path)
        elif (path / "intrinsics.txt").exists() or ((path / "rgb").is_dir() and (path / "pose").is_dir()):
            found["srn"].append(path)
    layout = max(found, key=lambda name: len(found[name]))
    if not found[layout]:
        raise UserError(
            f"{folder}: neither DVR's layout (<class>/<object>/cameras.npz, image/*.png, mask/*.png) nor SRN's "
            "(<class>_train/<object>/intrinsics.txt, rgb/*.png, pose/*.txt) is in here"
        )
    return layout, found[layout]


def _folders(folder: Path, depth: int) -> Iterator[Path]:
    yield folder
    if depth and not any((folder / name).exists() for name in ("cameras.npz", "intrinsics.txt")):
        for entry in listing(folder):
            if entry.is_dir() and entry.name not in ("image", "mask", "depth", "visual_hull_depth", "rgb", "pose"):
                yield from _folders(folder / entry.name, depth - 1)


def _check_lists(folder: Path, found: list[Path], report: Report) -> None:
    """Lists name objects that are there, each in one part."""
    if report.layout != "dvr":
        return
    there = {os.fspath(path) for path in found}
    parents = sorted({path.parent for path in found} | {folder})
    for parent in parents:
        for prefix in ("softras_", ""):
            owner: dict[str, str] = {}
            for part in ("train", "val", "test"):
                file = parent / f"{prefix}{part}.lst"
                if not file.is_file():
                    continue
                try:
                    ids = read_lines(file)
                except UserError as error:
                    report.add("list", file, str(error))
                    continue
                absent = [key for key in ids if os.fspath(parent / key) not in there]
                if absent:
                    report.add("list", file, f"names {len(absent)} objects that are not there, such as {absent[0]}")
                twice = [key for key in ids if owner.setdefault(key, part) != part]
                if twice:
                    report.add("leak", file, f"{twice[0]} stands in {owner[twice[0]]} as well: test data in training")
    if found[0] != folder and not any(list(parent.glob("*.lst")) for parent in parents):
        says = "no softras_train.lst, softras_val.lst, softras_test.lst; DVR and pixelNeRF find objects by these lists"
        report.add("no lists", parents[-1], says, is_error=False)


def _load_dvr(path: Path, name: str, report: Report) -> Object:
    """Masks and cameras of an object; raises what makes it unusable, notes what does not."""
    images, files = (numbered_files(path / part, (".png",)) for part in ("image", "mask"))
    if not files or len(images) != len(files):
        raise UserError(f"{len(images)} PNG files in image/ and {len(files)} in mask/; every view needs one of each")
    if [file.stem for file in images] != [file.stem for file in files]:
        says = "files in image/ and mask/ have different names; views are matched by the order of names, check that"
        report.add("names", name, says, is_error=False)
    cameras = nmr.read_cameras(path / "cameras.npz")
    count = len(cameras["world_mat"])
    if count < len(files):
        raise UserError(f"cameras.npz has {count} cameras for {len(files)} images; it needs world_mat_i of each")
    if count > len(files):
        report.add("more cameras", name, f"{count} cameras for {len(files)} images; the last ones go unused", False)
    masks, side = _masks(images, files, name, report)
    poses, given = cameras["world_mat"][: len(files)], cameras["camera_mat"][: len(files), :3, :3]
    _check_poses(poses, [f"world_mat_{i}" for i in range(len(poses))], name, report)
    for number in range(len(files)):
        try:
            nmr.check_camera_mat(cameras["camera_mat"][number], number, path / "cameras.npz")
        except UserError as error:
            report.add("camera_mat", name, str(error).removeprefix(f"{path / 'cameras.npz'}: "))
            break
    _check_focal(given, "camera_mat", name, report)
    scale_mat = cameras["scale_mat"][: len(files)]
    if not np.allclose(scale_mat, np.eye(4)):
        says = "scale_mat is not the identity: DVR uses it, pixelNeRF ignores it; better put it into world_mat"
        report.add("scale_mat", name, says, is_error=False)
    to_pixels = np.array([[side / 2, 0, side / 2], [0, side / 2, side / 2], [0, 0, 1]])
    depth = _depth(path, len(files), side)
    return Object(name, masks, poses @ scale_mat, to_pixels @ given, given, _order(files, name, report), depth)


def _load_srn(path: Path, name: str, report: Report) -> Object:
    """The same for SRN's layout."""
    images, files = numbered_files(path / "rgb", (".png",)), numbered_files(path / "pose", (".txt",))
    srn.check_pairs(path, images, files)
    if not images:
        raise UserError("no views in rgb/ and pose/")
    matrix, resolution = srn.read_intrinsics(path / "intrinsics.txt")
    masks, side = _masks(images, None, name, report)
    if side != resolution:
        report.add("resolution", name, f"intrinsics.txt is for {resolution} px, but the pictures have {side} a side")
    camera_to_world = np.stack([srn.read_pose(file) for file in files])
    _check_poses(camera_to_world, [f"pose/{file.name}" for file in files], name, report)
    try:
        poses = np.linalg.inv(camera_to_world)
    except np.linalg.LinAlgError:
        raise UserError("a pose is a singular matrix; write the cameras again") from None
    given = np.repeat(matrix[None], len(images), axis=0)
    return Object(name, masks, poses, given, given, np.arange(len(images)))


def _masks(images: list[Path], files: list[Path] | None, name: str, report: Report) -> tuple[np.ndarray, int]:
    """Masks (V, S, S), from mask pictures or from what is not white."""
    masks: list[np.ndarray] = []
    coloured = 0
    for number, image in enumerate(images):
        picture = rgb(read_square(image, len(masks[0]) if masks else None))
        if files is None:
            mask = (picture < 255).any(axis=2)
        else:
            values = read_square(files[number], len(picture))[..., 0]
            mask = values > 0
            levels = np.unique(values[mask])
            if len(levels) > 1:
                says = (
                    f"{files[number].name} has {len(levels) + 1} grey values; a mask has two (non-zero is the object)"
                )
                report.add("grey mask", name, f"{says}: threshold it and save it as PNG")
            coloured += bool((picture[~mask] < 255).any()) if (~mask).any() else 0
        masks.append(mask)
        label = (files or images)[number].name
        if not mask.any():
            report.add("empty mask", name, f"{label}: no pixel belongs to the object; leave the view out")
        elif all(mask[edge].any() for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1])):
            says = "the object touches all four borders; is the mask inverted" + (
                ", or the picture not on white?" if files is None else ", or does the picture show part of the object?"
            )
            report.add("full mask", name, f"{label}: {says}")
    if coloured > len(images) / 2:
        says = "the background is not white; DVR does not mind, pixelNeRF takes it for white"
        report.add("background", name, says, is_error=False)
    return np.stack(masks), len(masks[0])


def _check_poses(poses: np.ndarray, labels: list[str], name: str, report: Report) -> None:
    wrong = [(label, why) for pose, label in zip(poses, labels, strict=True) if (why := why_not_rigid(pose))]
    if wrong:
        label, why = wrong[0]
        report.add("not rigid", name, f"{label} is not a rotation and a translation: {why} ({len(wrong)} views)")


def _check_focal(given: np.ndarray, label: str, name: str, report: Report) -> None:
    across, down = given[:, 0, 0], given[:, 1, 1]
    if np.abs(across - down).max() > 1e-9 * max(1.0, np.abs(across).max()):
        i = int(np.abs(across - down).argmax())
        says = f"{label}_{i} has fx {across[i]:.6g} and fy {down[i]:.6g}; pixelNeRF needs square pixels, fx = fy"
        report.add("focal", name, says, is_error=abs(across[i] - down[i]) > 1e-3 * abs(across[i]))
    if np.ptp(across) > _FOCAL_TOLERANCE * max(1.0, np.abs(across).max()):
        says = f"focal lengths differ between views ({across.min():.6g} to {across.max():.6g}); pixelNeRF allows one"
        report.add("focals", name, says, is_error=False)


def _order(files: list[Path], name: str, report: Report) -> np.ndarray:
    """Positions of the files in the order of their numbers."""
    numbers = [re.findall(r"\d+", file.stem) for file in files]
    if not all(numbers):
        return np.arange(len(files))
    order = sorted(range(len(files)), key=lambda i: [int(number) for number in numbers[i]])
    if order != list(range(len(files))):
        first = next(i for i, place in enumerate(order) if i != place)
        says = (
            f"file names have no leading zeros, so {files[first].name} comes as view {first}; views are numbered in "
            "the order of sorted names"
        )
        report.add("order", name, says)
    return np.array(order)


def _depth(path: Path, views: int, side: int) -> np.ndarray | None:
    files = nmr.depth_files(path, views)
    if not files:
        return None
    maps = [read_exr_depth(file) for file in files]
    wrong = [file for file, depth in zip(files, maps, strict=True) if depth.shape != (side, side)]
    if wrong:
        raise UserError(f"{wrong[0].name}: its size is not that of the pictures")
    return np.stack(maps)


def _check_fit(things: list[Object], report: Report) -> None:
    """Cameras against masks, and what would mend them."""
    things = [thing.only(np.flatnonzero(thing.masks.any(axis=(1, 2)))) for thing in things]  # empty ones are told
    few = [thing for thing in things if len(thing.masks) == 1]
    if few:
        report.add("one view", few[0].name, "only one view: whether its camera fits cannot be told", is_error=False)
    things = [thing for thing in things if len(thing.masks) >= 2]
    report.agreement = {thing.name: agreement(thing.thinned(_VIEWS)) for thing in things}
    wrong = [thing for thing in things if report.agreement[thing.name] < FITS]
    if not things:
        return
    if wrong:
        remedy = explain(wrong, report.layout)
        for thing in wrong:
            says = f"cameras and masks contradict each other: {report.agreement[thing.name]:.0%} of the mask pixels fit"
            if remedy:
                says += f". They would fit ({remedy[1]:.0%}) if this was it: {remedy[0]}"
            else:
                says += ". None of the usual mistakes explains it; are pictures and cameras of the same object?"
            report.add("fit", thing.name, says)
        return
    shift = half_pixel(things, report.layout)
    if shift:
        report.add("half pixel", report.folder, shift)
    _check_centres(things, report)
    _check_depth([thing for thing in things if thing.depth is not None], report)


def _check_centres(things: list[Object], report: Report) -> None:
    for thing in things:
        if any(why_not_rigid(pose) for pose in thing.poses):
            continue
        inside = np.flatnonzero((np.abs(camera_centre(thing.poses)) < 0.5).all(axis=1))
        if len(inside):
            says = (
                f"the camera of view {inside[0]} stands inside [-0.5, 0.5]^3, where the object is ({len(inside)} views)"
            )
            report.add("inside", thing.name, says)


def _check_depth(things: list[Object], report: Report) -> None:
    for thing in things:
        fits = depth_agreement(thing.thinned(_VIEWS))
        if not fits < FITS:  # also NaN: no depth known
            continue
        says = f"depth maps contradict masks and cameras: {fits:.0%} of their points fall on the object in every view"
        as_length = depth_agreement(thing.thinned(_VIEWS), as_ray_length=True)
        if as_length >= FITS:
            says += "; they are distances from the camera, but depth is measured along its axis (camera z)"
        report.add("depth", thing.name, says)


def _up(thing: Object) -> str | None:
    """The world's axis that points up in the pictures, where one does."""
    lengths = np.linalg.norm(thing.poses[:, 1, :3], axis=1, keepdims=True)
    up = -(thing.poses[:, 1, :3] / np.maximum(lengths, 1e-12)).mean(axis=0)
    axis = int(np.abs(up).argmax())
    if np.abs(up[axis]) < 0.4 or np.abs(up[axis]) < 1.5 * np.delete(np.abs(up), axis).max():
        return None
    return f"{'+' if up[axis] > 0 else '-'}{'xyz'[axis]}"


def _check_up(ups: dict[str, str | None], report: Report) -> None:
    """One axis points up in all objects, and in DVR's layout it is y."""
    known = {name: up for name, up in ups.items() if up}
    if not known or any(finding.kind == "fit" for finding in report.findings):
        return
    counts = {up: list(known.values()).count(up) for up in set(known.values())}
    usual = max(sorted(counts), key=lambda up: counts[up])
    for name, up in known.items():
        if up != usual:
            says = f"{up} points up here and {usual} in {counts[usual]} other objects; turn this object's cameras"
            report.add("mixed up", name, says)
    if report.layout == "dvr" and usual != "+y":
        says = f"{usual} points up; in the published data +y does, and pixelNeRF's loader turns the world accordingly"
        report.add("up", report.folder, says, is_error=False)
