"""Solids and modifiers against closed forms, Algorithm 1 against its expectations, quality control against itself."""

import numpy as np
import pytest

from robust3d.errors import UserError
from robust3d.seeds import numpy_generator
from robust3d.shapes import procsynth
from robust3d.shapes.checks import check
from robust3d.shapes.mesh import Mesh
from robust3d.shapes.procedural import modifiers, quality, solids
from robust3d.shapes.procedural.algorithm import AlgorithmParams, draw_kinds, draw_parts
from robust3d.shapes.procedural.solids import Solid

SOLIDS = {
    "cube": (solids.cube(2.0), 8.0),
    "sphere": (solids.sphere(96, 48), 4 / 3 * np.pi),
    "cone": (solids.cone(96, 1.2, 0.3, 2.0), np.pi * 2 / 3 * (1.2**2 + 1.2 * 0.3 + 0.3**2)),
    "cylinder": (solids.cone(96, 0.5, 0.5, 3.0), np.pi * 0.25 * 3),
    "torus": (solids.torus(96, 48, 1.0, 0.3), 2 * np.pi**2 * 0.09),
}


def report(solid: Solid):
    faces = solid.triangles().astype(np.int32)
    return check(Mesh(solid.vertices, faces, np.ones((len(faces), 3), np.float32)))


@pytest.mark.parametrize("name", SOLIDS)
def test_a_solid_is_closed_and_has_its_volume(name):
    solid, volume = SOLIDS[name]
    found = report(solid)
    assert found.solid and found.bodies == 1 and found.euler == (0 if name == "torus" else 2)
    assert found.volume == pytest.approx(volume, rel=0.005)


@pytest.mark.parametrize("name", SOLIDS)
def test_modified_solids_are_closed(name):
    small = {"cube": SOLIDS["cube"][0], "sphere": solids.sphere(8, 4), "cone": solids.cone(3, 1.2, 0.01, 2)}
    solid = (small | {"cylinder": solids.cone(7, 0.5, 0.5, 3), "torus": solids.torus(12, 5, 1, 0.3)})[name]
    volume = report(solid).volume
    loops = 2 * len(solid.edges[0])
    assert report(modifiers.subdivide(solid, simple=True)).volume == pytest.approx(volume)
    subdivided = modifiers.subdivide(modifiers.subdivide(solid))
    assert report(subdivided).solid and 0 < report(subdivided).volume < volume and len(subdivided.sizes) == 4 * loops
    struts = modifiers.wireframe(solid, 0.1)
    assert report(struts).solid and report(struts).volume < volume and len(struts.sizes) == 2 * loops
    skin = report(modifiers.skin(solid, 0.05))
    assert skin.solid and skin.bodies == len(solid.edges[0]) + len(solid.vertices)
    assert report(modifiers.smooth(solid)).volume < volume


def test_catmull_clark_of_a_cube_is_the_printed_one():
    found = modifiers.subdivide(solids.cube(2.0))
    assert np.abs(found.vertices[:8]) == pytest.approx(5 / 9)  # (F + 2R + (n - 3) P) / n with F = 1/3, R = 2/3, n = 3
    assert np.linalg.norm(found.vertices[8:14], axis=1) == pytest.approx(1.0)  # middles of faces
    assert np.sort(np.abs(found.vertices[14:]), axis=1) == pytest.approx(np.tile([0, 0.75, 0.75], (12, 1)))


def test_struts_are_as_thick_as_asked():
    found = modifiers.wireframe(solids.cube(2.0), 0.2)
    assert np.abs(found.vertices[:8]) == pytest.approx(1 + 0.1 / np.sqrt(3))  # half the thickness along the normal
    on_face = found.vertices[16:]  # in a face, 0.2 away from its border
    assert np.sort(np.abs(on_face), axis=1) == pytest.approx(np.tile([0.8, 0.8, 1.0], (24, 1)))


def test_algorithm_1_adds_as_many_primitives_as_expected():
    counts = [len(draw_kinds(AlgorithmParams(), numpy_generator("counts", k))) for k in range(1000)]
    assert np.mean(counts) == pytest.approx(25, abs=1) and max(counts) <= 75
    assert min(counts) >= 0 and np.mean([count == 0 for count in counts]) < 0.002  # (1/6)^5 / 3


