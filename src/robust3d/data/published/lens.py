"""Focal length, scale and depth: mistakes by a factor, which a search finds, in words and with their remedy."""

from collections.abc import Sequence

import numpy as np

from robust3d.cameras import camera_centre
from robust3d.data.published.agreement import FITS, Object, agreement, hull_points
from robust3d.data.published.depths import Change, contradictions
from robust3d.data.published.tangents import Focal, focal_from_masks, zoomed

_SMALL = 0.15  # of the side of the cube; exports in the planes of SRN's loader have 0.25 and more
_NARROW = 0.07  # half the size of an object, of its distance from the camera; 0.15 and more is usual


def by_factor(things: Sequence[Object], layout: str, everything: Sequence[Object]) -> tuple[str, float] | None:
    """What is wrong by a factor with cameras that do not fit the masks, and how well they then fit; or None.

    Args:
        things: objects whose hulls in the cube do not reach their masks.
        layout: "dvr" or "srn".
        everything: all objects, those that fit as well: more tell a focal length better, if it is wrong in all.
    """
    deep = [thing for thing in things if thing.depth is not None and thing.is_regular]
    change = contradictions(deep)[1] if deep else None
    if change:
        score = float(np.mean([agreement(change.of(thing)) for thing in deep]))
        if score >= FITS:
            return described(change, layout), score
    focal = focal_from_masks(everything)
    if np.mean([agreement(zoomed(thing, focal.factor)) for thing in things]) < FITS:
        focal = focal_from_masks(things)
    mended = [zoomed(thing, focal.factor) for thing in things]
    says = [described(Change(focal=focal.factor), layout)] if focal.factor != 1 else []
    for half in (0.5, 1.0, 2.0, 4.0, 16.0):
        score = float(np.mean([agreement(thing, half) for thing in mended]))
        if score >= FITS:
            if half > 0.5:
                says.append(_too_large(mended, half, None if focal.is_known else layout))
            return ("; and ".join(says), score) if says else None
    return None


def _too_large(things: Sequence[Object], half: float, open_layout: str | None) -> str:
    """What to do about objects that leave [-0.5, 0.5]^3.

    Args:
        things: objects that fit in a larger cube.
        half: half its side.
        open_layout: the layout, if the focal length may be the cause as well.
    """
    points = np.concatenate([hull_points(thing, half)[0] for thing in things])
    low, high = points.min(axis=0), points.max(axis=0)
    shrink = float(np.abs([low, high]).max()) * 2
    says = (
        f"cameras and masks fit, but the objects reach from {_numbers(low)} to {_numbers(high)} and "
        f"have to lie in [-0.5, 0.5]^3; divide the cameras' translations (and depths) by about {shrink:.2g}, "
        "or centre the objects"
    )
    if open_layout:
        says += (
            f", or multiply {_focal_name(open_layout)} by about {shrink:.2g}: these masks tell only focal length x "
            "size / distance, so compare the focal length with how the pictures were made"
        )
    return says


def described(change: Change, layout: str) -> str:
    """A change in words: what is wrong and what to do."""
    parts = []
    if change.focal != 1:
        parts.append(
            f"the focal length is {1 / change.focal:.2g} times what it should be; multiply {_focal_name(layout)} by "
            f"{change.focal:.3g}"
        )
    if change.is_ray_length:
        parts.append(
            "depths are distances from the camera's centre, but depth is measured along its axis (camera z); divide "
            "the depth of a pixel by the length of its ray (x, y, 1)"
        )
    if change.scale != 1:
        name = "world_mat" if layout == "dvr" else "pose/*.txt"
        parts.append(
            f"depths are {change.scale:.3g} times what the translations of {name} ask for; divide the depths by "
            f"that, or multiply the translations by {change.scale:.3g}, whichever leaves the objects in [-0.5, 0.5]^3"
        )
    return "; and ".join(parts)


def size_in_doubt(hulls: Sequence[np.ndarray], poses: Sequence[np.ndarray], focal: Focal, layout: str) -> str | None:
    """What to say of objects that are small for their cube, or narrow where masks do not tell the focal length.

    Args:
        hulls: (P, 3) points in the hull of each object.
        poses: (V, 4, 4) world_to_camera of each.
        focal: what the masks (or depths) tell.
        layout: "dvr" or "srn".
    """
    known = [(points, pose) for points, pose in zip(hulls, poses, strict=True) if len(points)]
    if not known:
        return None
    size, narrow = 0.0, 0.0
    for points, pose in known:
        low, high = points.min(axis=0), points.max(axis=0)
        distance = float(np.median(np.linalg.norm(camera_centre(pose) - (low + high) / 2, axis=1)))
        size = max(size, float((high - low).max()))
        narrow = max(narrow, float((high - low).max()) / 2 / max(distance, 1e-9))
    if size >= _SMALL and (focal.is_known or narrow >= _NARROW):
        return None
    says = f"the largest object fills {size:.0%} of the side of [-0.5, 0.5]^3, and its half size is {narrow:.0%} of "
    says += "its distance from the cameras. Is that right? "
    if focal.is_known:
        return says + (
            "Masks cannot distinguish size from distance: if it should fill the cube, multiply the cameras' "
            f"translations (and depths) by about {1 / size:.2g}"
        )
    return says + (
        "These masks tell only focal length x size / distance: all cameras look at one point, and the perspective "
        "moves the rims by less than can be seen. If objects should be larger, the focal length is too long: divide "
        f"{_focal_name(layout)}; or the translations are too short: multiply them (and depths)"
    )


def _focal_name(layout: str) -> str:
    return "fx and fy of camera_mat" if layout == "dvr" else "the focal length in intrinsics.txt"


def _numbers(values: np.ndarray) -> str:
    return "(" + ", ".join(f"{value:.2f}" for value in values) + ")"
