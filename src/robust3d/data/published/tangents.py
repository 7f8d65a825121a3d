"""What masks alone say of the focal length: a plane that touches the object touches all of its pictures.

The planes through the centres of two cameras are a pencil. The two of them that touch the object on either side
touch both masks, whatever the object is (its frontier points; Wong and Cipolla, "Structure and motion from
silhouettes", ICCV 2001). With wrong cameras the planes that touch one mask miss the other, by pixels that can be
measured far below a pixel in the mean of many pairs.

What this cannot see: translations that are all scaled alike move no picture. And a focal length that is k times too
long shows objects 1/k as large: where all cameras look at one point, a point of the object at the distance r from the
optical axis and z behind the middle, in a picture from the distance d, moves by r (z / d) (1 - 1/k) only. That is the
perspective; a sphere has none of it, and under some pixels the masks do not tell focal length from size.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from robust3d.data.published.agreement import Object

_VIEWS, _OBJECTS = 16, 12  # that are looked at
_ASIDE = 0.77  # cosine: a line to another camera nearer to the optical axis may pass through the object
_GRID = 2.0 ** (np.arange(-4, 9) / 2)  # strengths of the perspective, against what the files give
_FINE, _FINEST = 2.0 ** (np.arange(-5, 6) / 12), 2.0 ** (np.arange(-3, 4) / 48)
_CLEARLY = 3.0  # standard errors
_GAIN = 0.9
_NOISE_PX = 0.35  # by which one object of few, symmetrical views may fit better by chance, in all of its views alike
_RIM_PX = 1.5  # masks are known to so much, of their radius


@dataclass(frozen=True)
class Focal:
    """What the masks say.

    Attributes:
        factor: corrects the focal lengths; 1: no evidence against them.
        is_known: whether the masks exclude focal lengths half and twice as long.
        miss_px: how far the planes of one mask miss the other in the mean, with the focal lengths as they are.
        mended_px: the same with `factor`.
    """

    factor: float = 1.0
    is_known: bool = False
    miss_px: float = 0.0
    mended_px: float = 0.0


def zoomed(thing: Object, factor: float) -> Object:
    """The same with focal lengths of so many times the length."""
    intrinsics = thing.intrinsics.copy()
    intrinsics[:, :2, :2] *= factor
    return replace(thing, intrinsics=intrinsics)


def focal_from_masks(things: Sequence[Object]) -> Focal:
    """The focal length under which the masks of all objects fit best.

    Args:
        things: objects with one mistake in common, if any.
    """
    all_touching = _touching(things)
    if not all_touching:
        return Focal()

    def missed(strength: float) -> np.ndarray:
        return np.concatenate([touching.misses(1 / strength) for touching in all_touching])

    def best(strengths: np.ndarray) -> float:
        return float(strengths[np.argmin([missed(strength).mean() for strength in strengths])])

    strength = best(_GRID)
    if strength in (_GRID[0], _GRID[-1]):  # pictures that are turned want the reverse of a perspective
        return Focal()
    strength = best(best(strength * _FINE) * _FINEST)
    now, then = missed(1.0), missed(strength)
    noise = _NOISE_PX / len(all_touching)
    is_known = all(is_less(then, missed(strength * factor), _GAIN, noise) for factor in (0.5, 2.0))
    smallest = 1 + _RIM_PX / float(np.median([touching.radius_px for touching in all_touching]))
    is_wrong = is_less(then, now, _GAIN, noise) and max(strength, 1 / strength) > smallest
    return Focal(1 / strength if is_wrong else 1.0, is_known, float(now.mean()), float(then.mean()))


def miss_px(things: Sequence[Object]) -> float:
    """How far the planes that touch one mask miss the other, mean of all objects, px; NaN without usable pairs."""
    missed = [touching.misses() for touching in _touching(things)]
    return float(np.concatenate(missed).mean()) if missed else float("nan")


def is_less(then: np.ndarray, now: np.ndarray, gain: float, noise: float = 0.0) -> bool:
    """Whether errors of the same views are less than `gain` times as large, and that is no chance.

    Args:
        then: (V,) errors after a change.
        now: (V,) errors before.
        gain: of the means.
        noise: the mean has to be less by so much at least.
    """
    if len(now) < 3:
        return False
    less = now - then
    by_chance = max(noise, _CLEARLY * less.std() / np.sqrt(len(less)))
    return bool(then.mean() < gain * now.mean() and less.mean() > by_chance)


def _touching(things: Sequence[Object]) -> list["_Touching"]:
    """Of the first objects, those with views from the side of each other that show all of the object."""
    result = []
    for thing in things[:_OBJECTS]:
        some = thing.thinned(_VIEWS)
        border = some.masks[:, [0, -1]].any(axis=(1, 2)) | some.masks[:, :, [0, -1]].any(axis=(1, 2))
        whole = some.only(np.flatnonzero(some.masks.any(axis=(1, 2)) & ~border))
        if len(whole.masks) > 1 and whole.is_regular and (whole.intrinsics[:, 0, 0] > 0).all() and len(_pairs(whole)):
            result.append(_Touching(whole))
    return result


class _Touching:
    """The planes through two cameras each that touch the masks of an object."""

    def __init__(self, thing: Object) -> None:
        self._one, self._two = _pairs(thing).T
        self._views, self._side = len(thing.masks), thing.masks.shape[-1]
        self._focal = thing.intrinsics[:, 0, 0]
        across, down = (thing.masks.any(axis=axis).sum(axis=1) for axis in (1, 2))
        self.radius_px = float(np.median(np.maximum(across, down))) / 2
        to_world = np.linalg.inv(thing.poses)
        base, middle = _pencil(to_world, self._one, self._two)
        rays = _rims(thing.masks) @ np.swapaxes(np.linalg.inv(thing.intrinsics), 1, 2)  # (V, N, 3)
        # By view of a pair: (P, 2, 3) the pencil's axes in the view's camera, (P, 2, N) the part of its rays along
        # them that goes with 1 / focal length, and (P, 2, 1) the one that does not.
        self._sides = []
        for view in (self._one, self._two):
            axes = np.stack([np.cross(base, middle), middle], axis=1) @ to_world[view, :3, :3]
            lateral = axes[..., :2] @ np.swapaxes(rays[view][..., :2], 1, 2)
            self._sides.append((view, axes, lateral, axes[..., 2:]))

    def misses(self, zoom: float = 1.0) -> np.ndarray:
        """For each view with a partner: how far planes that touch one mask miss the other, mean of its partners.

        Args:
            zoom: factor of the focal lengths.

        Returns:
            px; cut at a sixteenth of the picture.
        """
        found = []
        for view, axes, lateral, axial in self._sides:
            along = lateral / zoom + axial  # (P, 2, N)
            angles = np.arctan2(along[:, 0], along[:, 1])
            ends = np.stack([angles.argmin(axis=1), angles.argmax(axis=1)], axis=1)
            touching = np.take_along_axis(along, ends[:, None], axis=2)  # (P, 2 axes, 2 ends)
            found.append((view, axes, touching, np.take_along_axis(angles, ends, axis=1)))
        missed = np.zeros((len(self._one), 2))
        for (view, axes, touching, _), angle in zip(found, (found[1][3], found[0][3]), strict=True):
            across, middle = np.cos(angle), -np.sin(angle)  # of the plane's normal, along the pencil's axes
            normal = across[..., None] * axes[:, None, 0, :2] + middle[..., None] * axes[:, None, 1, :2]
            distance = np.abs(across * touching[:, 0] + middle * touching[:, 1]) / np.hypot(
                normal[..., 0], normal[..., 1]
            )
            missed += self._focal[view][:, None] * zoom * distance / 2
        missed = np.minimum(np.nan_to_num(missed, nan=np.inf), self._side / 16)
        views = [missed[(self._one == view) | (self._two == view)] for view in range(self._views)]
        return np.array([of.mean() for of in views if len(of)])


def _pairs(thing: Object) -> np.ndarray:
    """(P, 2) views whose cameras do not look at or away from each other; the focal length does not matter."""
    to_world = np.linalg.inv(thing.poses)
    one, two = np.triu_indices(len(thing.poses), 1)
    apart = to_world[two, :3, 3] - to_world[one, :3, 3]
    forward = to_world[:, :3, 2] / np.linalg.norm(to_world[:, :3, 2], axis=1, keepdims=True)
    length = np.linalg.norm(apart, axis=1)
    cosines = np.abs([(apart * forward[view]).sum(axis=1) for view in (one, two)]).max(axis=0)
    facing = (forward[one] * forward[two]).sum(axis=1) > -0.5
    return np.column_stack([one, two])[(length > 1e-6) & (cosines < _ASIDE * length) & facing]


def _pencil(to_world: np.ndarray, one: np.ndarray, two: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(P, 3) unit vectors from one camera to the other, and from both to what they look at, at right angles to it."""
    base = to_world[two, :3, 3] - to_world[one, :3, 3]
    base /= np.linalg.norm(base, axis=1, keepdims=True)
    middle = to_world[one, :3, 2] + to_world[two, :3, 2]
    middle -= (middle * base).sum(axis=1, keepdims=True) * base
    return base, middle / np.linalg.norm(middle, axis=1, keepdims=True)


def _rims(masks: np.ndarray) -> np.ndarray:
    """(V, 4 S, 3) image points of the first and last pixels of the rows and columns of masks, with a third 1."""
    views, side = masks.shape[:2]
    places = np.arange(side)
    points = np.ones((views, 4 * side, 3))
    for view, mask in enumerate(masks):
        first, last = mask.argmax(axis=1), side - 1 - mask[:, ::-1].argmax(axis=1)
        top, bottom = mask.argmax(axis=0), side - 1 - mask[::-1].argmax(axis=0)
        columns = np.concatenate([first, last, places, places]) + 0.5
        rows = np.concatenate([places, places, top, bottom]) + 0.5
        held = np.concatenate([mask.any(axis=1)] * 2 + [mask.any(axis=0)] * 2)
        points[view, :, 0] = np.where(held, columns, columns[held][0])
        points[view, :, 1] = np.where(held, rows, rows[held][0])
    return points
