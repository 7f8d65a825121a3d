"""Checks a user's own views in DVR's or SRN's layout: files, pictures, masks, cameras, and whether they fit."""

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from robust3d.cameras import camera_centre
from robust3d.data.published.agreement import FITS, Object, depth_agreement, hull_points
from robust3d.data.published.depths import Change, contradictions
from robust3d.data.published.files import reading
from robust3d.data.published.findings import Report
from robust3d.data.published.inventory import listing
from robust3d.data.published.lens import described, size_in_doubt
from robust3d.data.published.mistakes import explain, half_pixel, rolled, up_axis, usual_up
from robust3d.data.published.numbering import shortened
from robust3d.data.published.own import load_dvr, load_srn
from robust3d.data.published.tangents import Focal, focal_from_masks, miss_px
from robust3d.data.published.text import read_lines
from robust3d.data.published.views import why_not_rigid
from robust3d.errors import UserError

_VIEWS = 24  # of an object, for whether cameras and masks fit
_VIEW_FITS, _SHARP_PX = 0.8, 32  # each view of good data of so many pixels a side has 0.92 and more


def check_views(folder: str | Path, objects: int = 24) -> Report:
    """Check a data set.

    Args:
        folder: of the data set, of one class in it, or of one object.
        objects: how many objects to check, evenly spaced; files are listed for all.

    Raises:
        UserError: there is no such folder, it has neither layout, or no object is to be looked into.
    """
    folder = Path(folder)
    if objects < 1:
        raise UserError(f"--objects {objects}: check at least one object")
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    with reading(folder, "cannot be checked", "look at its files and permissions"):
        return _checked(folder, objects)


def _checked(folder: Path, objects: int) -> Report:
    layout, found, others = _detect(folder)
    report = Report(folder, layout, objects=len(found))
    if others:
        report.add("layout", others[0], f"{len(others)} objects in another layout are not checked", is_error=False)
    _check_lists(folder, found, report)
    step = max(1, math.ceil(len(found) / objects))
    things, ups = [], {}
    for path in found[::step]:
        name = path.relative_to(folder).as_posix() if path != folder else os.path.basename(os.path.abspath(path))
        report.looked_at.append(name)
        try:
            with reading(path, "not readable as views"):
                thing = (load_dvr if layout == "dvr" else load_srn)(path, name, report)
        except UserError as error:
            report.add("unreadable", name, str(error).removeprefix(f"{path}").lstrip("/: "))
            continue
        things.append(thing)
        ups[name] = up_axis(thing)
    if things:
        _check_fit(things, report)
        _check_up(ups, report)
    return report


def _detect(folder: Path) -> tuple[str, list[Path], list[Path]]:
    """The usual layout, the objects' folders in it, and those in the other; at most four levels down."""
    parts = {"dvr": ("cameras.npz", "image", "mask"), "srn": ("intrinsics.txt", "rgb", "pose")}
    found: dict[str, list[Path]] = {"dvr": [], "srn": []}
    for path in _folders(folder, 4):
        layout = next((name for name, files in parts.items() if any((path / file).exists() for file in files)), None)
        if layout:
            found[layout].append(path)
    layout = max(found, key=lambda name: len(found[name]))
    if not found[layout]:
        raise UserError(
            f"{folder}: neither DVR's layout (<class>/<object>/cameras.npz, image/*.png, mask/*.png) nor SRN's "
            "(<class>_train/<object>/intrinsics.txt, rgb/*.png, pose/*.txt) is in here"
        )
    return layout, found.pop(layout), next(iter(found.values()))


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
    parents = sorted({Path(os.path.abspath(path)).parent for path in found} | {Path(os.path.abspath(folder))})
    lists = 0
    for parent in parents:
        for prefix in ("softras_", ""):
            owner: dict[str, str] = {}
            for part in ("train", "val", "test"):
                file = parent / f"{prefix}{part}.lst"
                if not file.is_file():
                    continue
                lists += 1
                try:
                    ids = read_lines(file)
                except UserError as error:
                    report.add("list", file, str(error))
                    continue
                _check_list(file, ids, report)
                twice = [key for key in ids if owner.setdefault(key, part) != part]
                if twice:
                    report.add(
                        "leak", file, f"{twice[0]} stands in {owner[twice[0]]} as well: test data in the training set"
                    )
    if found[0] != folder and not lists:
        says = "no softras_train.lst, softras_val.lst, softras_test.lst; DVR and pixelNeRF find objects by these lists"
        report.add("no lists", parents[-1], says, is_error=False)


def _check_list(file: Path, ids: list[str], report: Report) -> None:
    """The folders that a list names are there and hold cameras; which objects are looked into does not matter."""
    absent = [key for key in ids if not (file.parent / key).is_dir()]
    if absent:
        report.add("list", file, f"names {len(absent)} objects that are not there, such as {absent[0]}")
    bare = [key for key in sorted(set(ids) - set(absent)) if not (file.parent / key / "cameras.npz").exists()]
    if bare:
        report.add("list", file, f"names {len(bare)} objects without cameras.npz in their folders, such as {bare[0]}")


