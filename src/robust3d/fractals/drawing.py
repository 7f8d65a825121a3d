"""Pictures of point sets: as points, or with a small random patch at each."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Grey = npt.NDArray[np.uint8]
PAD_PX = 6  # margin of the released renderer
VALUE = 127  # grey of the released pictures
_CORNERS = tuple((dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1))


def pixels_of(points: Array, side_px: int, pad_px: int = PAD_PX) -> npt.NDArray[np.int64]:
    """Rows and columns (n, 2) of points; x and y are scaled each to the whole picture without its margin."""
    low = points.min(0)
    spread = np.maximum(points.max(0) - low, 1e-300)
    scaled = (points - low) / spread * (side_px - 2 * pad_px) + pad_px
    return np.asarray(scaled[:, ::-1], np.int64)


def draw_points(points: Array, side_px: int) -> Grey:
    """A picture (side, side) with one pixel for each point."""
    picture = np.zeros((side_px, side_px), np.uint8)
    if len(points):
        rows, columns = pixels_of(points, side_px).T
        picture[rows, columns] = VALUE
    return picture


def draw_patches(points: Array, side_px: int, generator: np.random.Generator, each: bool = True) -> Grey:
    """A picture (side, side) with a random 3 x 3 pattern at each point.

    Args:
        points: (n, 2).
        side_px: of the picture.
        generator: of the patterns, numbers of 1 to 511 whose bits are pixels.
        each: a pattern for each point, as in the released code; otherwise one for the picture, as in the paper's text.
    """
    picture = np.zeros(side_px * side_px, np.uint8)
    if not len(points):
        return picture.reshape(side_px, side_px)
    rows, columns = pixels_of(points, side_px).T
    place = rows * side_px + columns
    patterns = generator.integers(1, 512, size=len(points) if each else 1, dtype=np.uint16)
    for bit, (dy, dx) in enumerate(_CORNERS):
        chosen = (patterns >> bit) & 1 == 1
        if each:
            picture[place[chosen] + (dy * side_px + dx)] = VALUE
        elif chosen[0]:
            picture[place + (dy * side_px + dx)] = VALUE
    return picture.reshape(side_px, side_px)
