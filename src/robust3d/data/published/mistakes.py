"""The usual mistakes in cameras of one's own, each as a change that would correct it; the data show which one fits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from robust3d.data.published.agreement import FITS, Object, agreement
from robust3d.data.published.lens import by_factor

_GAIN = 0.8  # a half pixel or a turn is believed if it leaves less than so much of the unexplained mask pixels
_CHANCE = 0.02  # and so many mask pixels less; round objects may fit better by half as many by chance
_HOPELESS = 0.5  # no other object mends a mean after one like this
_EVEN = 0.01  # scores that differ by less are as good as each other
_FLIP = np.diag([1.0, -1.0, -1.0, 1.0])  # OpenCV camera axes <-> OpenGL's
_ROLL = np.diag([-1.0, -1.0, 1.0, 1.0])  # OpenCV camera axes <-> PyTorch3D's
_WORSE = 0.95
_TURNED = "the pictures are turned by 180 degrees against the cameras (x and y both flipped); turn images and masks"
_VIEWS, _OBJECTS = 12, 3  # that the search looks at


@dataclass(frozen=True)
class Remedy:
    """A change of the cameras or pictures.

    Attributes:
        says: what is wrong and how to correct it.
        change: applied to an object.
    """

    says: str
    change: Callable[[Object], Object]


def explain(things: Sequence[Object], layout: str, everything: Sequence[Object]) -> tuple[str, float] | None:
    """The simplest remedy under which cameras and masks agree, and how well they then do; None if there is none.

    Args:
        things: objects whose cameras and masks do not agree.
        layout: "dvr" or "srn".
        everything: all objects, those that agree as well.
    """
    given = things
    things = [
        thing.thinned(_VIEWS) if np.array_equal(thing.order, np.arange(len(thing.order))) else thing
        for thing in things[:_OBJECTS]
    ]
    poses, pictures, optics = _poses(layout), _pictures(), _optics(layout)
    singles = [[remedy] for remedy in (*poses, *pictures, *optics)]
    pairs = [[pose, other] for pose in poses for other in (*pictures, *optics)]
    for tier in (singles, pairs):
        scored = [(_score(things, remedies), remedies) for remedies in tier]
        best, remedies = max(scored, key=lambda entry: entry[0])  # the first among equals
        if best >= FITS:
            # Masks cannot tell rolled cameras from turned pictures, but objects stand upright.
            if _is_upside_down(things, remedies):
                even = [entry for entry in scored if entry[0] > best - _EVEN]
                best, remedies = next((e for e in even if not _is_upside_down(things, e[1])), (best, remedies))
            return "; and ".join(remedy.says for remedy in remedies), best
        if tier is singles and (found := by_factor(given, layout, everything)):
            return found
    return None


def _score(things: Sequence[Object], remedies: Sequence[Remedy]) -> float:
    scores = []
    for thing in things:
        changed = _mended(thing, remedies)
        if not (np.isfinite(changed.poses).all() and np.isfinite(changed.intrinsics).all()):
            return 0.0
        scores.append(agreement(changed))
        if scores[-1] < _HOPELESS:
            break
    return float(np.mean(scores))


def _mended(thing: Object, remedies: Sequence[Remedy]) -> Object:
    for remedy in remedies:
        thing = remedy.change(thing)
    return thing


def _is_upside_down(things: Sequence[Object], remedies: Sequence[Remedy]) -> bool:
    up = usual_up([up_axis(_mended(thing, remedies)) for thing in things])
    return up is not None and up.startswith("-")


def up_axis(thing: Object) -> str | None:
    """The world's axis that points up in the pictures, such as "+y", where one does."""
    lengths = np.linalg.norm(thing.poses[:, 1, :3], axis=1, keepdims=True)
    up = -(thing.poses[:, 1, :3] / np.maximum(lengths, 1e-12)).mean(axis=0)
    axis = int(np.abs(up).argmax())
    if np.abs(up[axis]) < 0.4 or np.abs(up[axis]) < 1.5 * np.delete(np.abs(up), axis).max():
        return None
    return f"{'+' if up[axis] > 0 else '-'}{'xyz'[axis]}"


def usual_up(ups: Sequence[str | None]) -> str | None:
    """The most frequent axis that points up; None if none is known."""
    known = sorted(up for up in ups if up)
    return max(known, key=known.count) if known else None


