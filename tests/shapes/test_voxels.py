"""Surface voxels against clipping triangles by boxes, and the conventions of grids."""

import itertools

import numpy as np
import pytest

from robust3d.shapes import categories
from robust3d.shapes.voxels import VoxelParams, placed, shifted, surface_voxels, voxelise

CUBE = np.array(list(itertools.product((0.0, 1.0), repeat=3)))
CUBE_FACES = np.array([
    [0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4],
    [1, 5, 7], [1, 7, 3],
])  # fmt: skip


def clipped(polygon: list[np.ndarray], low: np.ndarray) -> bool:
    """Whether anything of a polygon is left in the unit box at `low`, cut at each side (Sutherland-Hodgman)."""
    for axis, sign in itertools.product(range(3), (1, -1)):
        limit = sign * (low[axis] + (sign < 0))
        kept = []
        for p, q in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
            a, b = sign * p[axis] - limit, sign * q[axis] - limit
            if a >= 0:
                kept.append(p)
            if a * b < 0:
                kept.append(p + a / (a - b) * (q - p))
        polygon = kept
        if not polygon:
            return False
    return True


def reference(vertices: np.ndarray, faces: np.ndarray, side: int) -> np.ndarray:
    """Every voxel that a triangle's box meets, tested by itself."""
    filled = np.zeros((side,) * 3, bool)
    for triangle in vertices[faces]:
        low = np.maximum(np.floor(triangle.min(0)), 0).astype(int)
        high = np.minimum(np.floor(triangle.max(0)), side - 1).astype(int)
        for place in itertools.product(*map(range, low, high + 1)):
            filled[place] = filled[place] or clipped(list(triangle), np.array(place))
    return filled


