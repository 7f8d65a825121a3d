"""Pictures of volumes: nearer voxels hide farther ones, and the faces lie where they should."""

import numpy as np

from robust3d.figures.voxel_sheet import draw_volume, voxel_sheet

SIDE = 100


def colours(picture: np.ndarray) -> set[tuple[int, ...]]:
    return {tuple(pixel) for pixel in picture.reshape(-1, 3).tolist()}


def one(x: int, y: int, z: int, side: int = 4) -> np.ndarray:
    volume = np.zeros((side,) * 3, bool)
    volume[x, y, z] = True
    return volume


def centre(volume: np.ndarray) -> np.ndarray:
    """(down, right) of the middle of what is drawn."""
    return np.argwhere((draw_volume(volume, SIDE) < 250).any(2)).mean(0)


def test_an_empty_volume_is_white_and_a_full_one_stays_inside() -> None:
    assert colours(draw_volume(np.zeros((4, 4, 4)), SIDE)) == {(255, 255, 255)}
    full = draw_volume(np.ones((4, 4, 4)), SIDE)
    assert full.shape == (SIDE, SIDE, 3)
    border = np.concatenate([full[0], full[-1], full[:, 0], full[:, -1]])
    assert (border > 200).all() and (full < 250).any(2).mean() > 0.5


def test_y_is_up_x_goes_right_and_z_left() -> None:
    start = centre(one(0, 0, 0))
    assert centre(one(0, 3, 0))[0] < start[0] - 10
    assert centre(one(3, 0, 0))[1] > start[1] + 10
    assert centre(one(0, 0, 3))[1] < start[1] - 10


def test_what_is_covered_from_all_three_sides_is_not_seen() -> None:
    solid, hollow = np.ones((4, 4, 4), bool), np.ones((4, 4, 4), bool)
    hollow[:3, :3, :3] = False
    assert np.array_equal(draw_volume(solid, SIDE), draw_volume(hollow, SIDE))
    assert not np.array_equal(draw_volume(solid, SIDE), draw_volume(solid & ~one(3, 3, 3), SIDE))


def test_a_sheet_has_a_row_for_each_kind() -> None:
    volumes = [one(1, 1, 1), one(2, 2, 2), one(0, 0, 0)]
    rows = [(name, colour, volumes) for name, colour in (("a", "observed"), ("b", "generated"), ("c", "neighbour"))]
    sheet = voxel_sheet(rows, 96, note="note")
    assert sheet.width > 3 * 96 and sheet.height > 3 * 96
