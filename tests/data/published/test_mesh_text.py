"""OFF and OBJ as many programs write them: the same mesh whatever the style, or a refusal that names the file."""

import codecs
import random
from pathlib import Path

import numpy as np
import pytest

from robust3d.data.published.mesh_text import BrokenMesh
from robust3d.data.published.meshes import read_mesh

CASES = Path(__file__).parents[4] / "shared" / "cases" / "data"
# A prism over a dart: two concave faces of four corners, four walls, and two triangles on top of one of them.
VERTICES = [(0, 0, 0), (4, 0, 0), (1, 1, 0), (0, 4, 0), (0, 0, 1), (4, 0, 1), (1, 1, 1), (0, 4, 1), (2, 0, 2)]
FACES = [(3, 2, 1, 0), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7), (4, 5, 8), (8, 5, 4)]
SIDES = 4 + np.sqrt(10) + np.sqrt(10) + 4
AREA = 2 * 4 + SIDES + 2 * 2  # darts of area 4, walls of height 1, triangles of base 4 and height 1
TETRAHEDRON = "3 0 2 1\n3 0 1 3\n3 0 3 2\n3 1 2 3\n"


def area(mesh):
    a, b, c = mesh.vertices[mesh.faces].transpose(1, 0, 2)
    return np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2


def read(folder, name, text, encoding="utf-8"):
    (folder / name).write_bytes(text.encode(encoding) if isinstance(text, str) else text)
    return read_mesh(folder / name)


def same(a, b):
    return np.array_equal(a.vertices, b.vertices) and np.array_equal(a.faces, b.faces)


def number(rng, value):
    return rng.choice(("{:d}", "{:.1f}", "{:.2e}", "{:d}.", "+{:d}")).format(value)


def write_off(rng) -> tuple[list[str], int]:
    """Lines of the prism, and the number of those before its vertices."""
    prefix = rng.choice(("", "", "C", "N", "ST", "STCN"))
    more = (
        " 0 0 1" * ("N" in prefix) + rng.choice((" 1 0 0 1", " 255 0 0")) * ("C" in prefix) + " .5 .5" * ("S" in prefix)
    )
    edges = rng.choice((" 12", " 0", ""))
    counts = f"{len(VERTICES)} {len(FACES)}{edges}"
    head = rng.choice(([f"{prefix}OFF", counts], [f"{prefix}OFF {counts}"], [f"{prefix}OFF{counts}"]))
    colour = rng.choice(("", "", " 7", " 0.1 0.2 0.3", " 1 2 3 4"))
    rows = [" ".join(number(rng, value) for value in vertex) + more for vertex in VERTICES]
    rows += [" ".join(map(str, (len(face), *face))) + rng.choice((colour, "")) for face in FACES]
    return head + rows, len(head)


def write_obj(rng) -> list[str]:
    rows = ["mtllib C:\\meshes\\", "o prism", "vn 0 0 1", "vt 0 0"]
    colour = rng.choice(("", " 1.0", " 0.5 0.5 0.5"))
    rows += ["v " + " ".join(number(rng, value) for value in vertex) + colour for vertex in VERTICES]
    for face in FACES:
        suffix = rng.choice(("", "/1", "//1", "/1/1"))
        words = [f"{rng.choice((corner + 1, corner - len(VERTICES)))}{suffix}" for corner in face]
        if rng.random() < 0.3:
            words.insert(rng.randrange(1, len(words)), "\\\n")
        rows.append("f " + " ".join(words))
    return rows


def dressed(rng, rows):
    """The same with comments, blank lines and odd white space, in some encoding and with some line ends."""
    text = []
    for row in rows:
        text += [rng.choice(("", "   ", "# v 1 2 3", "#", "# Größe C:\\"))] if rng.random() < 0.3 else []
        row = rng.choice(("{}", "{}", "  {}", "{}\t", "{} # 3 0 1 2", "{}#x")).format(row)
        text.append(row.replace(" ", "\t") if rng.random() < 0.2 and "\\" not in row else row)
    encoding, mark = rng.choice(
        (
            ("utf-8", b""), ("utf-8", b""), ("utf-8", codecs.BOM_UTF8), ("latin-1", b""),
            ("utf-16-le", codecs.BOM_UTF16_LE), ("utf-16-be", codecs.BOM_UTF16_BE),
            ("utf-32-le", codecs.BOM_UTF32_LE), ("utf-32-be", codecs.BOM_UTF32_BE),
        )
    )  # fmt: skip
    end = rng.choice(("\n", "\r\n", "\r"))
    text = "\n".join(text) + rng.choice(("", "\n", "\n\n"))
    return mark + text.replace("\n", end).encode(encoding)


