"""The thirteen categories: deterministic, closed parts, in bounds, varied, and strict about names."""

import numpy as np
import pytest
from pydantic import ValidationError

from robust3d.shapes import categories
from robust3d.shapes.mesh import Mesh

trimesh = pytest.importorskip("trimesh")

ALL = categories.Params()
ROUNDS = 12  # instances looked at, more than twice the styles of any class
THIRTEEN = "airplane bench cabinet car chair display lamp loudspeaker rifle sofa table telephone vessel"


def meshes(class_name: str, seed: int = 0, count: int = ROUNDS) -> list[Mesh]:
    return [categories.build(ALL, seed, class_name, f"{k:04d}") for k in range(count)]


def raw(mesh: Mesh) -> bytes:
    return mesh.vertices.tobytes() + mesh.faces.tobytes() + mesh.colours.tobytes()


def occupancy(mesh: Mesh, cells: int = 12) -> np.ndarray:
    """Which coarse cells hold face centres, seen from the side and from the top: a simple descriptor."""
    points = mesh.vertices[mesh.faces].mean(axis=1)
    grids = [np.histogram2d(*points[:, axes].T, bins=cells, range=[[-0.5, 0.5]] * 2)[0] for axes in ([2, 1], [0, 2])]
    return np.concatenate([np.sign(grid).ravel() for grid in grids])


def test_the_thirteen_classes_in_label_order() -> None:
    assert ALL.classes == tuple(THIRTEEN.split())
    assert all(3 <= len(styles) <= 5 for styles in categories.STYLES.values())


@pytest.mark.parametrize("class_name", ALL.classes)
def test_same_seed_same_bytes(class_name: str) -> None:
    first, again, other = meshes(class_name), meshes(class_name), meshes(class_name, seed=1)
    assert [raw(m) for m in first] == [raw(m) for m in again]
    assert all(raw(a) != raw(b) for a, b in zip(first, other))
    assert len({raw(m) for m in first}) == ROUNDS


@pytest.mark.parametrize("class_name", ALL.classes)
def test_an_instance_depends_on_neither_the_number_of_instances_nor_the_other_classes(
    class_name: str,
) -> None:
    few = categories.only(categories.Params(instances=8), class_name)
    many = categories.Params(instances=2000)
    assert few.classes == (class_name,)
    assert raw(categories.build(few, 3, class_name, "0007")) == raw(categories.build(many, 3, class_name, "0007"))
    assert categories.instance_ids(few, 3) == categories.instance_ids(many, 3)[:8]


@pytest.mark.parametrize("class_name", ALL.classes)
def test_every_part_is_a_closed_outward_solid(class_name: str) -> None:
    for mesh in meshes(class_name):
        assert np.isfinite(mesh.vertices).all() and np.isfinite(mesh.colours).all()
        surface = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
        parts = surface.split(only_watertight=False)
        # split() drops nothing: the parts hold all faces.
        assert sum(len(part.faces) for part in parts) == len(mesh.faces)
        for part in parts:
            assert part.is_watertight and part.is_winding_consistent
            assert part.volume > 0
        longest = surface.edges_unique_length.max()
        assert surface.area_faces.min() > 1e-9 * longest**2


@pytest.mark.parametrize("class_name", ALL.classes)
def test_bounds_size_and_colours(class_name: str) -> None:
    for mesh in meshes(class_name):
        low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
        assert np.allclose(low, -high, atol=1e-12)
        assert (high - low).max() <= categories.extent(ALL) + 1e-12
        assert np.linalg.norm(high - low) <= 1.4 + 1e-12
        # One of the two limits is met, so that objects fill the view.
        assert np.isclose((high - low).max(), 1.0) or np.isclose(np.linalg.norm(high - low), 1.4)
        assert len(mesh.faces) < 8000
        assert mesh.colours.shape == mesh.faces.shape and mesh.colours.dtype == np.float32
        assert mesh.colours.min() >= 0 and mesh.colours.max() <= 1


@pytest.mark.parametrize("class_name", ALL.classes)
def test_each_round_runs_through_all_styles(class_name: str) -> None:
    count = len(categories.STYLES[class_name])
    for turn in range(4):
        ids = [f"{k:04d}" for k in range(turn * count, (turn + 1) * count)]
        assert sorted(categories.style_index(0, class_name, i) for i in ids) == list(range(count))


def mean_distance(shapes: np.ndarray) -> float:
    """Mean number of cells in which two different rows differ."""
    return float(np.abs(shapes[:, None] - shapes[None]).sum(axis=2)[np.triu_indices(len(shapes), 1)].mean())


@pytest.mark.parametrize("class_name", ALL.classes)
def test_styles_differ_in_structure_and_instances_of_a_style_in_proportions(class_name: str) -> None:
    count = len(categories.STYLES[class_name])
    styles: list[list[Mesh]] = [[] for _ in range(count)]
    for instance in categories.instance_ids(ALL, 0)[: 6 * count]:
        style = categories.style_index(0, class_name, instance)
        styles[style].append(categories.build(ALL, 0, class_name, instance))
    shapes = [np.array([occupancy(mesh) for mesh in built]) for built in styles]
    # A class of one style would score about 1 here; the classes score 1.9 (sofa) to 8, whatever their bulk.
    within = np.mean([mean_distance(rows) for rows in shapes])
    assert mean_distance(np.concatenate(shapes)) > 1.5 * within
    for built in styles:
        sizes = np.array([np.ptp(mesh.vertices, axis=0) for mesh in built])
        assert (sizes.max(axis=0) / sizes.min(axis=0)).max() > 1.02


def test_unknown_and_repeated_names_are_refused() -> None:
    with pytest.raises(ValidationError, match="no such category: spoon"):
        categories.Params(classes=("chair", "spoon"))
    with pytest.raises(ValidationError, match="twice"):
        categories.Params(classes=("chair", "chair"))
    with pytest.raises(ValidationError):
        categories.Params(classes=())
    chairs = categories.only(ALL, "chair")
    for class_name, instance in (("table", "0000"), ("chair", "7"), ("chair", "x"), ("spoon", "0000")):
        with pytest.raises(ValueError, match="no instance"):
            categories.build(chairs, 0, class_name, instance)


def test_whiteness_moves_every_colour_that_share_of_its_way_to_white() -> None:
    def srgb(whiteness: float) -> np.ndarray:
        linear = categories.build(categories.Params(whiteness=whiteness), 0, "car", "0003").colours
        return np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)

    bold = srgb(0.0)
    assert np.allclose(1 - srgb(0.45), 0.55 * (1 - bold), atol=1e-6) and bold.min() < 0.25
