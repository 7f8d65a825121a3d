"""PLY with polygons of several sizes in one file, against faces, colours and places worked out by hand."""

import struct

import numpy as np
import pytest
from PIL import Image

from robust3d.data.published.materials import linear
from robust3d.data.published.mesh_text import BrokenMesh
from robust3d.data.published.meshes import read_mesh

VERTICES = [
    *((0, 0), (2, 0), (2, 2), (0, 2)),  # a square
    *((3, 0), (4, 1), (5, 0), (4, 3)),  # an arrow: a fan from its first corner would cover what lies outside
    *((6, 0), (8, 0), (6, 2)),
    *((9, 0), (11, 0), (11, 1), (10, 2), (9, 1)),  # a house
]
FACES = [[0, 1, 2, 3], [8, 9, 10], [11, 12, 13, 14, 15], [4, 5, 6, 7]]
AREAS = [4, 2, 3, 2]
COLOURS = [(255, 0, 0), (0, 255, 0), (1, 1, 0), (0, 0, 128)]
FORMATS = ["ascii", "binary_little_endian", "binary_big_endian"]
CODES = {"uchar": "B", "ushort": "H", "int": "i", "float": "f", "double": "d"}


def written(kind, vertices, vertex_lines, faces, face_lines, comments=(), before_faces=b""):
    """A PLY file: rows of numbers, lists among them; the header's lines name their types."""
    head = ["ply", f"format {kind} 1.0", *(f"comment {text}" for text in comments)]
    head += [
        f"element vertex {len(vertices)}",
        *vertex_lines,
        f"element face {len(faces)}",
        *face_lines,
        "end_header\n",
    ]
    types = [[line.split()[1:-1] for line in lines] for lines in (vertex_lines, face_lines)]
    body = b""
    for rows, columns in ((vertices, types[0]), (faces, types[1])):
        for row in rows:
            numbers = []
            for value, names in zip(row, columns, strict=True):
                numbers += [(names[0], value)] if len(names) == 1 else [(names[1], len(value))]
                numbers += [] if len(names) == 1 else [(names[2], number) for number in value]
            if kind == "ascii":
                body += " ".join(f"{number:g}" for _, number in numbers).encode() + b"\n"
            else:
                order = "<" if "little" in kind else ">"
                body += b"".join(struct.pack(order + CODES[name], number) for name, number in numbers)
    return "\n".join(head).encode() + body


CORNERS = "property list uchar int vertex_indices"
XYZ = [f"property float {axis}" for axis in "xyz"]
RGB = [f"property uchar {name}" for name in ("red", "green", "blue")]
FLAT = [(x, y, 0) for x, y in VERTICES]


def corners_of(mesh):
    """(F, 3, 2) where the corners of triangles lie in the file: it is 11 wide and 3 high, and the mesh is centred."""
    return mesh.vertices[mesh.faces][..., :2] * 11 + [5.5, 1.5]


def face_of(mesh):
    """Which face each triangle is a part of: they stand beside each other along x."""
    return np.array([0, 3, 1, 2])[np.digitize(corners_of(mesh)[..., 0].mean(axis=1), [2.5, 5.5, 8.5])]