def plain(folder):
    rows = ["OFF", f"{len(VERTICES)} {len(FACES)} 0"] + [" ".join(map(str, vertex)) for vertex in VERTICES]
    return read(folder, "plain.off", "\n".join(rows + [" ".join(map(str, (len(face), *face))) for face in FACES]))


def test_the_plain_file_is_the_prism(tmp_path):
    mesh = plain(tmp_path)
    scale = np.ptp(mesh.vertices, axis=0).max() / 4
    assert len(mesh.vertices) == 9 and len(mesh.faces) == 14
    assert area(mesh) / scale**2 == pytest.approx(AREA)


@pytest.mark.parametrize("seed", range(150))
def test_any_style_gives_the_same_mesh(tmp_path, seed):
    rng = random.Random(seed)
    expected = plain(tmp_path)
    assert same(read(tmp_path, "a.off", dressed(rng, write_off(rng)[0])), expected)
    assert same(read(tmp_path, "a.obj", dressed(rng, write_obj(rng))), expected)


@pytest.mark.parametrize("seed", range(100))
def test_a_line_too_many_or_too_few_is_refused(tmp_path, seed):
    rng = random.Random(1000 + seed)
    rows, head = write_off(rng)
    place = rng.randrange(head, len(rows))
    if rng.random() < 0.5:
        del rows[place]
    else:
        rows.insert(place, rows[place])
    with pytest.raises(BrokenMesh, match=r"a.off: .*header says 9 vertices and 8 faces|a.off: .*cannot be read"):
        read(tmp_path, "a.off", dressed(rng, rows))


@pytest.mark.parametrize(
    "text",
    [
        "OFF 4 4 6 0 0 0 1 0 0 0 1 0 0 0 1\n" + TETRAHEDRON,
        "OFF\n4\n4\n6\n0 0 0 1 0 0\n0 1 0 0 0 1\n" + TETRAHEDRON.replace("\n", " "),
        "OFF\n4 4\n0\n0\n0\n1 0 0\n0 1 0\n0 0 1\n" + TETRAHEDRON,
    ],
)
def test_elements_that_are_no_lines(tmp_path, text):
    expected = read(tmp_path, "b.off", "OFF\n4 4 6\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n" + TETRAHEDRON)
    assert len(expected.faces) == 4
    if text.startswith("OFF\n4 4\n0\n0"):  # one number alone after the counts may be the number of edges: not guessed
        with pytest.raises(BrokenMesh, match=r"a.off: its header says 4 vertices and 4 faces"):
            read(tmp_path, "a.off", text)
    else:
        assert same(read(tmp_path, "a.off", text), expected)


SQUARE = "0 0 0\n1 0 0\n1 1 0\n0 1 0\n"
OBJ_SQUARE = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\n"


@pytest.mark.parametrize(
    "name, text, told",
    [
        ("a.off", f"OFF\n4 1 0\n{SQUARE}4 0 2 1 3\n", "face 1 has 4 corners and crosses itself"),
        ("b.off", f"OFF\n4 2 0\n{SQUARE}3 0 1 2\n3 0 1 2 3 1\n", "'3 0 1 2 3 1' that says it has 3 corners"),
        ("c.off", f"OFF\n4 1 0\n{SQUARE}3 0 1.5 2\n", "no whole numbers"),
        ("t.off", f"OFF\n4 2 0\n{SQUARE}4 0 1 2 3\n-1 0 1\n", "'-1 0 1' that says it has -1 corners"),
        ("d.off", "OFF BINARY\n4 1 0\n", "OFF BINARY is not read"),
        ("e.off", "4OFF\n4 1 0\n", "4OFF is not read"),
        ("f.off", "off\n4 1 0\n", "does not begin with OFF"),
        ("g.off", f"nOFF\n3\n4 1 0\n{SQUARE}", "nOFF is not read"),
        ("h.off", f"OFF\n4 1 0\n{SQUARE.replace('1 1 0', '1 1 0 9 9')}4 0 1 2 3\n", "columns changed from 3 to 5"),
        ("i.off", f"OFF\n4 1 0\n{SQUARE.replace('1 1 0', '1 1,5 0')}4 0 1 2 3\n", "could not convert string '1,5'"),
        ("j.off", f"NOFF\n4 1 0\n{SQUARE}4 0 1 2 3\n", "vertices of 3 numbers in a file that says NOFF"),
        ("k.obj", OBJ_SQUARE + "f 1 2 3 5\n", r"'f 1 2 3 5' of vertices that are not there \(4 are\)"),
        ("l.obj", OBJ_SQUARE + "f -1 -2 -5\n", "not there"),
        ("m.obj", "v 0 0 0\nf -1 -2 -3\n" + OBJ_SQUARE, "not there"),  # they count back from where the face stands
        ("n.obj", OBJ_SQUARE + "f 1 2 3 \\ 4\n", "cannot be read"),
        ("o.obj", OBJ_SQUARE + "f 1 / 2 3\n", "cannot be read"),
        ("p.obj", OBJ_SQUARE + "f\t\n", "a face without vertices"),
        ("q.obj", OBJ_SQUARE + "f 1 2 3\nsurf 0 1 0 1 1 2 3 4\n", "free-form"),
        ("r.obj", "v 0 0\n" + OBJ_SQUARE + "f 1 2 3\n", "cannot be read"),
        ("s.obj", OBJ_SQUARE.encode("utf-16-le") + "f 1 2 3\n".encode("utf-16-le"), "zero bytes"),
    ],
)
def test_what_does_not_add_up_is_refused(tmp_path, name, text, told):
    with pytest.raises(BrokenMesh, match=f"{name}: .*{told}"):
        read(tmp_path, name, text)


