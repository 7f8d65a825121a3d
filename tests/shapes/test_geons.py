"""The forty geons: codes against Figure 8, solids against closed forms, features read off the mesh."""

import math
from itertools import product

import numpy as np
import pytest
from pydantic import ValidationError

from robust3d.shapes import geons
from robust3d.shapes.checks import check
from robust3d.shapes.codes import CODES, NAMES, features, one_feature_pairs, parse
from robust3d.shapes.mesh import Mesh
from robust3d.shapes.sweep import Sweep, solid

# Typed from Figure 8: four rows of ten.
ENDINGS_8 = ["c_na", "ce_c", "ce_t", "ec_c", "ec_p", "ec_t", "m_c-dec", "m_c-inc", "m_p", "m_t"]
FIGURE_8 = [f"{row}_{ending}" for row in ("c_c", "c_s", "s_c", "s_s") for ending in ENDINGS_8]

ALL = geons.Params(classes=CODES)
TEN = geons.Params()
CORNERS = ["_".join(map(str, corner)) for corner in product((0.5, 1.5), repeat=3)]


def raw(code: str, shape: Sweep) -> Mesh:
    vertices, faces = solid(parse(code), shape)
    return Mesh(vertices, faces, np.zeros((len(faces), 3), np.float32))


def rings(mesh: Mesh) -> tuple[list[np.ndarray], tuple[int, int]]:
    """The sections of a sweep in order along the axis, found from the triangles alone.

    An end vertex is shared by a whole fan of faces, so the two vertices of highest valence are the ends; the
    vertices at equal graph distance from one of them form a ring.
    """
    first, last = np.sort(np.argsort(np.bincount(mesh.faces.ravel()))[-2:])
    layer = np.full(len(mesh.vertices), -1)
    layer[first], depth = 0, 0
    edges = np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]])
    while (layer < 0).any():
        reached = edges[layer[edges[:, 0]] == depth, 1]
        layer[reached[layer[reached] < 0]] = depth + 1
        depth += 1
    assert layer[last] == depth
    return [np.flatnonzero(layer == k) for k in range(1, depth)], (int(first), int(last))


def circularity(section: np.ndarray) -> float:
    """4 pi area / perimeter^2 of a planar section, any stretch undone: circle 1, square 0.785."""
    centred = section - section.mean(axis=0)
    flat = np.linalg.svd(centred, full_matrices=False)[0][:, :2]
    flat = flat[np.argsort(np.arctan2(flat[:, 1], flat[:, 0]))]
    after = np.roll(flat, -1, axis=0)
    area = (flat[:, 0] * after[:, 1] - flat[:, 1] * after[:, 0]).sum() / 2
    return float(4 * np.pi * area / np.linalg.norm(after - flat, axis=1).sum() ** 2)


def decode(mesh: Mesh) -> str:
    """The code of a geon, read off its mesh."""
    layers, poles = rings(mesh)
    sections = [mesh.vertices[layer] for layer in layers]
    centres = np.stack([section.mean(axis=0) for section in sections])
    _, spread, directions = np.linalg.svd(centres - centres.mean(axis=0))
    axis = "c" if spread[1] > 0.02 * spread[0] else "s"
    outline = "c" if circularity(sections[len(sections) // 2]) > 0.9 else "s"

    # Across the plane of the axis all sections are stretched alike.
    width = np.array([np.ptp(section @ directions[2]) for section in sections])
    width /= width.max()
    travelled = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(centres, axis=0), axis=1))])
    middle = (travelled > 0.3 * travelled[-1]) & (travelled < 0.7 * travelled[-1])  # clear of curved-surface ends
    body = width[middle]
    rises, falls = (np.diff(body) > 1e-6).any(), (np.diff(body) < -1e-6).any()
    sweep = {
        (False, False): "c",
        (True, True): "ec" if body.argmax() not in (0, len(body) - 1) else "ce",
    }.get((bool(rises), bool(falls)), "m")
    first, last = mesh.vertices[list(poles)]
    closed = [tip(first, centres[:2], width[:2]), tip(last, centres[:-3:-1], width[:-3:-1])]
    if sweep == "c":
        assert closed == ["t", "t"]
        return f"{axis}_{outline}_c_na"
    if sweep == "m":
        assert closed.count("t") >= 1
        small, large = closed if body[0] < body[-1] else closed[::-1]
        ending = "p" if small == "p" else "c-dec" if small == "c" else "c-inc" if large == "c" else "t"
    else:
        assert closed[0] == closed[1]
        ending = closed[0]
    return f"{axis}_{outline}_{sweep}_{ending}"