def random_mesh(seed: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Triangles of all sizes, some of them thin, some of them partly outside of the grid."""
    rng = np.random.default_rng(seed)
    vertices = rng.uniform(-1, side + 1, (8, 3))
    vertices[:3] = vertices[3] + rng.normal(size=(3, 3)) * 10.0 ** rng.uniform(-3, 0.3)
    if seed % 3 == 0:
        vertices[4:6, rng.integers(3)] = vertices[6, 0]  # walls along the grid
    faces = np.array([rng.permutation(8)[:3] for _ in range(5)])
    return vertices, faces


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_it_equals_clipping_every_triangle_by_every_box(first: int) -> None:
    for seed in range(first, first + 50):
        vertices, faces = random_mesh(seed, 5)
        assert np.array_equal(surface_voxels(vertices, faces, 5), reference(vertices, faces, 5)), seed


def test_an_object_of_the_study_equals_the_reference_too() -> None:
    mesh = categories.build(categories.Params(), 0, "chair", "0001")
    points = placed(mesh.vertices, mesh.faces, VoxelParams(resolution=12)) + 1e-4  # off the borders between voxels
    assert np.array_equal(surface_voxels(points, mesh.faces, 12), reference(points, mesh.faces, 12))


@pytest.mark.parametrize("thickness", [0.0, 1e-7, 1e-3, 0.2])
def test_parts_thinner_than_a_voxel_are_kept_without_gaps(thickness: float) -> None:
    slab = CUBE * [9.0, thickness, 9.0] + [0.5, 3.3, 0.5]
    plate = surface_voxels(slab, CUBE_FACES, 10)
    assert plate[:, 3].all() and plate.sum() == 100
    bar = surface_voxels(CUBE * [9.0, thickness, thickness] + [0.5, 3.3, 7.7], CUBE_FACES, 10)
    assert bar[:, 3, 7].all() and bar.sum() == 10
    wire = surface_voxels(
        np.array([[0.1, 0.2, 0.3], [9.9, 9.6, 9.7], [5, 4.9, 5]]), np.array([[0, 1, 1], [0, 0, 1]]), 10
    )
    assert wire[0, 0, 0] and wire[9, 9, 9] and wire.any((1, 2)).all()


def test_order_of_triangles_and_corners_changes_nothing() -> None:
    rng = np.random.default_rng(5)
    mesh = categories.build(categories.Params(), 0, "rifle", "0002")
    points = placed(mesh.vertices, mesh.faces, VoxelParams(resolution=24))
    wanted = surface_voxels(points, mesh.faces, 24)
    for _ in range(3):
        faces = rng.permuted(mesh.faces[rng.permutation(len(mesh.faces))], axis=1)
        assert np.array_equal(surface_voxels(points, faces, 24), wanted)


def test_a_wall_between_two_voxels_fills_both_whatever_the_rounding() -> None:
    wall = np.array([[0.5, 0.5, 2], [3.5, 0.5, 2], [3.5, 3.5, 2], [0.5, 3.5, 2]])
    for nudge in (-1e-13, 0, 1e-13):
        found = surface_voxels(wall + np.array([0, 0, nudge]), np.array([[0, 1, 2], [0, 2, 3]]), 4)
        assert found[:, :, 1:3].all() and not found[:, :, [0, 3]].any()


def test_what_is_far_outside_is_left_out() -> None:
    for far in (1e6, -1e30):
        assert not surface_voxels(CUBE + far, CUBE_FACES, 4).any()
    assert surface_voxels((CUBE - 0.5) * 1e6 * [1, 1, 0] + [0, 0, 1.5], CUBE_FACES, 4)[:, :, 1].all()


def test_an_object_fills_its_place_in_the_grid_and_no_more() -> None:
    solid = voxelise(CUBE * 7 - 40, CUBE_FACES, VoxelParams(resolution=8))[0]
    assert solid.sum() == 8**3 - 6**3  # a hollow cube
    padded = voxelise(CUBE, CUBE_FACES, VoxelParams(resolution=30, object_voxels=24))[0]
    assert padded[3:27, 3:27, 3:27].sum() == padded.sum() == 24**3 - 22**3
    tall = voxelise(CUBE * [1, 4, 2], CUBE_FACES, VoxelParams(resolution=16))[0]
    assert [tall.any(axes).sum() for axes in ((1, 2), (0, 2), (0, 1))] == [4, 16, 8]


def test_up_and_turns() -> None:
    arrow = np.array([[0.0, 0, 0], [0, 3, 0], [2, 0, 0]])  # up along y, then along x
    face = np.array([[0, 1, 2]])
    y_up = voxelise(arrow, face, VoxelParams(resolution=12))[0]
    z_up = voxelise(arrow, face, VoxelParams(resolution=12, up="z"))[0]
    assert y_up[2].sum(0).max() == 12 and y_up.any((0, 2)).all()
    assert z_up.any((0, 1)).all() and np.array_equal(z_up.any(1), y_up.any(2))
    turns = voxelise(arrow, face, VoxelParams(resolution=12, rotations=4))
    for number in range(1, 4):  # quarter turns seen from above: x, then -z
        assert np.array_equal(turns[number], np.rot90(turns[0], -number, (0, 2)))
    assert len(voxelise(arrow, face, VoxelParams(resolution=12, rotations=12))) == 12


def test_jitter_is_seeded_shifts_and_loses_what_leaves() -> None:
    params = VoxelParams(resolution=16, object_voxels=10, rotations=4, jitter=2)
    a, b, c = (voxelise(CUBE, CUBE_FACES, params, 0, name) for name in ("a", "a", "b"))
    assert np.array_equal(a, b) and not np.array_equal(a, c)
    assert (a.sum((1, 2, 3)) == voxelise(CUBE, CUBE_FACES, VoxelParams(resolution=16, object_voxels=10)).sum()).all()
    volume = np.arange(27).reshape(3, 3, 3) > 0
    assert shifted(volume, np.array([3, 0, 0])).sum() == 0
    assert np.array_equal(shifted(volume, np.array([0, -1, 1]))[:, :2, 1:], volume[:, 1:, :2])


def test_impossible_grids_are_refused() -> None:
    for wrong in ({"resolution": 8, "object_voxels": 9}, {"resolution": 4, "jitter": 4}):
        with pytest.raises(ValueError, match="grid of"):
            VoxelParams(**wrong)