@pytest.mark.parametrize("kind", FORMATS)
def test_faces_of_all_sizes_keep_their_colours(tmp_path, kind):
    rows = [(face, *colour) for face, colour in zip(FACES, COLOURS, strict=True)]
    (tmp_path / "a.ply").write_bytes(written(kind, FLAT, XYZ, rows, [CORNERS, *RGB]))
    mesh = read_mesh(tmp_path / "a.ply")
    (a, b, c), faces = np.moveaxis(corners_of(mesh), 1, 0), face_of(mesh)
    signed = np.cross(b - a, c - a) / 2
    assert (signed > 0).all() and len(signed) == 2 + 1 + 3 + 2
    np.testing.assert_allclose(np.bincount(faces, signed), AREAS, atol=1e-6)
    wanted = linear(np.array(COLOURS)[faces] / 255)
    np.testing.assert_allclose(mesh.colours, wanted, atol=1e-6)
    assert not mesh.faults and mesh.paint is None


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(("type_name", "white"), [("uchar", 255), ("ushort", 65535), ("float", 1.0)])
def test_corners_have_the_colours_of_their_vertices(tmp_path, kind, type_name, white):
    """The red of a vertex is its x / 11, its green y / 3."""
    step = 1 if white > 1 else 1 / 4096
    rows = [(x, y, 0, white * x / 11 // step * step, white * y / 3 // step * step, 0) for x, y in VERTICES]
    rows = [(*row[:3], *((int(value) for value in row[3:]) if white > 1 else row[3:])) for row in rows]
    head = [*XYZ, *(line.replace("uchar", type_name) for line in RGB)]
    (tmp_path / "a.ply").write_bytes(written(kind, rows, head, [(face,) for face in FACES], [CORNERS]))
    mesh = read_mesh(tmp_path / "a.ply")
    x, y = np.moveaxis(corners_of(mesh), -1, 0)
    wanted = linear(np.stack([x / 11, y / 3, 0 * x], axis=-1))
    np.testing.assert_allclose(mesh.colours, wanted, atol=0.01)
    assert not mesh.faults


def test_a_dark_colour_of_bytes_is_dark(tmp_path):
    """All bytes are 0 or 1, which are shares in other files."""
    rows = [(face, 1, 1, 0) for face in FACES]
    (tmp_path / "a.ply").write_bytes(written("ascii", FLAT, XYZ, rows, [CORNERS, *RGB]))
    assert read_mesh(tmp_path / "a.ply").colours.max() < 0.001


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("of", ["vertices", "faces"])
def test_corners_have_their_places_in_pictures(tmp_path, kind, of):
    """The place of a corner is (x / 12, y / 4), said by vertices or, as MeshLab does, by each face."""
    Image.new("RGB", (4, 4), "red").save(tmp_path / "p.png")
    places = [(x / 12, y / 4) for x, y in VERTICES]
    if of == "vertices":
        vertices, head = [(*row, *place) for row, place in zip(FLAT, places, strict=True)], ["s", "t"]
        faces, more = [(face,) for face in FACES], []
    else:
        vertices, head = FLAT, []
        faces = [(face, [number for corner in face for number in places[corner]]) for face in FACES]
        more = ["property list uchar float texcoord"]
    head = [*XYZ, *(f"property float {name}" for name in head)]
    content = written(kind, vertices, head, faces, [CORNERS, *more], ["TextureFile p.png"])
    (tmp_path / "a.ply").write_bytes(content)
    mesh = read_mesh(tmp_path / "a.ply")
    assert not mesh.faults and len(mesh.paint.pictures) == 1
    np.testing.assert_allclose(mesh.paint.uv, corners_of(mesh) / [12, 4], atol=1e-6)


def test_each_face_has_the_picture_of_its_number(tmp_path):
    """Of two pictures, and none; the face without has its own colour."""
    for name, colour in (("p.png", "red"), ("q.png", "blue")):
        Image.new("RGB", (4, 4), colour).save(tmp_path / name)
    numbers = [0, 1, -1, 1]
    rows = [(f, [0.5] * 2 * len(f), n, *c) for f, n, c in zip(FACES, numbers, COLOURS, strict=True)]
    head = [CORNERS, "property list uchar float texcoord", "property int texnumber", *RGB]
    content = written("binary_little_endian", FLAT, XYZ, rows, head, ["TextureFile p.png", "TextureFile q.png"])
    (tmp_path / "a.ply").write_bytes(content)
    mesh = read_mesh(tmp_path / "a.ply")
    shown = [mesh.paint.materials[number].picture for number in mesh.paint.of_face]
    assert not mesh.faults and [numbers[face] for face in face_of(mesh)] == [-1 if n is None else n for n in shown]
    np.testing.assert_allclose(mesh.colours[face_of(mesh) == 2], linear(np.full((3, 3), COLOURS[2]) / 255))


def test_sizes_that_change_at_every_face(tmp_path):
    """A strip of squares, every other one as two triangles, with elements in between that mean nothing here."""
    count = 3000
    vertices = [(x, y, 0) for x in range(count + 1) for y in (0, 1)]
    faces = []
    for x in range(count):
        a, b, c, d = 2 * x, 2 * x + 2, 2 * x + 3, 2 * x + 1
        faces += [([a, b, c, d], 7)] if x % 2 else [([a, b, c], 7), ([a, c, d], 7)]
    content = written("binary_little_endian", vertices, XYZ, faces, [CORNERS, "property uchar flags"])
    edges = b"element edge 2\nproperty int vertex1\nproperty int vertex2\nelement face"
    content = content.replace(b"element face", edges)
    at = content.index(b"end_header\n") + len(b"end_header\n") + 12 * len(vertices)
    (tmp_path / "a.ply").write_bytes(content[:at] + bytes(16) + content[at:])
    mesh = read_mesh(tmp_path / "a.ply")
    (a, b, c) = np.moveaxis(mesh.vertices[mesh.faces], 1, 0)
    assert len(mesh.faces) == 2 * count
    assert np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2 * count**2 == pytest.approx(count)


def plain(kind, faces=FACES):
    return written(kind, FLAT, XYZ, [(face,) for face in faces], [CORNERS])


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda kind: plain(kind)[:-3] if kind != "ascii" else plain(kind)[:-6], "cut off"),
        (lambda kind: plain(kind) + b"1 2 3", "more follows"),
        (lambda kind: plain(kind, [[0, 1, 16]]), "vertices that are not there"),
        (lambda kind: plain(kind, [[0, 1, -1]]), "vertices that are not there"),
        (lambda kind: plain(kind, [[0, 1]]), "an empty mesh"),
        (lambda kind: plain(kind).replace(b"vertex_indices", b"vertex_strips"), "list called vertex_indices"),
        (lambda kind: plain(kind).replace(b"element face 4", b"element face 4000000000"), "at most"),
        (lambda kind: plain(kind).replace(b"property float x\n", b"property float y\n"), "something twice"),
        (lambda kind: plain(kind).replace(b"property float x\n", b"property half x\n"), "not PLY's: 'property half x'"),
        (lambda kind: plain(kind).replace(b"property float x\n", b"property float w\n"), "without x, y and z"),
        (lambda kind: plain(kind).replace(b"1.0\n", b"1.0\n\xff\xfe\n", 1).replace(b"end_", b"end"), "header of a PLY"),
    ],
)
def test_what_does_not_add_up_is_refused_by_name(tmp_path, kind, damage, why):
    (tmp_path / "a.ply").write_bytes(damage(kind))
    with pytest.raises(BrokenMesh, match=rf"a\.ply: .*{why}"):
        read_mesh(tmp_path / "a.ply")