def tip(pole: np.ndarray, centres: np.ndarray, widths: np.ndarray) -> str:
    """How an end is closed, from its end vertex and the two rings next to it, the nearer one first.

    A wide last ring is flat. Otherwise the height gained for a loss of width stays up towards a point and
    falls off towards the pole of a dome, however the geon is stretched.
    """
    height = np.linalg.norm(pole - centres[0])
    if widths[0] > 0.25:
        assert height < 1e-9
        return "t"
    before = np.linalg.norm(centres[0] - centres[1]) / (widths[1] - widths[0])
    return "p" if height / widths[0] > 0.6 * before else "c"


# --- G1: codes


def test_the_codes_are_those_of_figure_8_in_its_order() -> None:
    assert list(CODES) == FIGURE_8
    assert len(set(CODES)) == 40


def test_features_read_a_constant_sweep_as_truncated_and_keep_letters_apart_by_place() -> None:
    assert features("arch") == ("c", "s", "c", "t")
    assert features("c_c_m_c-inc") == ("c", "c", "m", "c-inc")
    assert len({features(code) for code in CODES}) == 40


def test_fourteen_pairs_of_named_geons_differ_in_one_feature() -> None:
    assert len(one_feature_pairs(NAMES)) == 14


# --- G2: solids


def closed_form_volume(code: str, shape: Sweep) -> float:
    """Section area times the integral of scale squared (Pappus: centroids lie on the axis), and caps."""
    _, section, sweep, end = code.split("_")
    a, n = shape.half_width, shape.samples_around
    area = 4 * a**2 if section == "s" else n / 2 * math.sin(2 * math.pi / n) * a**2
    u = np.linspace(0, 1, 20001)
    bump = np.sin(np.pi * u)
    k = 0.0 if end == "p" else shape.taper
    profile = {
        "c": np.ones_like(u),
        "m": 1 - (1 - k) * u,
        "ec": bump**shape.point_exponent if end == "p" else shape.end_scale + (1 - shape.end_scale) * bump,
        "ce": 1 - (1 - shape.waist) * bump,
    }[sweep]
    volume = area * ((profile[1:] ** 2 + profile[:-1] ** 2) / 2 * np.diff(u)).sum()
    capped = {"c": (0, -1), "c-inc": (0,), "c-dec": (-1,)}.get(end, ())
    for index in capped:
        # Above latitude psi of an ellipsoid of equator e and height h: integral of area e^2 cos^2 * h cos.
        slope = {"ec": np.pi * (1 - shape.end_scale), "m": (1 - k) if end == "c-dec" else 0.0}.get(sweep, 0.0)
        sine = math.sin(math.atan(shape.dome * a * slope))
        equator = profile[index] / math.sqrt(1 - sine**2)
        volume += area * equator**2 * (shape.dome * a * equator) * (2 / 3 - sine + sine**3 / 3)
    return float(volume)


@pytest.mark.parametrize("code", CODES)
def test_a_geon_is_one_closed_body_of_the_closed_form_volume(code: str) -> None:
    mesh = raw(code, Sweep())
    report = check(mesh)
    assert report.solid
    assert (report.euler, report.bodies, report.degenerate_faces) == (2, 1, 0)
    assert report.volume == pytest.approx(closed_form_volume(code, Sweep()), rel=5e-3)
    assert len(np.unique(np.round(mesh.vertices, 9), axis=0)) == len(mesh.vertices)  # welded