def rolled(things: Sequence[Object], layout: str) -> str | None:
    """What to do about cameras that are rolled by 180 degrees against the pictures; None if they are not.

    From afar both readings explain the masks, for a picture turned by 180 degrees shows a mirrored object. Masks that
    are not widened tell them apart where the camera is near; where they do not, that objects stand upright.
    """
    turn = Remedy("", lambda t: replace(t, masks=t.masks[:, ::-1, ::-1]))
    now, then = _unexplained(things[:6], []), _unexplained(things[:6], [turn])
    up = usual_up([up_axis(thing) for thing in things])
    is_better = _is_clearly_less(then, now)
    is_worse = now.sum() < _WORSE * then.sum() and (now < then).mean() > 0.7
    if up and up.startswith("-"):
        says = f"{up} points up: {_pytorch3d(layout)}. If the world itself stands on its head, turn the world instead"
        return None if is_worse else says
    if not is_better:
        return None
    return _TURNED if up else f"{_TURNED}, or {_pytorch3d(layout)}"


def _pytorch3d(layout: str) -> str:
    name, side = ("world_mat", "left") if layout == "dvr" else ("pose/*.txt", "right")
    return (
        f"{name} has the camera axes of PyTorch3D (x left, y up), not OpenCV's (x right, y down); "
        f"multiply it by diag(-1, -1, 1, 1) from the {side}"
    )


def _poses(layout: str) -> list[Remedy]:
    name, wanted, other = (
        ("world_mat", "world-to-camera", "camera-to-world")
        if layout == "dvr"
        else ("pose/*.txt", "camera-to-world", "world-to-camera")
    )
    side = "multiply it by diag(1, -1, -1, 1) from the " + ("left" if layout == "dvr" else "right")
    row_vectors = Remedy(
        f"{name} holds R and T of PyTorch3D as they are (for row vectors; x left, y up); store diag(-1, -1, 1) @ "
        "[transposed R | T]",
        lambda t: _posed(t, lambda m: _ROLL @ _transposed(m)),
    )
    return [
        Remedy(f"{name} holds {other} matrices; store their inverses, {wanted}", lambda t: _posed(t, _inverse)),
        Remedy(
            f"{name} has the camera axes of OpenGL and Blender (y up, looking along -z), not OpenCV's; {side}",
            lambda t: _posed(t, lambda m: _FLIP @ m),
        ),
        Remedy(
            f"{name} holds {other} matrices with the camera axes of OpenGL and Blender (y up, looking along -z); "
            + ("store diag(1, -1, -1, 1) @ inverse" if layout == "dvr" else "store inverse @ diag(1, -1, -1, 1)"),
            lambda t: _posed(t, lambda m: _FLIP @ _inverse(m)),
        ),
        Remedy(_pytorch3d(layout), lambda t: _posed(t, lambda m: _ROLL @ m)),
        Remedy(
            f"{name} holds {other} matrices with the camera axes of PyTorch3D (x left, y up); "
            + ("store diag(-1, -1, 1, 1) @ inverse" if layout == "dvr" else "store inverse @ diag(-1, -1, 1, 1)"),
            lambda t: _posed(t, lambda m: _ROLL @ _inverse(m)),
        ),
        Remedy(
            f"the 3x3 part of {name} is transposed (its translation is not); transpose it back",
            (lambda t: _posed(t, _transposed)) if layout == "dvr" else (lambda t: _posed(t, _transposed_inverse)),
        ),
        *([row_vectors] if layout == "dvr" else []),
    ]


def _pictures() -> list[Remedy]:
    return [
        Remedy(
            "the pictures are upside down against the cameras; flip images and masks vertically (the first row of a "
            "picture is its top, and y points down)",
            lambda t: replace(t, masks=t.masks[:, ::-1]),
        ),
        Remedy(
            "the pictures are mirrored left to right against the cameras; flip images and masks horizontally",
            lambda t: replace(t, masks=t.masks[:, :, ::-1]),
        ),
        Remedy(_TURNED, lambda t: replace(t, masks=t.masks[:, ::-1, ::-1])),
        Remedy(
            "the cameras are numbered in the order 0, 1, 2, … but the files sort as 0, 1, 10, 11, …; "
            "name them with leading zeros",
            lambda t: replace(t, masks=t.masks[t.order]),
        ),
    ]


