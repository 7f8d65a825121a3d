"""Do depth maps, masks and cameras fit together? A surface point of one view is on the surface in its neighbours.

Depth has a unit, so this pins what masks leave open: the focal length, and the scale of the translations against it.
Only translations and depths that are scaled alike, as if the world were larger, show in no view.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from robust3d.data.published.agreement import Object, depth_agreement, widen
from robust3d.data.published.tangents import is_less, zoomed

_POINTS = 64  # of each view
_VIEWS, _OBJECTS = 12, 4  # that are looked at
_FACING = 0.1  # cosine between the optical axes of views that are compared
_THICK = 0.05  # of an object's depth: points that are further apart are not the same
_FOCALS, _FEW_FOCALS = 2.0 ** (np.arange(-7, 8) / 2), (0.125, 0.25, 0.5, 2.0, 4.0)
_SMALLEST = 0.03  # factors that differ less from 1 are not reported
_GAIN = 0.95
_FITS = 0.85  # good data reach 0.93: points of wings that are thinner than a pixel fall beside the masks of 32 px
_EVEN = 1.05  # errors that differ by less are as good as each other


@dataclass(frozen=True)
class Change:
    """What would correct an object's cameras or depth maps.

    Attributes:
        focal: factor of the focal lengths.
        scale: factor of the translations; or depths are so many times too long.
        is_ray_length: depths are distances from the camera's centre, not along its axis.
    """

    focal: float = 1.0
    scale: float = 1.0
    is_ray_length: bool = False

    def of(self, thing: Object) -> Object:
        """The object with this change."""
        changed = zoomed(thing, self.focal)
        if self.is_ray_length:
            changed = replace(changed, depth=_along_axis(changed))
        if self.scale != 1:
            poses = thing.poses.copy()
            poses[:, :3, 3] *= self.scale
            changed = replace(changed, poses=poses)
        return changed

    @property
    def parts(self) -> int:
        """How many mistakes it supposes."""
        return (self.focal != 1) + (self.scale != 1) + self.is_ray_length


def contradictions(things: Sequence[Object]) -> tuple[list[Object], Change | None]:
    """The objects whose depth maps contradict masks and cameras, and the change that corrects them, if there is one.

    Args:
        things: with depth, and matrices that have inverses.
    """
    things = [thing.thinned(_VIEWS) for thing in things]
    if _are_wrong(things) and (change := _search(things[:_OBJECTS])):
        return [thing for thing in things if gaps(change.of(thing)).sum() < gaps(thing).sum()], change
    wrong = [thing for thing in things if depth_agreement(thing) < _FITS or _are_wrong([thing])]
    return wrong, _search(wrong[:_OBJECTS]) if wrong else None


def _are_wrong(things: Sequence[Object]) -> bool:
    """Whether another reading of cameras or depths fits the objects together clearly better."""
    probes = [Change(is_ray_length=True), *(Change(focal=focal) for focal in (*_FEW_FOCALS, 1 / 1.09, 1.09))]
    probes += [Change(scale=scale) for scale in (1 / 1.04, 1.04)]
    return any(is_less(_all_gaps(things, probe), _all_gaps(things), _GAIN) for probe in probes)


def _all_gaps(things: Sequence[Object], change: Change = Change()) -> np.ndarray:
    return np.concatenate([gaps(change.of(thing)) for thing in things]) if things else np.zeros(0)


def _search(things: Sequence[Object]) -> Change | None:
    """The simplest change that leaves (about) the least gap; None if none leaves clearly less than there is."""

    def gap(change: Change) -> np.ndarray:
        return _all_gaps(things, change)

    def best(changes: Sequence[Change]) -> Change:
        return min(changes, key=lambda change: float(gap(change).mean()))

    def finer(change: Change, of: Literal["focal", "scale"]) -> Change:
        for step, most in ((1.05, 4), (1.01, 3)):  # half a step of what was looked at before
            value = getattr(change, of)
            change = best([replace(change, **{of: value * step**power}) for power in range(-most, most + 1)])
        return change

    if not len(gap(Change())):
        return None
    guess = float(np.median([_scale_by_centres(thing) for thing in things]))
    found: list[Change] = []
    for is_ray_length in (False, True):
        plain = Change(is_ray_length=is_ray_length)
        focal = finer(best([replace(plain, focal=factor) for factor in _FOCALS]), "focal")
        scale = finer(replace(plain, scale=guess), "scale")
        both = best([replace(scale, focal=factor) for factor in _FOCALS])
        found += [plain, focal, scale, finer(finer(finer(both, "focal"), "scale"), "focal")]
    found = [_rounded(change) for change in found]
    least = min(float(gap(change).mean()) for change in found)
    even = [change for change in found if gap(change).mean() < _EVEN * least]
    simplest = min(even, key=lambda change: change.parts)
    return simplest if simplest.parts and is_less(gap(simplest), gap(Change()), _GAIN) else None


def _rounded(change: Change) -> Change:
    """Factors that hardly differ from 1 are 1."""
    focal, scale = (1.0 if abs(factor - 1) < _SMALLEST else factor for factor in (change.focal, change.scale))
    return replace(change, focal=focal, scale=scale)


def gaps(thing: Object) -> np.ndarray:
    """For each view: how far its surface points lie from the surface that other views see, mean, cut at 1.

    Returns:
        For views with a neighbour, in units of the distance at which two points are on different parts; about 0.2
        for good data, for some points are hidden in the other view.
    """
    assert thing.depth is not None
    known = thing.masks & np.isfinite(thing.depth) & (thing.depth > 0)
    seen = np.flatnonzero(known.any(axis=(1, 2)))
    thing, known = thing.only(seen), known[seen]
    assert thing.depth is not None
    depth = np.where(known, thing.depth, np.nan)
    to_world = np.linalg.inv(thing.poses)
    forward = to_world[:, :3, 2] / np.linalg.norm(to_world[:, :3, 2], axis=1, keepdims=True)
    facing = forward @ forward.T > _FACING
    np.fill_diagonal(facing, False)
    one, two = np.nonzero(facing)
    if not len(one):
        return np.zeros(0)
    far = _THICK * float(np.median([np.ptp(of[is_known]) for of, is_known in zip(depth, known, strict=True)]))
    points = _surface(thing, depth, to_world)[one]  # (K, P, 3) in the world
    there = points @ np.swapaxes(thing.poses[two, :3, :3], 1, 2) + thing.poses[two, None, :3, 3]
    image = there @ np.swapaxes(thing.intrinsics[two], 1, 2)
    with np.errstate(all="ignore"):
        image = image[..., :2] / np.where(image[..., 2:] > 0, image[..., 2:], np.nan)
        gap = np.minimum(np.abs(there[..., 2] - _between(depth, two, image)) / max(far, 1e-9), 1.0)
    cut_off = thing.masks[:, [0, -1]].any(axis=(1, 2)) | thing.masks[:, :, [0, -1]].any(axis=(1, 2))
    off = _is_off(widen(thing.masks, 1), two, image)
    gap = np.where(off, np.where(cut_off[two, None], np.nan, 1.0), gap)
    seen = np.isfinite(gap)
    sums, counts = (np.bincount(one, of.sum(axis=1), len(depth)) for of in (np.where(seen, gap, 0.0), seen))
    return sums[counts > 0] / counts[counts > 0]


def _surface(thing: Object, depth: np.ndarray, to_world: np.ndarray) -> np.ndarray:
    """(V, P, 3) points in the world of some pixels with depth."""
    rng = np.random.default_rng(0)
    image, depths = np.ones((len(depth), _POINTS, 3)), np.ones((len(depth), _POINTS, 1))
    for view, of in enumerate(depth):
        pixels = np.argwhere(np.isfinite(of))
        pixels = pixels[rng.permutation(len(pixels))]
        row, column = np.resize(pixels, (_POINTS, 2)).T  # from the start again where there are few
        image[view, :, 0], image[view, :, 1], depths[view, :, 0] = column + 0.5, row + 0.5, of[row, column]
    camera = image @ np.swapaxes(np.linalg.inv(thing.intrinsics), 1, 2) * depths
    world: np.ndarray = camera @ np.swapaxes(to_world[:, :3, :3], 1, 2) + to_world[:, None, :3, 3]
    return world


def _between(depth: np.ndarray, views: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Depth (K, P) of views (K,) at image points (K, P, 2), between four pixel centres; NaN if one has none."""
    side = depth.shape[-1]
    at = np.nan_to_num(image - 0.5, nan=-9.0, posinf=-9.0, neginf=-9.0)
    low = np.clip(np.floor(at).astype(np.int64), 0, side - 2)
    right, down = (np.where((at >= 0) & (at <= side - 1), at - low, np.nan)[..., k] for k in (0, 1))
    view = views[:, None]
    column, row = low[..., 0], low[..., 1]
    upper = depth[view, row, column] * (1 - right) + depth[view, row, column + 1] * right
    lower = depth[view, row + 1, column] * (1 - right) + depth[view, row + 1, column + 1] * right
    between: np.ndarray = upper * (1 - down) + lower * down
    return between