def test_indices_count_back_from_their_face(tmp_path):
    first = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf -3 -2 -1\n"
    mesh = read(tmp_path, "a.obj", first + "v 0 0 3\nv 1 0 3\nv 0 1 3\nf -3 -2 -1\nf 1 2 4\n")
    vertices = "".join(f"v {x}\n" for x in ("0 0 0", "1 0 0", "0 1 0", "0 0 3", "1 0 3", "0 1 3"))
    expected = read(tmp_path, "b.obj", vertices + "f 1 2 3\nf 4 5 6\nf 1 2 4\n")
    assert same(mesh, expected)


@pytest.mark.parametrize("face", ["fo 1 2 4", "f\xa01 2 4", "\x0bf 1 2 4", "f\x0b1\x0c2\u20034", "\xa0fo\t1/1 2/2 4/3"])
def test_odd_spelling_loses_no_face(tmp_path, face):
    plain = OBJ_SQUARE + "f 1 2 3\nf 1 2 4\n"
    assert same(read(tmp_path, "a.obj", plain.replace("f 1 2 4", face)), read(tmp_path, "b.obj", plain))


@pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not beside the project")
def test_the_cases(tmp_path):
    comments = [read_mesh(CASES / "off-comments" / f"{name}.off") for name in ("plain", "sections", "inline")]
    assert len(comments[0].faces) == 4 and all(same(mesh, comments[0]) for mesh in comments)
    folder = CASES / "mesh-cr-and-bom"
    meshes = [read_mesh(folder / name) for name in ("bom.obj", "cr.obj", "bom.off")]
    content = (folder / "bom.off").read_bytes().removeprefix(codecs.BOM_UTF8)
    meshes.append(read(tmp_path, "cr.off", content.replace(b"\n", b"\r")))
    for mesh in meshes:
        np.testing.assert_array_equal(mesh.vertices, meshes[0].vertices)
        assert len(mesh.faces) == 4 and {frozenset(face) for face in mesh.faces.tolist()} == {
            frozenset(face) for face in meshes[0].faces.tolist()
        }


@pytest.mark.parametrize("word", ["1.#INF", "-1.#IND", "1.#QNAN", "1.#INF00", "-1.#INF"])
@pytest.mark.parametrize("name", ["a.obj", "a.off"])
def test_numbers_that_are_none_are_no_comments(tmp_path, word, name):
    rows = ["0 0 {}", "1 0 0", "1 1 0", "0 1 0"]
    head, faces = ("OFF\n4 1 0\n", "4 0 1 2 3\n") if name == "a.off" else ("", "f 1 2 3 4\n")
    text = head + "".join(f"{'v ' if not head else ''}{row}\n" for row in rows) + faces
    assert len(read(tmp_path, name, text.format("0#1.#INF")).faces) == 2  # a comment
    with pytest.raises(BrokenMesh, match=f"{name}: coordinates that are NaN or infinite"):
        read(tmp_path, name, text.format(word))


def test_colours_and_places_in_either_order_of_the_keyword(tmp_path):
    rows = "0 0 0 255 0 0 255 .1 .2\n1 0 0 255 0 0 255 .3 .4\n0 1 0 255 0 0 255 .5 .6\n3 0 1 2\n"
    for keyword in ("STCOFF", "CSTOFF"):
        mesh = read(tmp_path, "a.off", f"{keyword}\n3 1 0\n{rows}")
        assert not mesh.faults and (mesh.colours == np.float32([1, 0, 0])).all()
    with pytest.raises(BrokenMesh, match=r"a\.off: NCOFF is not read; save it as plain OFF"):
        read(tmp_path, "a.off", f"NCOFF\n3 1 0\n{rows}")