def _optics(layout: str) -> list[Remedy]:
    if layout == "dvr":
        units = [
            Remedy(
                "camera_mat is in pixels; DVR's image coordinates run from -1 to 1: "
                "fx' = 2 fx / W, cx' = 2 cx / W - 1, likewise in y",
                lambda t: replace(t, intrinsics=t.given),
            ),
            Remedy(
                "camera_mat is in fractions of the picture, 0 to 1; DVR's image coordinates run from -1 to 1: "
                "fx' = 2 fx, cx' = 2 cx - 1, likewise in y",
                lambda t: replace(t, intrinsics=_scaled(t.given, t.masks.shape[-1])),
            ),
            Remedy(
                "the focal length of camera_mat is in pixels, its centre is not; divide fx and fy by W / 2",
                lambda t: replace(t, intrinsics=_centred(t.given, t.masks.shape[-1])),
            ),
        ]
    else:
        units = [
            Remedy(
                "intrinsics.txt is in image coordinates from -1 to 1; SRN's are pixels: "
                "f' = f W / 2, c' = (c + 1) W / 2",
                lambda t: replace(t, intrinsics=_from_ndc(t.given, t.masks.shape[-1])),
            ),
            Remedy(
                "intrinsics.txt is in fractions of the picture; SRN's are pixels: multiply f, cx and cy by W",
                lambda t: replace(t, intrinsics=_scaled(t.given, t.masks.shape[-1])),
            ),
        ]
    return [
        *units,
        Remedy(
            "the principal point is wrong; for a camera that looks straight it is the middle of the picture ("
            + ("0, 0 in camera_mat)" if layout == "dvr" else "W / 2, H / 2 in intrinsics.txt)"),
            lambda t: replace(t, intrinsics=_centred(t.intrinsics, t.masks.shape[-1])),
        ),
        Remedy(
            "the intrinsics are those of pictures twice as large; halve focal length and principal point (in pixels)",
            lambda t: replace(t, intrinsics=_scaled(t.intrinsics, 0.5)),
        ),
        Remedy(
            "the intrinsics are those of pictures half as large; double focal length and principal point (in pixels)",
            lambda t: replace(t, intrinsics=_scaled(t.intrinsics, 2.0)),
        ),
    ]


def half_pixel(things: Sequence[Object], layout: str) -> Remedy | None:
    """The shift of the principal point that the masks ask for; None if they fit as they are.

    Masks are not widened here, so even good data leave pixels unexplained; a shift that is right leaves fewer.
    """
    side = things[0].masks.shape[-1]
    unit = f" (in camera_mat: {2 / side:.4g} times as much)" if layout == "dvr" else ""
    remedies = [
        Remedy(
            f"the principal point is off by half a pixel: add {dx:+g}, {dy:+g} px{unit}. The centre of pixel (0, 0) is "
            "the image point (0.5, 0.5), and the middle of a W px picture is W / 2, not (W - 1) / 2",
            lambda t, dx=dx, dy=dy: replace(t, intrinsics=_shifted(t.intrinsics, dx, dy)),  # type: ignore[misc]
        )
        for dx in (-0.5, 0.5)
        for dy in (-0.5, 0.5)
    ]
    now = _unexplained(things[:6], [])
    for remedy in remedies:
        then = _unexplained(things[:6], [remedy])
        if _is_clearly_less(then, now):
            return remedy
    return None


def _is_clearly_less(then: np.ndarray, now: np.ndarray) -> bool:
    """Whether a change leaves fewer unexplained pixels (by object)."""
    gain = then.sum() < _GAIN * now.sum() and (now - then).mean() > _CHANCE
    return bool(gain and (then < now).mean() > 0.7)


def _unexplained(things: Sequence[Object], remedies: Sequence[Remedy]) -> np.ndarray:
    """By object: the fraction of the mask pixels that the hull misses when masks are taken to the pixel."""
    return np.array([1 - agreement(_mended(thing.thinned(_VIEWS), remedies), tolerance_px=0) for thing in things])


def _posed(thing: Object, change: Callable[[np.ndarray], np.ndarray]) -> Object:
    return replace(thing, poses=np.stack([change(pose) for pose in thing.poses]))


def _inverse(pose: np.ndarray) -> np.ndarray:
    try:
        return np.linalg.inv(pose)
    except np.linalg.LinAlgError:
        return np.full((4, 4), np.nan)


def _transposed(pose: np.ndarray) -> np.ndarray:
    turned = pose.copy()
    turned[:3, :3] = pose[:3, :3].T
    return turned


def _transposed_inverse(pose: np.ndarray) -> np.ndarray:
    return _inverse(_transposed(_inverse(pose)))


def _scaled(matrices: np.ndarray, factor: float) -> np.ndarray:
    return np.diag([factor, factor, 1.0]) @ matrices


def _centred(matrices: np.ndarray, side: int) -> np.ndarray:
    centred = matrices.copy()
    centred[:, :2, 2] = side / 2
    return centred


def _from_ndc(matrices: np.ndarray, side: int) -> np.ndarray:
    return np.array([[side / 2, 0, side / 2], [0, side / 2, side / 2], [0, 0, 1]]) @ matrices


def _shifted(matrices: np.ndarray, right: float, down: float) -> np.ndarray:
    shifted = matrices.copy()
    shifted[:, :2, 2] += (right, down)
    return shifted
