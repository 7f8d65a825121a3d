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


def added(header, binary, values, kind, shape, **more):
    """The buffer with an accessor's values behind it; the accessor is the last in the header then."""
    binary += bytes(-len(binary) % 4)
    content = np.ascontiguousarray(values).tobytes()
    header["bufferViews"].append({"buffer": 0, "byteOffset": len(binary), "byteLength": len(content)})
    entry = {"bufferView": len(header["bufferViews"]) - 1, "componentType": kind, "count": len(values), "type": shape}
    header["accessors"].append(entry | more)
    header["buffers"] = [{"uri": data_uri(binary + content), "byteLength": len(binary + content)}]
    return binary + content


@pytest.mark.parametrize("kind, type_", [(5120, np.int8), (5121, np.uint8), (5122, np.int16), (5123, np.uint16)])
def test_vertices_in_gltf_that_are_shares_of_the_largest_integer(tmp_path, kind, type_):
    """Two boxes from 0 or -1 to 1, three apart: as large as their integers, they would lie in one another."""
    _, _, header = gltf_of(tmp_path)
    low, high = np.iinfo(type_).min, np.iinfo(type_).max
    corners = np.where(BOX.vertices > 0, high, low).astype(type_)
    added(header, (tmp_path / "b.bin").read_bytes(), corners, kind, "VEC3", normalized=True)
    header["accessors"][3] |= {"count": 8}
    header["meshes"][0]["primitives"][0] = {"attributes": {"POSITION": 3}, "indices": 1}
    header |= {"nodes": [{"mesh": 0}, {"mesh": 0, "translation": [3, 0, 0]}], "scenes": [{"nodes": [0, 1]}]}
    header["extensionsRequired"] = ["KHR_mesh_quantization"]
    (tmp_path / "a.gltf").write_text(json.dumps(header))
    side = 2 if low else 1
    extents = np.ptp(read_mesh(tmp_path / "a.gltf").vertices, axis=0)
    np.testing.assert_allclose(extents / extents[0], [1, side / (3 + side), side / (3 + side)], atol=1e-6)


def skinned(tmp_path, **of_node):
    """A box of 2 x 1 x 1, its upper half on a joint that lies 9 higher than when it was bound; its node's place."""
    _, _, header = gltf_of(tmp_path)
    upper = BOX.vertices[:, 1] > 0
    joints = np.zeros((8, 4), np.uint8)
    joints[upper, 0] = 1
    weights = np.tile(np.uint8([255, 0, 0, 0]), (8, 1))
    bound = np.stack([np.eye(4, dtype=np.float32), np.eye(4, dtype=np.float32)])
    bound[1, 1, 3] = -5
    binary = added(header, (tmp_path / "b.bin").read_bytes(), joints, 5121, "VEC4")
    binary = added(header, binary, weights, 5121, "VEC4", normalized=True)
    added(header, binary, bound.transpose(0, 2, 1), 5126, "MAT4")
    attributes = {"POSITION": 0, "JOINTS_0": 3, "WEIGHTS_0": 4}
    header["meshes"] = [{"primitives": [{"attributes": attributes, "indices": 1}]}]
    header["skins"] = [{"joints": [1, 2], "inverseBindMatrices": 5}]
    header["nodes"] = [
        {"mesh": 0, "skin": 0} | of_node,
        {"children": [2], "scale": [1, 2, 1]},
        {"translation": [0, 7, 0]},
    ]
    header["scenes"] = [{"nodes": [0, 1]}]
    return header


@pytest.mark.parametrize("of_node", [{}, {"scale": [10, 1, 1], "translation": [3, 3, 3]}])
def test_meshes_on_joints_stand_as_the_file_poses_them(tmp_path, of_node):
    header = skinned(tmp_path, **of_node)
    (tmp_path / "a.gltf").write_text(json.dumps(header))
    mesh = read_mesh(tmp_path / "a.gltf")
    extents = np.ptp(mesh.vertices, axis=0)
    height = 2 * (0.5 + 7 - 5) - 2 * -0.5  # of both joints in a node that doubles heights
    np.testing.assert_allclose(extents / extents[0], [1, height / 2, 0.5], atol=1e-6)
    assert not mesh.faults and np.linalg.det(mesh.vertices[mesh.faces]).sum() > 0