@pytest.mark.parametrize("code", ["c_s_ec_c", "s_c_m_c-dec", "c_c_ce_c", "c_c_ec_p", "s_s_m_t"])
def test_the_volume_follows_the_shape_parameters(code: str) -> None:
    shape = Sweep(
        bend_deg=80.0,
        half_width=0.3,
        taper=0.6,
        end_scale=0.3,
        waist=0.7,
        point_exponent=2.0,
        dome=0.5,
        samples_along=96,
    )
    assert check(raw(code, shape)).volume == pytest.approx(closed_form_volume(code, shape), rel=5e-3)


@pytest.mark.parametrize("code", CODES)
def test_side_faces_point_away_from_the_axis(code: str) -> None:
    mesh = geons.build(ALL, 0, code, "1.5_0.5_1.0")
    layers, poles = rings(mesh)
    axis = np.zeros_like(mesh.vertices)
    for layer in layers:
        axis[layer] = mesh.vertices[layer].mean(axis=0)
    corners = mesh.vertices[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    outward = ((corners - axis[mesh.faces]).mean(axis=1) * normals).sum(axis=1)
    sides = ~np.isin(mesh.faces, poles).any(axis=1)
    assert (outward[sides] > 0).all()


def test_a_curved_surface_end_leaves_no_concave_crease_where_the_section_shrinks() -> None:
    for code in ("s_c_ec_c", "s_c_m_c-dec"):
        mesh = raw(code, Sweep())
        layers, _ = rings(mesh)
        height = np.array([mesh.vertices[layer, 1].mean() for layer in layers])
        radius = np.array([np.hypot(*mesh.vertices[layer][:, [0, 2]].T).mean() for layer in layers])
        slope = np.diff(radius) / np.diff(height)
        assert np.diff(slope).max() < 1e-6  # the outline from pole to pole is convex


@pytest.mark.parametrize("instance", ["1.0_1.0_1.0", *CORNERS])
def test_rims_are_drawn_sharp_and_round_surfaces_smooth(instance: str) -> None:
    """A truncated end keeps its edge under every stretch; hardly any of a curved side is drawn faceted."""
    import trimesh

    for code in (code for code in CODES if parse(code).section == "c"):
        mesh = geons.build(ALL, 0, code, instance)
        surface = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
        sharp = np.degrees(surface.face_adjacency_angles) > mesh.smooth_angle_deg
        layers, poles = rings(mesh)
        rim = np.zeros(len(sharp), dtype=bool)
        for k, pole in ((0, poles[0]), (-1, poles[1])):
            if np.linalg.norm(mesh.vertices[pole] - mesh.vertices[layers[k]].mean(axis=0)) < 1e-9:
                rim |= np.isin(surface.face_adjacency_edges, layers[k]).all(axis=1)
        assert sharp[rim].all()
        assert sharp[~rim].mean() < (0.04 if instance in CORNERS else 0.02)


# --- G3: sizes and instances


@pytest.mark.parametrize("instance", ["1.0_1.0_1.0", "0.5_1.2_1.5", *CORNERS])
def test_the_bounding_box_is_the_scaling_triple(instance: str) -> None:
    sides = np.array([float(side) for side in instance.split("_")])
    for code in CODES:
        vertices = geons.build(ALL, 0, code, instance).vertices
        np.testing.assert_allclose(vertices.max(axis=0), sides / 2, atol=1e-9)
        np.testing.assert_allclose(vertices.min(axis=0), -sides / 2, atol=1e-9)


def test_the_other_normalisation_keeps_proportions_and_fits_the_extent() -> None:
    params = geons.Params(normalise="longest")
    for name in params.classes:
        original = np.ptp(raw(name, Sweep()).vertices, axis=0)
        sides = np.ptp(geons.build(params, 0, name, "1.0_1.0_1.0").vertices, axis=0)
        np.testing.assert_allclose(sides, original / original.max(), atol=1e-9)
        largest = geons.build(params, 0, name, "1.5_1.5_1.5").vertices
        assert np.abs(largest).max() <= geons.extent(params) / 2 + 1e-9


def test_the_paper_has_1331_instances_in_286_orbits() -> None:
    ids = geons.instance_ids(TEN, 0)
    assert len(set(ids)) == len(ids) == 1331
    assert "1.0_1.0_1.0" in ids and "0.5_0.6_1.5" in ids
    assert len({geons.orbit(TEN, one) for one in ids}) == 286
    assert geons.orbit(TEN, "1.5_0.5_1.0") == geons.orbit(TEN, "0.5_1.0_1.5") == "0.5_1.0_1.5"
    assert geons.extent(TEN) == 1.5


def test_meshes_depend_on_class_and_instance_only() -> None:
    small = geons.Params(classes=("cone", "horn"), scalings=(1, 0.5))
    assert geons.instance_ids(small, 0)[:3] == ("1.0_1.0_1.0", "1.0_1.0_0.5", "1.0_0.5_1.0")
    one, other = (geons.build(p, s, "horn", "0.5_1.0_0.5") for p, s in ((small, 3), (TEN, 4)))
    assert one.vertices.tobytes() == other.vertices.tobytes()
    named, coded = geons.build(TEN, 0, "arch", "1.0_1.0_1.0"), geons.build(ALL, 0, "c_s_c_na", "1.0_1.0_1.0")
    assert named.vertices.tobytes() == coded.vertices.tobytes()


def test_an_override_changes_its_class_alone() -> None:
    edited = geons.Params(overrides={"horn": {"bend_deg": 90}})
    assert geons.Params.model_validate_json(edited.model_dump_json()) == edited
    for name in TEN.classes:
        before, after = (geons.build(p, 0, name, "1.0_1.0_1.0").vertices for p in (TEN, edited))
        assert np.array_equal(before, after) == (name != "horn")
        assert (geons.only(TEN, name) == geons.only(edited, name)) == (name != "horn")
        alone = geons.build(geons.only(edited, name), 0, name, "1.0_1.0_1.0").vertices
        assert np.array_equal(alone, after)


def test_all_classes_have_one_colour() -> None:
    seen = {tuple(c) for name in TEN.classes for c in geons.build(TEN, 0, name, "1.0_1.0_1.0").colours}
    assert seen == {tuple(np.float32(TEN.colour))}


# --- G4: what a person calls the geon survives every scaling


@pytest.mark.parametrize("instance", ["1.0_1.0_1.0", *CORNERS])
def test_the_four_features_are_read_off_the_mesh(instance: str) -> None:
    assert [decode(geons.build(ALL, 0, code, instance)) for code in CODES] == list(CODES)


# --- refusals


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"classes": ("cone", "pyramid")}, "unknown geon class 'pyramid'"),
        ({"classes": ("cone", "cone")}, "same geon"),
        ({"classes": ("arch", "c_s_c_na")}, "'arch' and 'c_s_c_na' are the same geon"),
        ({"classes": ()}, "at least 1"),
        ({"scalings": (0.5, 0.0)}, "above 0"),
        ({"scalings": (0.5, -1.0)}, "above 0"),
        ({"scalings": (1.0, 0.5, 1)}, "twice"),
        ({"colour": (0.5, 0.5, 1.5)}, r"\[0, 1\]"),
        ({"bend_deg": 180.0, "half_width": 0.32}, "arch would pass through itself"),
        ({"overrides": {"horn": {"half_width": 0.48}}}, "horn would pass through itself"),
        ({"overrides": {"pyramid": {}}}, "overrides.pyramid"),
        ({"overrides": {"horn": {"bend": 90}}}, "overrides.horn.bend: not one of bend_deg"),
        ({"overrides": {"horn": {"bend_deg": 190}}}, "overrides.horn.bend_deg.*180"),
        ({"samples_around": 50}, "multiple of 4"),
        ({"normalize": "box"}, "normalize"),
    ],
)
def test_impossible_parameters_are_refused(values: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        geons.Params(**values)


def test_a_wide_straight_geon_is_no_overlap() -> None:
    geons.Params(classes=("cone", "cuboid"), half_width=0.5, bend_deg=180.0)


def test_unknown_instances_are_refused() -> None:
    for class_name, instance in (("horn", "1.0_1.0_0.55"), ("c_c_m_p", "1.0_1.0_1.0")):
        with pytest.raises(ValueError, match="no instance"):
            geons.build(TEN, 0, class_name, instance)