def test_each_part_is_closed_whatever_is_drawn():
    names = ("none", "wireframe", "subdivide", "smooth", "skin")
    parts = draw_parts(AlgorithmParams(modifiers=names, w=2, v=1), np.random.default_rng(3))
    for part in parts:
        assert report(part).solid and np.isfinite(part.vertices).all()


def made(count: int, **keys):
    return list(quality.generate(quality.QualityParams(min_distance=0.016, **keys), 0, count))


def test_meshes_pass_quality_control_and_do_not_depend_on_their_number():
    few, more = made(6), made(10)
    for ours, theirs in zip(few, more, strict=False):
        assert np.array_equal(ours.vertices, theirs.vertices) and np.array_equal(ours.faces, theirs.faces)
    shapes = np.stack([mesh.shape for mesh in more])
    apart = [quality.distances(shape, np.delete(shapes, k, 0)).min() for k, shape in enumerate(shapes)]
    assert min(apart) >= 0.016 and sum(mesh.rejected["min_distance"] for mesh in more) > 0
    for mesh in more:
        assert np.linalg.norm(mesh.vertices, axis=1).max() == pytest.approx(0.5)
        points = quality.surface_points(mesh.vertices, mesh.faces, 4000, np.random.default_rng(0))
        assert quality.silhouettes(points).min() >= 0.05


def test_the_descriptor_does_not_see_rotations_and_sees_shapes():
    rng = np.random.default_rng(0)
    ball = quality.surface_points(0.5 * SOLIDS["sphere"][0].vertices, SOLIDS["sphere"][0].triangles(), 16384, rng)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    cube = solids.cube(1 / np.sqrt(3))
    corners = quality.surface_points(cube.vertices, cube.triangles(), 16384, rng)
    ours, turned, other = (quality.descriptor(points, rng) for points in (corners, corners @ turn, ball))
    assert quality.distances(ours, np.stack([turned, other])) == pytest.approx([0, 0.3], abs=0.05)
    assert quality.distances(ours, turned[None])[0] < 0.004  # the usual threshold is above the noise
    assert quality.descriptor(ball, rng)[:24] == pytest.approx(1, abs=0.01)  # distances to the centre, in radii
    assert quality.silhouettes(ball) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"max_faces": 12}, "max_faces"),
        ({"max_size": 0.1}, "max_size"),
        ({"min_fill": 0.99}, "min_fill"),
        ({"min_distance": 9.0}, "min_distance"),
    ],
)
def test_what_is_rejected_for_ever_ends_with_one_message(keys, reason):
    params = quality.QualityParams(tries=4, **keys)
    with pytest.raises(UserError, match=rf"all 4 candidates for mesh \d \(.*{reason}.*\); loosen"):
        list(quality.generate(params, 0, 2))


def test_instances_are_stretched_along_one_axis_within_the_sphere():
    params = procsynth.Params(meshes=2, instances=12, w=1, min_distance=0)
    meshes, notes = procsynth.build_all(params, 0)
    assert list(meshes)[::12] == ["p0000/0000", "p0001/0000"] and set(notes) == {"rejected"}
    factors = {name: procsynth.stretch_of((1.0, 2.0), 0, *name.split("/")) for name in meshes}
    assert {tuple(factor) for factor in factors.values()} == {(1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2)}
    for name, mesh in meshes.items():
        plain = next(meshes[other] for other in meshes if other[:5] == name[:5] and (factors[other] == 1).all())
        assert np.linalg.norm(mesh.vertices, axis=1).max() == pytest.approx(0.5, abs=1e-6)
        sides = np.ptp(mesh.vertices, axis=0) / np.ptp(plain.vertices, axis=0)
        assert sides / sides.min() == pytest.approx(factors[name], rel=1e-5)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"scale": (2.0, 1.0)}, "scale: .* is no range"),
        ({"cone_segments": (2, 9)}, "cone_segments"),
        ({"stretch": (0.0,)}, "above 0"),
        ({"modifiers": ("bevel",)}, "modifiers"),
    ],
)
def test_parameters_that_cannot_be_are_named(keys, says):
    with pytest.raises(ValueError, match=says):
        procsynth.Params(meshes=2, **keys)