@pytest.mark.parametrize("materials", ["published", "grey"])
def test_what_changes_shapes_in_gltf_and_is_not_followed_is_told(tmp_path, materials):
    header = skinned(tmp_path, name="man", scale=[10, 1, 1], weights=[0.0, 0.5])
    header["skins"][0]["joints"] = [1, 99]
    header["meshes"][0]["primitives"][0]["targets"] = [{"POSITION": 0}, {"POSITION": 0}]
    (tmp_path / "a.gltf").write_text(json.dumps(header))
    mesh = read_mesh(tmp_path / "a.gltf", materials=materials)
    assert mesh.faults == (
        "mesh man: shown without its morph targets, which have weights",
        "a mesh on joints is shown in its rest pose: matrices of joints cannot be read",
    )
    extents = np.ptp(mesh.vertices, axis=0)
    np.testing.assert_allclose(extents / extents[0], [1, 0.5, 0.5], atol=1e-6)
    header["nodes"][0] |= {"weights": [0.0, 0.0]}
    (tmp_path / "a.gltf").write_text(json.dumps(header))
    assert len(read_mesh(tmp_path / "a.gltf").faults) == 1
    header["nodes"][0] |= {"extensions": {"EXT_mesh_gpu_instancing": {"attributes": {"TRANSLATION": 0}}}}
    (tmp_path / "a.gltf").write_text(json.dumps(header))
    with pytest.raises(BrokenMesh, match=r"a.gltf: copies of meshes by EXT_mesh_gpu_instancing are not read"):
        read_mesh(tmp_path / "a.gltf")


def see_through(tmp_path, alphas, vertex_alpha=1.0, **material):
    """A box with a picture of two pixels of these alphas, or without a picture."""
    _, _, header = gltf_of(tmp_path, picture="alpha.png")
    colours = np.ones((8, 4), np.float32)
    colours[:, 3] = vertex_alpha
    added(header, (tmp_path / "b.bin").read_bytes(), colours, 5126, "VEC4")
    header["meshes"][0]["primitives"][0]["attributes"]["COLOR_0"] = 3
    base = {"baseColorFactor": [1, 1, 1, material.pop("factor", 1.0)]}
    if alphas is not None:
        pixels = np.full((1, 2, 4), 200, np.uint8)
        pixels[0, :, 3] = alphas
        Image.fromarray(pixels).save(tmp_path / "alpha.png")
        base["baseColorTexture"] = {"index": 0}
    header["materials"] = [{"name": "skin", "pbrMetallicRoughness": base} | material]
    (tmp_path / "a.gltf").write_text(json.dumps(header))
    return read_mesh(tmp_path / "a.gltf")


@pytest.mark.parametrize("cutoff", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("factor, vertex_alpha", [(1.0, 1.0), (0.5, 1.0), (0.8, 0.6)])
def test_holes_in_gltf_are_where_the_product_of_all_alphas_is_below_the_cutoff(tmp_path, cutoff, factor, vertex_alpha):
    alphas = np.array([255 * cutoff / (factor * vertex_alpha) + step for step in (-1, 1)])
    alphas = np.clip(np.rint(alphas), 0, 255)
    material = {"alphaMode": "MASK", "alphaCutoff": cutoff, "factor": factor}
    mesh = see_through(tmp_path, alphas, vertex_alpha, **material)
    there = alphas / 255 * factor * vertex_alpha >= cutoff
    pixels = np.array(Image.open(io.BytesIO(mesh.paint.pictures[0])).convert("RGBA"))
    np.testing.assert_array_equal(pixels[0, :, 3] / 255 >= mesh.paint.CUT, there)
    assert mesh.paint.materials[mesh.paint.of_face[0]].alpha == 1 and bool(mesh.faults) == (not there.any())


def test_gltf_of_which_nothing_is_shown_is_told(tmp_path):
    told = ("material skin is fully transparent: nothing of it is shown",)
    assert see_through(tmp_path, (127, 0), alphaMode="BLEND").faults == told
    assert see_through(tmp_path, (128, 0), alphaMode="BLEND").faults == ()
    assert see_through(tmp_path, (127, 0)).faults == ()  # opaque
    for factor, vertex_alpha in ((0.4, 1.0), (0.7, 0.7)):
        mesh = see_through(tmp_path, None, vertex_alpha, alphaMode="MASK", factor=factor)
        assert mesh.faults == told and mesh.paint.materials[mesh.paint.of_face[0]].alpha == 0
    glass = see_through(tmp_path, None, 0.5, alphaMode="BLEND", factor=0.5)
    assert glass.faults == () and glass.paint.materials[glass.paint.of_face[0]].alpha == 0.25
    assert see_through(tmp_path, None, 0.0, alphaMode="BLEND").faults == told
    mixed = see_through(tmp_path, None, np.linspace(0, 1, 8), alphaMode="BLEND")
    assert "opacity that differs from vertex to vertex" in mixed.faults[0]
    np.testing.assert_allclose(mixed.paint.materials[mixed.paint.of_face[0]].alpha, 0.5)


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
