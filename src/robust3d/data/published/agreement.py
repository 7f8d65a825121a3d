"""Do cameras and masks fit together? The visual hull of all views has to reach every pixel of every mask.

A pixel of a mask is explained if some point of its ray, inside the cube of the objects, falls on the object in
every other view. For good masks and cameras all pixels are explained, whatever the object looks like, but for
parts so thin that they fall between pixel centres.
"""

from dataclasses import dataclass

import numpy as np

from robust3d.cameras import cube_interval

FITS = 0.95  # good data reach 0.99 (thirteen categories, 32 to 128 px, 8 to 24 views on a ring or a sphere)
_SAMPLES = 96  # points of a ray
_PIXELS = 64  # of each mask
_VIEWS_A_MISS = 12  # in one view of so many a point may miss: a thin part can fall between all pixel centres


@dataclass(frozen=True)
class Object:
    """Masks and cameras of one object as they are in the files, right or wrong.

    Attributes:
        name: of the object.
        masks: (V, S, S) bool.
        poses: (V, 4, 4) what the files give as world_to_camera.
        intrinsics: (V, 3, 3) what that makes the intrinsics, px.
        given: (V, 3, 3) the intrinsics as the files give them: DVR's in [-1, 1], SRN's in pixels.
        order: (V,) positions of the masks if their file names were ordered as numbers.
        depth: (V, S, S) camera z, inf where there is none; None: no depth maps.
        files: V names of the pictures.
    """

    name: str
    masks: np.ndarray
    poses: np.ndarray
    intrinsics: np.ndarray
    given: np.ndarray
    order: np.ndarray
    depth: np.ndarray | None = None
    files: tuple[str, ...] = ()

    @property
    def is_regular(self) -> bool:
        """Whether points can be taken from pictures to the world: all matrices are finite and have inverses."""
        matrices = (self.poses, self.intrinsics)
        return all(np.isfinite(of).all() and (np.abs(np.linalg.det(of)) > 1e-12).all() for of in matrices)

    def only(self, views: np.ndarray) -> "Object":
        """The same with some of its views; their order by number is kept where all of them are."""
        if len(views) == len(self.masks):
            return self
        depth = None if self.depth is None else self.depth[views]
        arrays = (self.masks[views], self.poses[views], self.intrinsics[views], self.given[views])
        files = tuple(self.files[view] for view in views) if self.files else ()
        return Object(self.name, *arrays, np.arange(len(views)), depth, files)

    def thinned(self, views: int) -> "Object":
        """The same with so many views at most, evenly spaced."""
        count = len(self.masks)
        return self.only(np.arange(min(views, count)) * count // min(views, count))


def agreement(thing: Object, half_size: float = 0.5, tolerance_px: float | None = None) -> float:
    """Fraction of mask pixels that the visual hull inside the cube [-half_size, half_size]^3 reaches, mean of views.

    Args:
        thing: masks and cameras; poses need not be rigid.
        half_size: of the cube, world units.
        tolerance_px: masks are widened by so much; None: a pixel at 64 px, and one view in twelve may disagree.

    Returns:
        1 for cameras that fit, near 0 for ones that do not.
    """
    reached = hull_points(thing, half_size, tolerance_px)[1]
    return float(np.mean(reached)) if len(reached) else 0.0


def hull_points(thing: Object, half_size: float, tolerance_px: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Points (P, 3) of the visual hull along the rays of some mask pixels, and (V,) reached fractions of the masks."""
    views, side = thing.masks.shape[0], thing.masks.shape[-1]
    widened = widen(thing.masks, max(1, round(side / 64)) if tolerance_px is None else tolerance_px)
    allowed = views // _VIEWS_A_MISS if tolerance_px is None else 0
    rng = np.random.default_rng(0)
    kept, fractions = [], []
    for view in range(views):
        pixels = np.argwhere(thing.masks[view])
        if not len(pixels):
            continue
        pixels = pixels[np.sort(rng.permutation(len(pixels))[:_PIXELS])]
        points = _ray_points(thing, view, pixels, half_size)
        inside = np.isfinite(points).all(axis=-1)
        misses = np.zeros(inside.shape, int)
        for other in range(views):
            if other != view and inside.any():
                hits = _falls_on(points[inside], thing.poses[other], thing.intrinsics[other], widened[other])
                misses[inside] += ~hits
                inside &= misses <= allowed
        fractions.append(inside.any(axis=1).mean())
        kept.append(points[inside])
    return (np.concatenate(kept) if kept else np.zeros((0, 3))), np.array(fractions)


def _ray_points(thing: Object, view: int, pixels: np.ndarray, half_size: float) -> np.ndarray:
    """(N, samples, 3) points of the rays through pixel centres inside the cube; NaN where a ray misses it."""
    image = np.column_stack([pixels[:, 1] + 0.5, pixels[:, 0] + 0.5, np.ones(len(pixels))])
    with np.errstate(all="ignore"):
        try:
            to_world = np.linalg.inv(thing.poses[view])
            directions = image @ np.linalg.inv(thing.intrinsics[view]).T @ to_world[:3, :3].T
        except np.linalg.LinAlgError:
            return np.full((len(pixels), _SAMPLES, 3), np.nan)
        origin = to_world[:3, 3]
        near, far, meets = cube_interval(origin, directions, half_size)
        near = np.where(meets, near, np.nan)
        depths = near[:, None] + (far - near)[:, None] * (np.arange(_SAMPLES) + 0.5) / _SAMPLES
        return origin + depths[..., None] * directions[:, None]


def _falls_on(points: np.ndarray, pose: np.ndarray, intrinsics: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(N,) whether points (N, 3) are in front of the camera and fall on the mask."""
    camera = points @ pose[:3, :3].T + pose[:3, 3]
    with np.errstate(all="ignore"):
        image = camera @ intrinsics.T
        column, row = (np.floor(np.nan_to_num(image[:, k] / image[:, 2], nan=-1.0)) for k in (0, 1))
    side = len(mask)
    seen = (camera[:, 2] > 0) & (column >= 0) & (column < side) & (row >= 0) & (row < side)
    result = np.zeros(len(points), bool)
    result[seen] = mask[row[seen].astype(int), column[seen].astype(int)]
    return result


def widen(masks: np.ndarray, pixels: float) -> np.ndarray:
    """Masks (V, S, S) grown by so many whole pixels to each side."""
    grown = masks
    for _ in range(int(pixels)):
        padded = np.pad(grown, ((0, 0), (1, 1), (1, 1)))
        rows = padded[:, :-2] | padded[:, 1:-1] | padded[:, 2:]
        grown = rows[:, :, :-2] | rows[:, :, 1:-1] | rows[:, :, 2:]
    return grown


def depth_agreement(thing: Object) -> float:
    """Fraction of the depth maps' points that fall on the object in every other view.

    Args:
        thing: with depth.

    Returns:
        1 for depth maps that fit masks and cameras; NaN without any depth.
    """
    assert thing.depth is not None
    side = thing.masks.shape[-1]
    widened = widen(thing.masks, max(1, round(side / 64)))
    rng = np.random.default_rng(0)
    fractions = []
    for view, depth in enumerate(thing.depth):
        pixels = np.argwhere(thing.masks[view] & np.isfinite(depth))
        if not len(pixels):
            continue
        pixels = pixels[rng.permutation(len(pixels))[:_PIXELS]]
        image = np.column_stack([pixels[:, 1] + 0.5, pixels[:, 0] + 0.5, np.ones(len(pixels))])
        camera = image @ np.linalg.inv(thing.intrinsics[view]).T
        camera = camera * depth[pixels[:, 0], pixels[:, 1]][:, None]
        to_world = np.linalg.inv(thing.poses[view])
        points = camera @ to_world[:3, :3].T + to_world[:3, 3]
        inside = np.ones(len(points), bool)
        for other in range(len(thing.masks)):
            inside &= _falls_on(points, thing.poses[other], thing.intrinsics[other], widened[other])
        fractions.append(inside.mean())
    return float(np.mean(fractions)) if fractions else float("nan")
