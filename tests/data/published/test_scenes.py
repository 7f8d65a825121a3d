"""PLY and glTF meshes keep the colours that trimesh wrote; no name in them leads out of their folder."""

import base64
import io
import json

import numpy as np
import pytest
import trimesh
from PIL import Image

from robust3d.data.published.files import noting_files
from robust3d.data.published.meshes import BrokenMesh, read_mesh
from robust3d.shapes.store import mesh_digest

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


def gltf_of(folder, buffer="b.bin", picture="p.png", **more):
    """A box as .gltf, its buffer and its picture beside it, named by the given URIs; returns its UV and pixels."""
    pixels = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
    uv = np.random.default_rng(1).uniform(0, 0.9, (8, 2)).astype(np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    chunks = [BOX.vertices.astype("<f4").tobytes(), BOX.faces.astype("<u2").tobytes(), uv.astype("<f4").tobytes()]
    binary = b"".join(chunks)
    starts = np.cumsum([0, *map(len, chunks)])
    views = [{"buffer": 0, "byteOffset": int(at), "byteLength": len(c)} for at, c in zip(starts, chunks, strict=False)]
    kinds = ((5126, 8, "VEC3"), (5123, 36, "SCALAR"), (5126, 8, "VEC2"))
    base = {"baseColorTexture": {"index": 0}, "baseColorFactor": [0.5, 1, 1, 1]}
    header = {
        "asset": {"version": "2.0"},
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "scale": [1, 1, -1]}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0, "TEXCOORD_0": 2}, "indices": 1, "material": 0}]}],
        "materials": [{"name": "skin", "pbrMetallicRoughness": base}],
        "textures": [{"source": 0}],
        "images": [{"uri": picture}],
        "buffers": [{"uri": buffer, "byteLength": len(binary)}],
        "bufferViews": views,
        "accessors": [
            {"bufferView": k, "componentType": kind, "count": n, "type": shape}
            for k, (kind, n, shape) in enumerate(kinds)
        ],
    } | more
    (folder / "b.bin").write_bytes(binary)
    Image.fromarray(pixels).save(folder / "p.png")
    (folder / "a.gltf").write_text(json.dumps(header))
    return uv, pixels, header


def data_uri(content: bytes) -> str:
    return "data:application/octet-stream;base64," + base64.b64encode(content).decode()


def test_gltf_with_files_beside_it(tmp_path):
    uv, pixels, _ = gltf_of(tmp_path)
    mesh = read_mesh(tmp_path / "a.gltf")
    assert not mesh.faults and len(mesh.faces) == 12
    np.testing.assert_array_equal(np.array(Image.open(io.BytesIO(mesh.paint.pictures[0]))), pixels)
    np.testing.assert_array_equal(mesh.colours, np.tile(np.float32([0.5, 1, 1]), (12, 3, 1)))
    # The mirror in the node turns each face about; the picture's origin is its upper corner in this format.
    expected = uv[BOX.faces[:, ::-1]] * [1, -1] + [0, 1]
    np.testing.assert_allclose(mesh.paint.uv, expected - np.floor(expected.min(axis=1, keepdims=True)), atol=1e-6)
    volume = np.linalg.det(mesh.vertices[mesh.faces]).sum()
    assert volume > 0  # faces look outwards still


def test_names_in_gltf_may_be_encoded_or_data(tmp_path):
    gltf_of(tmp_path, buffer="my%20b.bin", picture="sub/p%20%C3%A9.png")
    (tmp_path / "sub").mkdir()
    (tmp_path / "p.png").rename(tmp_path / "sub" / "p é.png")
    (tmp_path / "b.bin").rename(tmp_path / "my b.bin")
    expected = read_mesh(tmp_path / "a.gltf")
    assert expected.paint is not None and not expected.faults
    (tmp_path / "my b.bin").rename(tmp_path / "my%20b.bin")  # written as it is, against the standard
    assert not read_mesh(tmp_path / "a.gltf").faults
    binary, picture = (tmp_path / "my%20b.bin").read_bytes(), (tmp_path / "sub" / "p é.png").read_bytes()
    gltf_of(tmp_path / "data", buffer=data_uri(binary), picture=data_uri(picture))
    for name in ("b.bin", "p.png"):
        (tmp_path / "data" / name).unlink()
    assert mesh_digest(read_mesh(tmp_path / "data" / "a.gltf")) == mesh_digest(expected)


HOSTILE = [
    "../secret.png",
    "sub/../../secret.png",
    "%2e%2e/secret.png",
    "..%2Fsecret.png",
    "%2Fetc%2Fpasswd",
    "/etc/passwd",
    "C:\\secret.png",
    "..\\secret.png",
    "file:///etc/passwd",
    "file%3A///etc/passwd",
    "https://example.org/p.png",
    "link.png",
    "none.png",
    "base64,aaaa",
    "data:image/png;base64,!!!",
    "",
    "p%00.png",
]


@pytest.mark.parametrize("uri", HOSTILE)
def test_names_in_gltf_never_lead_out_of_the_root(tmp_path, uri):
    folder = tmp_path / "set"
    gltf_of(folder, picture=uri)
    (folder / "p.png").rename(tmp_path / "secret.png")
    (folder / "sub").mkdir()
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    with noting_files() as read:
        mesh = read_mesh(folder / "a.gltf")
    assert mesh.paint is None and mesh.faults[0].startswith("picture of material skin: "), mesh.faults
    assert len(mesh.faults) == 1 and {path.name for path in read} <= {"a.gltf", "b.bin"}
    np.testing.assert_array_equal(mesh.colours[0, 0], np.float32([0.5, 1, 1]))  # the colour beside the picture
    gltf_of(folder, buffer=uri)
    (folder / "b.bin").rename(tmp_path / "secret.png")
    with noting_files() as read, pytest.raises(BrokenMesh, match=r"a\.gltf: buffer 0"):
        read_mesh(folder / "a.gltf")
    assert {path.name for path in read} <= {"a.gltf"}


