"""Gaussian-process morphs: variances, correlations and ranks against closed forms, meshes against their properties."""

import numpy as np
import pytest
import trimesh

from robust3d.errors import UserError
from robust3d.shapes import morphsynth
from robust3d.shapes.checks import check
from robust3d.shapes.mesh import Mesh
from robust3d.shapes.procedural.decimate import decimate
from robust3d.shapes.procedural.fields import INDUCING, kernel, mixed, nystrom_basis, sampler
from robust3d.shapes.procedural.quality import generate, surface_points

FLATLAND = ((7.0, 100.0), (50.0, 50.0), (300.0, 10.0))  # mm^2, mm
ORIGINAL = ((7.0, 100.0), (5.0, 50.0), (3.0, 10.0))
BALL = trimesh.creation.icosphere(4, 100.0)  # 200 mm wide, 2,562 vertices


def drawn(draw, count):
    generator = np.random.default_rng(0)
    return np.stack([draw(generator) for _ in range(count)])


@pytest.mark.parametrize("method", ["exact", "fourier"])
def test_variance_and_correlation_are_the_kernels(method):
    """Bar M1: 5 % of the variance at each point; 2,500 draws of three channels have a standard error of 1.6 %."""
    points = np.array([[0.0, 0, 0], [10, 0, 0], [0, 50, 0], [0, 0, 100], [500, 500, 500]])
    fields = drawn(sampler(points, FLATLAND, method), 2500 if method == "exact" else 600)
    tolerance = 0.05 if method == "exact" else 0.12
    variance = (fields**2).mean((0, 2))
    assert variance == pytest.approx(np.full(5, 357.0), rel=tolerance)
    covariance = np.einsum("nic,njc->ij", fields, fields) / (3 * len(fields))
    expected = sum(a * np.exp(-(np.array([0, 10, 50, 100]) ** 2) / s**2) for a, s in FLATLAND) / 357
    assert covariance[0, :4] / 357 == pytest.approx(expected, abs=0.05 if method == "exact" else 0.08)
    assert abs(np.einsum("nic,nid->cd", fields, fields)[0, 1]) / (fields[..., 0] ** 2).sum() < 0.05  # x tells no y


def test_lengths_have_no_factor_of_two():
    near = kernel(np.zeros((1, 3)), np.array([[0.5, 0, 0]]), ((3.0, 0.5),))
    assert near == pytest.approx(3 / np.e)


def test_nystrom_has_the_references_rank_and_realised_strength():
    points = np.asarray(BALL.vertices)
    inducing = surface_points(points, BALL.faces, INDUCING, np.random.default_rng(42))
    fields = drawn(sampler(points[::3], FLATLAND, "nystrom", inducing), 240).reshape(240, -1)
    assert np.linalg.matrix_rank(fields) <= 199
    for terms, strength in ((FLATLAND, 11.1), (ORIGINAL, 3.5)):  # mm an axis, measured by others, 199 for each channel
        basis = nystrom_basis(points, terms, inducing)[:, :199]
        assert np.sqrt((basis**2).sum(1).mean()) == pytest.approx(strength, rel=0.05)
    whole = nystrom_basis(inducing, FLATLAND, inducing)
    assert (whole**2).sum(1) == pytest.approx(np.full(INDUCING, 357.0), rel=1e-3)  # all of it, at the inducing points


def test_channels_are_mixed_as_said():
    generator = np.random.default_rng(0)
    field = mixed(generator.normal(size=(40_000, 3)), 16.0)
    assert np.cov(field.T) == pytest.approx((np.eye(3) + 15) / 16, abs=0.03)
    assert np.array_equal(mixed(field, 1.0), field)


def test_fewer_vertices_keep_a_surface_closed_and_where_it_is():
    vertices, faces = decimate(np.array(BALL.vertices) / 200, np.array(BALL.faces), 300)
    assert len(vertices) <= 300
    found = check(Mesh(vertices, faces.astype(np.int32), np.ones((len(faces), 3), np.float32)))
    assert found.watertight and found.winding_consistent and found.euler == 2
    assert found.volume == pytest.approx(np.pi / 6, rel=0.04)
    assert np.linalg.norm(vertices, axis=1) == pytest.approx(0.5, abs=0.02)
    double = np.array([[0, 1, 2], [0, 2, 1]])  # two faces back to back: no edge may collapse
    assert len(decimate(np.eye(3), double, 1)[0]) == 3


def test_morphs_are_of_the_same_meshes_whatever_their_number():
    few = morphsynth.Params(meshes=1, draws=2, vertices=400)
    more = few.model_copy(update={"meshes": 2, "draws": 3})
    ours, theirs = (morphsynth.build_all(params, 0)[0] for params in (few, more))
    assert list(ours) == ["p0000-m0/0000", "p0000-m1/0000"] and len(theirs) == 6
    for name, mesh in ours.items():
        again = theirs[name]
        assert np.array_equal(mesh.vertices, again.vertices) and np.array_equal(mesh.colours, again.colours)
        assert mesh.colours.min() >= 0 and mesh.colours.max() <= 1 and mesh.colours.std((0, 1)).min() > 0.01
        assert np.linalg.norm(mesh.vertices, axis=1).max() == pytest.approx(0.5)
    assert not np.allclose(*(mesh.vertices for mesh in ours.values()))
    (base,) = generate(few, 0, 1)
    small = decimate(base.vertices.copy(), base.faces, 400)[1]
    assert len(small) == len(ours["p0000-m0/0000"].faces)


def test_morphs_as_instances_belong_to_the_class_of_their_mesh():
    params = morphsynth.Params(meshes=1, draws=2, instances=2, each="instance", vertices=200)
    meshes, notes = morphsynth.build_all(params, 0)
    assert params.classes == ("p0000",) and list(meshes) == [f"p0000/{k:04d}" for k in range(4)]
    assert 0 < notes["flipped_share_mean"] < 0.5


def test_a_morph_that_is_rejected_for_ever_is_named():
    params = morphsynth.Params(meshes=1, draws=1, tries=2, vertices=200, max_flipped=1e-6)
    with pytest.raises(UserError, match=r"all 2 morphs of mesh 0 .*max_flipped"):
        morphsynth.build_all(params, 0)