def _check_fit(things: list[Object], report: Report) -> None:
    """Checks cameras against masks, and finds what would correct them."""
    things = [thing.only(np.flatnonzero(thing.masks.any(axis=(1, 2)))) for thing in things]  # empty ones are reported
    few = [thing for thing in things if len(thing.masks) == 1]
    if few:
        report.add("one view", few[0].name, "only one view: its camera cannot be checked", is_error=False)
    things = [thing for thing in things if len(thing.masks) >= 2]
    hulls = {thing.name: hull_points(thing.thinned(_VIEWS), 0.5, None) for thing in things}
    report.agreement = {name: float(np.mean(fractions)) for name, (_, fractions) in hulls.items()}
    wrong = [thing for thing in things if report.agreement[thing.name] < FITS]
    if not things:
        return
    if wrong:
        remedy = explain(wrong, report.layout, things)
        for thing in wrong:
            says = f"cameras and masks contradict each other: {report.agreement[thing.name]:.0%} of the mask pixels fit"
            if remedy:
                says += f". They would fit ({remedy[1]:.0%}) if this was it: {remedy[0]}"
            else:
                says += ". None of the usual mistakes explains it; are pictures and cameras of the same object?"
            report.add("fit", thing.name, says)
        return
    turned = rolled(things, report.layout)
    if turned:
        report.add("rolled", report.folder, turned)
        return
    odd = {thing.name: _odd_views(thing.thinned(_VIEWS), hulls[thing.name][1]) for thing in things}
    even = [thing for thing in things if not odd[thing.name]] or things
    if _check_lens(even, {name: points for name, (points, _) in hulls.items()}, report):
        return
    for name, doubt in odd.items():
        if doubt:
            report.add("odd view", name, doubt)
    _check_centres(things, report)


def _check_lens(things: list[Object], hulls: Mapping[str, np.ndarray], report: Report) -> bool:
    """Focal length, depth maps, principal point and size; whether the focal length is wrong."""
    deep = [thing for thing in things if thing.depth is not None and thing.is_regular]
    wrong, change = contradictions(deep)
    for thing in wrong:
        fits = depth_agreement(thing)
        says = f"depth maps contradict masks and cameras: {fits:.0%} of their points fall on the object in every view"
        if change:
            says += f". They would fit if this was it: {described(change, report.layout)}"
        report.add("depth", thing.name, says)
    if change and change.focal != 1:
        return True
    focal = focal_from_masks(things)
    shift = half_pixel(things, report.layout)
    if focal.factor != 1 and shift and miss_px([shift.change(thing) for thing in things]) < focal.mended_px:
        focal = Focal()
    if focal.factor != 1:
        says = (
            f"{described(Change(focal=focal.factor), report.layout)}: planes that touch an object in one view then "
            f"miss its mask in others by {focal.mended_px:.2f} px instead of {focal.miss_px:.2f}. Wrong translations "
            "and poses do not have this effect"
        )
        report.add("focal length", report.folder, says)
        return True
    if shift:
        report.add("half pixel", report.folder, shift.says)
    is_known = focal.is_known or (len(deep) == len(things) and not wrong)
    doubt = size_in_doubt(
        [hulls[thing.name] for thing in things],
        [thing.poses for thing in things],
        replace(focal, is_known=is_known),
        report.layout,
    )
    if doubt:
        report.add("size", report.folder, doubt, is_error=False)
    return False


def _odd_views(thing: Object, fits: np.ndarray) -> str | None:
    """Among many views that fit, one with another's camera changes little in the mean."""
    odd = np.flatnonzero(fits < _VIEW_FITS) if thing.masks.shape[-1] >= _SHARP_PX else ()
    if not len(odd):
        return None
    names = shortened([thing.files[view] for view in odd])
    says = f"the masks of {names} do not fit the other views ({fits[odd].min():.0%} of the pixels)"
    return f"{says}; do they have the cameras of other views, or show another object?"


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


def _check_up(ups: dict[str, str | None], report: Report) -> None:
    """One axis points up in all objects, and in DVR's layout it is y."""
    known = {name: up for name, up in ups.items() if up}
    usual = usual_up(list(known.values()))
    if usual is None or any(finding.kind == "fit" for finding in report.findings):
        return
    count = list(known.values()).count(usual)
    for name, up in known.items():
        if up != usual:
            says = f"{up} points up here and {usual} in {count} other objects; turn this object's cameras"
            report.add("mixed up", name, says)
    if report.layout == "dvr" and usual != "+y" and not any(finding.kind == "rolled" for finding in report.findings):
        says = f"{usual} points up; in the published data +y does, and pixelNeRF's loader turns the world accordingly"
        report.add("up", report.folder, says, is_error=False)