def _is_off(masks: np.ndarray, views: np.ndarray, image: np.ndarray) -> np.ndarray:
    """(K, P) whether image points (K, P, 2) fall beside the masks of views (K,)."""
    pixel = np.floor(np.nan_to_num(image, nan=-9.0, posinf=-9.0, neginf=-9.0))
    inside = ((pixel >= 0) & (pixel < masks.shape[-1])).all(axis=-1)
    column, row = (np.where(inside, pixel[..., k], 0).astype(np.int64) for k in (0, 1))
    return ~(inside & masks[views[:, None], row, column])


def _along_axis(thing: Object) -> np.ndarray:
    """Depth maps along the axis, if what there is are distances from the centre."""
    side = thing.masks.shape[-1]
    rows, columns = np.mgrid[:side, :side] + 0.5
    image = np.stack([columns, rows, np.ones((side, side))], axis=-1).reshape(-1, 3)
    rays = image @ np.swapaxes(np.linalg.inv(thing.intrinsics), 1, 2)  # (V, S * S, 3) of unit camera z
    assert thing.depth is not None
    lengths: np.ndarray = np.linalg.norm(rays, axis=-1).reshape(thing.depth.shape)
    return thing.depth / lengths


def _scale_by_centres(thing: Object) -> float:
    """The factor of the translations that brings what all views see to one place, whatever the focal length."""
    assert thing.depth is not None
    seen, moved = [], []
    for pose, intrinsics, mask, depth in zip(thing.poses, thing.intrinsics, thing.masks, thing.depth, strict=True):
        pixels = np.argwhere(mask & np.isfinite(depth))
        if not len(pixels):
            continue
        depths = depth[tuple(pixels.T)]
        ahead = np.quantile(depths, 0.75)  # about the middle of the solid, of which the front is seen
        image = np.append(pixels.mean(axis=0)[::-1] + 0.5, 1.0)
        turned = np.linalg.inv(pose[:3, :3])
        seen.append(turned @ np.linalg.inv(intrinsics) @ image * ahead)
        moved.append(turned @ pose[:3, 3])
    if len(seen) < 2:
        return 1.0
    a, b = (np.array(of) - np.mean(of, axis=0) for of in (seen, moved))
    scale = float((a * b).sum() / max(float((b * b).sum()), 1e-12))
    return scale if 1e-3 < scale < 1e3 else 1.0