def test_line_ends_of_other_systems(tmp_path):
    text = plain("ascii")
    for end in (b"\r\n", b"\r"):
        (tmp_path / "a.ply").write_bytes(text.replace(b"\n", end))
        assert len(read_mesh(tmp_path / "a.ply").faces) == 8
    head, mark, body = plain("binary_big_endian").partition(b"end_header\n")
    (tmp_path / "a.ply").write_bytes((head + mark).replace(b"\n", b"\r\n") + body)
    assert len(read_mesh(tmp_path / "a.ply").faces) == 8


def test_words_of_the_header_in_comments_and_strips(tmp_path):
    head = "ply\nformat ascii 1.0\ncomment end_header comes later\nobj_info end_header\nelement vertex 3\n"
    head += "property float x\nproperty float y\nproperty float z\n"
    vertices = "0 0 0\n1 0 0\n0 1 0\n"
    faces = "element face 1\nproperty list uchar int vertex_indices\nend_header\n"
    for end in ("\n", "\r\n", "\r"):
        (tmp_path / "a.ply").write_bytes((head + faces + vertices + "3 0 1 2\n").replace("\n", end).encode())
        assert read_mesh(tmp_path / "a.ply").faces.tolist() == [[0, 1, 2]]
    strips = "element tristrips 1\nproperty list int int vertex_indices\nend_header\n"
    (tmp_path / "a.ply").write_text(head + strips + vertices + "3 0 1 2\n")
    with pytest.raises(
        BrokenMesh, match=r"a.ply: strips of triangles \(tristrips\) are not read; export it with faces"
    ):
        read_mesh(tmp_path / "a.ply")