def test_integer_places_and_colours_of_vertices_in_gltf(tmp_path):
    """What trimesh would take for numbers up to 65,535, or pass over."""
    uv, _, header = gltf_of(tmp_path)
    expected = read_mesh(tmp_path / "a.gltf")
    more = np.rint(uv * 65535).astype("<u2").tobytes() + np.full((8, 4), (128, 255, 0, 255), np.uint8).tobytes()
    binary = (tmp_path / "b.bin").read_bytes() + more
    end = len(binary) - len(more)
    header["buffers"] = [{"uri": data_uri(binary), "byteLength": len(binary)}]
    header["bufferViews"] += [
        {"buffer": 0, "byteOffset": end, "byteLength": 32},
        {"buffer": 0, "byteOffset": end + 32, "byteLength": 32},
    ]
    header["accessors"] += [
        {"bufferView": 3, "componentType": 5123, "normalized": True, "count": 8, "type": "VEC2"},
        {"bufferView": 4, "componentType": 5121, "normalized": True, "count": 8, "type": "VEC4"},
    ]
    header["meshes"][0]["primitives"][0]["attributes"] |= {"TEXCOORD_0": 3, "COLOR_0": 4}
    (tmp_path / "a.gltf").write_text(json.dumps(header))
    mesh = read_mesh(tmp_path / "a.gltf")
    np.testing.assert_allclose(mesh.paint.uv, expected.paint.uv, atol=2e-5)
    np.testing.assert_allclose(mesh.colours[0, 0], [0.5 * 128 / 255, 1, 0], atol=1e-6)
    assert not mesh.faults


@pytest.mark.parametrize(
    "change, told",
    [
        ({"extensionsRequired": ["KHR_draco_mesh_compression"]}, "needs the extension KHR_draco"),
        ({"asset": {"version": "1.0"}}, "glTF 1.0 is not read"),
        ({"buffers": [{"uri": "b.bin", "byteLength": 9999}]}, "buffer 0 is missing or cut off"),
        ({"buffers": [{"byteLength": 8}]}, "buffer 0 is missing"),
        ({"meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "mode": 6}]}]}, "fans"),
        ({"accessors": [{"componentType": 5126, "count": 8, "type": "VEC3"}] * 3}, "sparse or compressed"),
    ],
)
def test_shapes_in_gltf_that_would_be_others_are_refused(tmp_path, change, told):
    gltf_of(tmp_path, **change)
    with pytest.raises(BrokenMesh, match=f"a.gltf: .*{told}"):
        read_mesh(tmp_path / "a.gltf")


def test_broken_pictures_inside_glb_are_told(tmp_path):
    box = BOX.copy()
    skin = trimesh.visual.material.PBRMaterial(baseColorTexture=Image.new("RGB", (40, 40), "red"))
    box.visual = trimesh.visual.TextureVisuals(uv=np.full((8, 2), 0.5), material=skin)
    content = bytearray(trimesh.Scene([box]).export(file_type="glb"))
    assert not read(tmp_path, content).faults
    at = content.index(b"\x89PNG")
    content[at : at + 4] = b"none"
    mesh = read(tmp_path, content)
    assert mesh.paint is None and "not a readable picture" in mesh.faults[0]


def read(folder, content):
    (folder / "a.glb").write_bytes(content)
    return read_mesh(folder / "a.glb")


def test_pictures_of_ply(tmp_path):
    head = "ply\nformat ascii 1.0\ncomment TextureFile {}\nelement vertex 3\n"
    head += "".join(f"property float {name}\n" for name in ("x", "y", "z", "s", "t"))
    text = head + "element face 1\nproperty list uchar int vertex_indices\nend_header\n"
    text += "0 0 0 0.1 0.2\n1 0 0 0.9 0.2\n0 1 0 0.1 0.8\n3 0 1 2\n"
    Image.new("RGB", (4, 4), "red").save(tmp_path / "my p.png")
    (tmp_path / "a.ply").write_text(text.format("my p.png"))
    mesh = read_mesh(tmp_path / "a.ply")
    assert not mesh.faults and len(mesh.paint.pictures) == 1
    np.testing.assert_allclose(np.sort(mesh.paint.uv[0, :, 0]), [0.1, 0.1, 0.9], atol=1e-6)
    for name in ("none.png", "../my p.png", "/etc/passwd"):
        (tmp_path / "a.ply").write_text(text.format(name))
        mesh = read_mesh(tmp_path / "a.ply")
        assert mesh.paint is None and mesh.faults[0].startswith("picture "), mesh.faults
        assert (mesh.colours == np.float32(0.6)).all()
    # Places without a picture hide no colours.
    coloured = text.replace("comment TextureFile {}\n", "").replace(
        "t\nel", "t\nproperty uchar red\nproperty uchar green\nproperty uchar blue\nel"
    )
    for place in ("0.1 0.2", "0.9 0.2", "0.1 0.8"):
        coloured = coloured.replace(f" {place}\n", f" {place} 255 0 0\n")
    (tmp_path / "a.ply").write_text(coloured)
    mesh = read_mesh(tmp_path / "a.ply")
    assert not mesh.faults and (mesh.colours == np.float32([1, 0, 0])).all()
