"""PLY and GLB meshes keep the colours that trimesh wrote."""

import numpy as np
import pytest
import trimesh
from PIL import Image

from robust3d.data.published.meshes import BrokenMesh, read_mesh

BOX = trimesh.creation.box((2, 1, 1))
HALF_RED = np.tile(np.uint8([127, 0, 0, 255]), (8, 1))


def test_vertex_colours_of_ply(tmp_path):
    box = BOX.copy()
    box.visual = trimesh.visual.ColorVisuals(box, vertex_colors=HALF_RED)
    for encoding in ("ascii", "binary"):
        box.export(tmp_path / "a.ply", encoding=encoding)
        mesh = read_mesh(tmp_path / "a.ply")
        assert mesh.colours.shape == (12, 3, 3) and mesh.paint is None and not mesh.faults
        np.testing.assert_allclose(mesh.colours[..., 0], ((127 / 255 + 0.055) / 1.055) ** 2.4, atol=1e-6)
        np.testing.assert_allclose(np.ptp(mesh.vertices, axis=0), [1, 0.5, 0.5])
    assert (read_mesh(tmp_path / "a.ply", materials="grey").colours == np.float32(0.6)).all()


def test_materials_of_glb(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
    pictured, glass = BOX.copy(), BOX.copy()
    skin = trimesh.visual.material.PBRMaterial(baseColorTexture=Image.fromarray(pixels), baseColorFactor=[1.0, 1, 1, 1])
    uv = np.random.default_rng(1).uniform(0, 0.9, (8, 2))
    pictured.visual = trimesh.visual.TextureVisuals(uv=uv, material=skin)
    tint = trimesh.visual.material.PBRMaterial(baseColorFactor=[255, 0, 0, 51], alphaMode="BLEND")
    glass.visual = trimesh.visual.TextureVisuals(uv=uv, material=tint)
    scene = trimesh.Scene([pictured])
    scene.add_geometry(glass, transform=trimesh.transformations.translation_matrix([0, 3, 0]))
    scene.export(tmp_path / "a.glb")
    mesh = read_mesh(tmp_path / "a.glb")
    assert len(mesh.faces) == 24 and not mesh.faults and len(mesh.paint.pictures) == 1
    scale = min(1 / 4, 1.4 / 21**0.5)  # of 2 x 4 x 1
    np.testing.assert_allclose(np.ptp(mesh.vertices, axis=0), np.array([2, 4, 1]) * scale, atol=1e-6)
    upper = mesh.vertices[mesh.faces].mean(axis=1)[:, 1] > 0
    assert {mesh.paint.materials[i].alpha for i in mesh.paint.of_face[upper]} == {0.2}
    assert {mesh.paint.materials[i].picture for i in mesh.paint.of_face[~upper]} == {0}
    np.testing.assert_array_equal(mesh.colours[upper], np.tile(np.float32([1, 0, 0]), (12, 3, 1)))
    # trimesh keeps the order of faces and corners.
    np.testing.assert_allclose(mesh.paint.uv[~upper], uv[BOX.faces], atol=1e-6)


@pytest.mark.parametrize("name", ["a.ply", "a.glb"])
@pytest.mark.parametrize("content", [b"ply", b"glTF\2\0\0\0" + bytes(40)])
def test_damaged_ones_are_refused_by_name(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BrokenMesh, match=name):
        read_mesh(tmp_path / name)
