"""Materials of OBJ meshes: what is read, what is refused and named, and that no file outside is opened."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from robust3d.data.faults import fault_notices, faults_entry, gather_faults
from robust3d.data.published import rooted
from robust3d.data.published.files import noting_files
from robust3d.data.published.materials import parse_map, parse_mtl, read_picture
from robust3d.data.published.meshes import read_mesh, read_mesh_in
from robust3d.data.published.rooted import FolderFiles, NotThere, find
from robust3d.errors import UserError
from robust3d.shapes.store import load_meshes, mesh_digest, save_meshes

TRIANGLES = "v 0 0 0\nv 2 0 0\nv 0 1 0\nv 2 1 0\nvt 0 0\nvt 1 0\nvt 0 1\n"


def png(colour=(255, 0, 0), size=(4, 4), mode="RGB"):
    file = io.BytesIO()
    Image.new(mode, size, colour).save(file, "PNG")
    return file.getvalue()


def obj(tmp_path, faces, library=None, name="a.obj", head="mtllib a.mtl\n"):
    if library is not None:
        (tmp_path / "a.mtl").write_bytes(library if isinstance(library, bytes) else library.encode())
    (tmp_path / name).write_bytes((head + TRIANGLES + faces).encode() if isinstance(faces, str) else faces)
    return read_mesh(tmp_path / name)


def srgb(linear):
    linear = np.asarray(linear, float)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def test_groups_and_materials_in_any_order(tmp_path):
    library = "newmtl red\nKd 1 0 0\nnewmtl  deep blue#2 \nkd 0 0 0.5\nNs 10\nillum 2\nnewmtl grey\nKd 0.5\n"
    faces = "f 1 2 3\nusemtl red\ng one\nf 1 2 3\ng two\nf 2 4 3\nusemtl deep blue#2\ns 1\nf 1 2 3\n"
    faces += "usemtl grey # a word\nf 1 2 3\n"
    mesh = obj(tmp_path, faces, library)
    assert mesh.paint is None and not mesh.faults
    expected = [[srgb(0.6)] * 3, [1, 0, 0], [1, 0, 0], [0, 0, 0.5], [0.5] * 3]
    np.testing.assert_allclose(srgb(mesh.colours), expected, atol=1e-6)


def test_places_follow_their_corners_through_polygons_and_negative_indices(tmp_path):
    (tmp_path / "p.png").write_bytes(png())
    text = "v 0 0 0\nv 2 0 0\nv 2 1 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1 0\nusemtl p\n"
    (tmp_path / "a.mtl").write_text("newmtl p\nmap_Kd p.png\n")
    for face in ("f 1/1 2/2 3/3 4/4\n", "f -4/-4/1 -3/-3/2 -2/-2/3 -1/-1/4\n", "f 1/1/ 2/2/ 3/3/ \\\n 4/4/\n"):
        (tmp_path / "a.obj").write_text("mtllib a.mtl\n" + text + face)
        mesh = read_mesh(tmp_path / "a.obj")
        low = mesh.vertices.min(axis=0)
        places = (mesh.vertices[mesh.faces] - low)[..., :2] / np.ptp(mesh.vertices, axis=0)[:2]
        assert len(mesh.faces) == 2 and (mesh.paint.of_face == 1).all()
        np.testing.assert_allclose(mesh.paint.uv, places, atol=1e-6)
        assert (mesh.colours == 1).all()


@pytest.mark.parametrize(
    "line, told",
    [
        ("map_Kd ../../etc/passwd", "leads out of"),
        ("map_Kd sub/../../a.png", "leads out of"),
        ("map_Kd /etc/passwd", "path of another computer"),
        ("map_Kd C:\\pictures\\a.png", "path of another computer"),
        ("map_Kd \\\\server\\a.png", "path of another computer"),
        ("map_Kd file:///etc/passwd", "path of another computer"),
        ("map_Kd none.png", "'none.png' is not there"),
        ("map_Kd TWICE.png", "may be Twice.png or twice.png"),
        ("map_Kd link.png", "leads out of"),
        ("map_Kd broken.png", "not a readable picture"),
        ("map_Kd sub", "not a plain file"),
        ("map_Kd cut.png", "not a readable picture"),
        ("map_Kd huge.png", "at most 8192 a side"),
        ("map_Kd", "a line 'map_kd'"),
        ("map_Kd -s 1 1 1", "no name|not there"),
        ("map_Kd a.png\nmap_d b.png", "opacity from the picture b.png"),
        ("map_Kd a.png\nd 0", "fully transparent"),
        ("map_Kd a.png\nTr 1", "fully transparent"),
        ("map_Kd -mm 0.2 0.5 a.png", "option -mm"),
        ("Kd one two three", "a line 'kd one two three'"),
        ("Kd spectral file.rfl", "a line 'kd spectral"),
        ("Kd nan 0 0", "a line 'kd nan"),
    ],
)
def test_what_cannot_be_read_is_told_and_no_file_outside_is_opened(tmp_path, line, told):
    secret = tmp_path / "secret.png"
    secret.write_bytes(png((0, 255, 0)))
    folder = tmp_path / "set"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.png", "Twice.png", "twice.png", "b.png"):
        (folder / name).write_bytes(png())
    (folder / "link.png").symlink_to(secret)
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    (folder / "cut.png").write_bytes(png(size=(60, 60))[:60])
    (folder / "huge.png").write_bytes(png(size=(9000, 1), mode="L", colour=3))
    with noting_files() as read:
        mesh = obj(folder, "usemtl m\nf 1/1 2/2 3/3\n", f"newmtl m\nKd 0.2 0.4 0.6\n{line}\n")
    assert len(mesh.faults) >= 1 and re.search(told, " ".join(mesh.faults)), mesh.faults
    assert all(path.resolve().is_relative_to(folder) for path in read)
    if line.startswith("map_Kd") and "a.png\n" not in line and "-mm" not in line:
        assert mesh.paint is None
        np.testing.assert_allclose(srgb(mesh.colours[0]), [0.2, 0.4, 0.6], atol=1e-6)


@pytest.mark.parametrize("content", [b"<html>404</html>", b"DDS " + bytes(200), b""])
def test_faults_are_the_same_words_in_every_process_and_place(tmp_path, content):
    told = set()
    for folder in (tmp_path / "here", tmp_path / "there"):
        (folder / "maps").mkdir(parents=True)
        (folder / "p.png").write_bytes(content)
        library = "newmtl m\nmap_Kd p.png\nnewmtl n\nmap_Kd maps\nnewmtl o\nmap_Kd ../p.png\n"
        faces = "".join(f"usemtl {name}\nf 1/1 2/2 3/3\n" for name in "mno")
        told.add(obj(folder, faces, library).faults)
    (faults,) = told
    assert "picture p.png: not a readable picture (none of JPEG, PNG" in faults[0] and "0x" not in str(faults)
    assert len(faults) == 3 and str(tmp_path) not in str(faults)


def test_libraries_that_are_missing_or_several(tmp_path):
    faces = "usemtl b\nf 1 2 3\nusemtl c\nf 2 4 3\nusemtl None\nf 1 2 3\n"
    mesh = obj(tmp_path, faces)
    assert [fault.partition(":")[0] for fault in mesh.faults] == [
        "materials of a.mtl",
        "material b is in no file that the mesh names",
        "material c is in no file that the mesh names",
    ]
    (tmp_path / "my own.mtl").write_text("newmtl b\nKd 1 0 0\n")
    (tmp_path / "Second.MTL").write_bytes("# Grüße\nnewmtl c\nKd 0 1 0\nnewmtl b\nKd 0 0 1\n".encode("latin-1"))
    mesh = obj(tmp_path, faces, head="mtllib my own.mtl\nmtllib .\\second.mtl\n")
    assert mesh.faults == ("material b: described otherwise in Second.MTL than in my own.mtl, which counts",)
    np.testing.assert_array_equal(mesh.colours[:2], [[1, 0, 0], [0, 1, 0]])
    (tmp_path / "Second.MTL").write_text("newmtl c\nKd 0 1 0\nnewmtl b\nKd 1 0 0\n")
    assert not obj(tmp_path, faces, head="mtllib my own.mtl\nmtllib .\\second.mtl\n").faults
    assert len(obj(tmp_path, faces, head="mtllib second.mtl none.mtl\n").faults) == 1


def test_faces_without_places_keep_their_colour(tmp_path):
    (tmp_path / "p.png").write_bytes(png())
    faces = "usemtl p\nf 1/1 2/2 3/3\nf 2 4 3\nf 1/1 2/2 3/99\nf 1/1 2//1 3/3\n"
    mesh = obj(tmp_path, faces, "newmtl p\nKd 0 0 1\nmap_Kd p.png\n")
    assert mesh.faults == ("material p: 3 of 4 faces have no place in the picture",)
    np.testing.assert_array_equal(mesh.colours, [[1, 1, 1], [0, 0, 1], [0, 0, 1], [0, 0, 1]])
    assert [mesh.paint.materials[i].picture for i in mesh.paint.of_face] == [0, None, None, None]


def test_grey_opens_no_other_file(tmp_path):
    (tmp_path / "a.obj").write_text("mtllib a.mtl\n" + TRIANGLES + "usemtl red\nf 1 2 3\n")
    (tmp_path / "a.mtl").write_text("newmtl red\nKd 1 0 0\n")
    with noting_files() as read:
        mesh = read_mesh(tmp_path / "a.obj", materials="grey")
    assert [path.name for path in read] == ["a.obj"] and (mesh.colours == np.float32(0.6)).all()


def test_opacity(tmp_path):
    for line, alpha in (("d 0.25", 0.25), ("d -halo 0.25", 0.25), ("Tr 0.75", 0.25), ("d 0.25\nTr 0.25", 0.25),
                        ("Tr 0.25\nd 0.25", 0.25)):  # fmt: skip
        mesh = obj(tmp_path, "usemtl m\nf 1 2 3\n", f"newmtl m\n{line}\n")
        assert mesh.paint.materials[mesh.paint.of_face[0]].alpha == alpha and not mesh.faults


def test_options_of_maps():
    faults = []
    found = parse_map("-blendu off -clamp on -s 2 3 4 -o 0.5 -bm 1 -texres 512 my wood  1.png", faults.append)
    assert (found.name, found.scale, found.offset, found.clamp) == ("my wood  1.png", (2, 3), (0.5, 0), True)
    assert parse_map('"quoted name.png"', faults.append).name == "quoted name.png"
    assert parse_map("-odd.png", faults.append).name == "-odd.png" and not faults
    assert list(parse_mtl("Kd 1 1 1\nnewmtl a\nNEWMTL b\nmap_Ks x.png\n", faults.append)) == ["a", "b"] and not faults


def test_pictures_are_scaled_and_keep_their_mean():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (300, 200, 4), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    small = np.array(Image.open(io.BytesIO(read_picture(file.getvalue(), 30))))
    assert small.shape == (30, 20, 4)
    expected = pixels.reshape(30, 10, 20, 10, 4).mean(axis=(1, 3))
    assert np.abs(small - expected).max() <= 1
    np.testing.assert_array_equal(np.array(Image.open(io.BytesIO(read_picture(file.getvalue(), 300)))), pixels)
    grey = Image.fromarray(np.full((2, 2), 32896, np.uint16))
    file = io.BytesIO()
    grey.save(file, "PNG")
    assert (np.array(Image.open(io.BytesIO(read_picture(file.getvalue(), 8)))) == 128).all()


def test_names_are_found_in_folders(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "Images").mkdir()
    (tmp_path / "Images" / "Wood 1.JPG").write_bytes(b"x")
    files = FolderFiles(tmp_path)
    for reference in ("../Images/Wood 1.JPG", "..\\images\\wood 1.jpg", ".//..//IMAGES/./Wood 1.jpg "):
        assert find(files, "models/a.mtl", reference) == "Images/Wood 1.JPG"
    for reference in ("", "../..", "../../x", "../none/../Images/Wood 1.JPG", "a\0b", "x" * 2000):
        with pytest.raises(NotThere):
            find(files, "models/a.mtl", reference)
    (tmp_path / "ring").symlink_to("ring")
    with pytest.raises(UserError, match="leads out of"):
        files.read("ring", 10)
    with pytest.raises(UserError, match="too many"):
        files.read("Images/Wood 1.JPG", 0)
    assert isinstance(rooted.FolderFiles(tmp_path / "Images").read("Wood 1.JPG", 9), bytes)


def test_meshes_may_be_links_and_their_pictures_may_lie_elsewhere_in_the_data_set(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "set" / "a").mkdir(parents=True)
    (tmp_path / "set" / "pictures").mkdir()
    (tmp_path / "store" / "x").write_text("mtllib a.mtl\n" + TRIANGLES + "usemtl p\nf 1/1 2/2 3/3\n")
    (tmp_path / "set" / "a" / "a.obj").symlink_to(tmp_path / "store" / "x")
    (tmp_path / "set" / "a" / "a.mtl").write_text("newmtl p\nmap_Kd p.png\n")
    (tmp_path / "set" / "pictures" / "p").write_bytes(png())
    (tmp_path / "set" / "a" / "p.png").symlink_to("../pictures/p")
    files = FolderFiles(tmp_path / "set" / "a", data_set=tmp_path / "set", asked_for="a.obj")
    assert read_mesh_in(files, "a.obj").paint is not None
    assert "leads out of" in read_mesh_in(FolderFiles(tmp_path / "set" / "a", asked_for="a.obj"), "a.obj").faults[0]


@pytest.mark.parametrize(
    "text, colours, faults",
    [
        ("OFF\n3 1 0\n{}3 0 1 2 255 0 0\n", [1, 0, 0], 0),
        ("OFF\n3 1 0\n{}3 0 1 2 1.0 0 0 1.0\n", [1, 0, 0], 0),
        ("OFF\n3 1 0\n{}3 0 1 2 7\n", [0.6] * 3, 1),
        ("OFF\n3 1 0\n{}3 0 1 2 900 0 0\n", [0.6] * 3, 1),
        ("OFF\n3 1 0\n{}3 0 1 2\n", [0.6] * 3, 0),
    ],
)
def test_colours_of_faces_in_off(tmp_path, text, colours, faults):
    (tmp_path / "a.off").write_text(text.format("0 0 0\n1 0 0\n0 1 0\n"))
    mesh = read_mesh(tmp_path / "a.off")
    np.testing.assert_allclose(mesh.colours, [colours], atol=1e-6)
    assert len(mesh.faults) == faults


def test_crossed_polygons_are_cut_as_a_fan_where_that_is_wanted(tmp_path):
    (tmp_path / "a.obj").write_text("v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf 1 3 2 4\nf 1 2 3\n")
    mesh = read_mesh(tmp_path / "a.obj", crossed="fan")
    assert len(mesh.faces) == 3 and mesh.faults == ("1 of 2 faces cross themselves; they are cut as a fan",)


def test_stored_meshes_come_back_and_equal_pictures_stand_once(tmp_path):
    (tmp_path / "p.png").write_bytes(png(size=(64, 64)))
    mesh = obj(tmp_path, "usemtl p\nf 1/1 2/2 3/3\n", "newmtl p\nd 0.5\nmap_Kd p.png\nmap_d none.png\n")
    meshes = {"a": mesh, "b": mesh.scaled((1, 2, 1))}
    save_meshes(meshes, tmp_path / "m.npz", tmp_path / "m.json")
    again = load_meshes(tmp_path / "m.npz")
    for name, one in meshes.items():
        other = again[name]
        assert mesh_digest(one) == mesh_digest(other) and one.faults == other.faults
        assert one.paint.materials == other.paint.materials and one.paint.pictures == other.paint.pictures
        np.testing.assert_array_equal(one.paint.uv, other.paint.uv)
    with np.load(tmp_path / "m.npz") as file:
        assert sum(file[name].tobytes() == mesh.paint.pictures[0] for name in file.files) == 1
    clamped = obj(tmp_path, "usemtl p\nf 1/1 2/2 3/3\n", "newmtl p\nd 0.5\nmap_Kd -clamp on p.png\n")
    assert mesh_digest(clamped) != mesh_digest(mesh)


def test_pictures_that_are_one_hole_are_told(tmp_path):
    face, library = "usemtl m\nf 1/1 2/2 3/3\n", "newmtl m\nmap_Kd p.png\n"
    for alpha, is_told in ((127, True), (128, False)):
        (tmp_path / "p.png").write_bytes(png((255, 0, 0, alpha), mode="RGBA"))
        mesh = obj(tmp_path, face, library)
        assert mesh.faults == ("material m: its picture is fully transparent, nothing of it is shown",) * is_told


@pytest.mark.parametrize("attribute_bits, alpha, kept", [(8, 0, True), (0, 0, False), (0, 90, True)])
def test_alpha_of_tga_that_holds_none(attribute_bits, alpha, kept):
    file = io.BytesIO()
    Image.new("RGBA", (2, 2), (1, 2, 3, alpha)).save(file, "TGA")
    content = bytearray(file.getvalue())
    content[17] = content[17] & 0xF0 | attribute_bits
    shown = np.array(Image.open(io.BytesIO(read_picture(bytes(content), 8))))
    assert shown[0, 0].tolist() == [1, 2, 3, alpha][: 4 if kept else 3]


def test_faults_travel_in_words():
    faults = {}
    gather_faults(faults, "chair", faults_entry({"a": ("picture 'x.png' is not there", "y"), "b": ()}))
    gather_faults(faults, "chair", faults_entry({"b": ()}))
    assert list(faults) == ["chair/a"] and faults_entry({"b": ()}) == {}
    (notice,) = fault_notices("core", faults)
    assert "2 faults" in notice and "1 object," in notice and "chair/a: picture 'x.png' is not there" in notice
    assert fault_notices("core", {}) == []


@pytest.mark.parametrize(
    "library, head, told",
    [
        ("newmtl m\nKd 255 128 0\n", "", "colour 255 128 0 is not between 0 and 1"),
        ("newmtl m\nKd 1 0\n", "", "material m: a line 'kd 1 0'"),
        ("newmtl m\nKd -1 0 0\n", "", "colour -1 0 0 is not between"),
        ("newmtl m\nKd 1 0 0\nnewmtl m\nKd 0 1 0\n", "", "material m: described 2 times; the last one counts"),
        ("newmtl m\nKd 1 0 0\nKe 0.5 0 0\n", "", "material m: it shines by itself (Ke 0.5 0 0), which is not shown"),
        ("newmtl m\nKd 1 1 1\nillum 7\n", "", "material m: glass without a `d`, shown opaque"),
    ],
)
def test_odd_materials_are_told(tmp_path, library, head, told):
    assert told in obj(tmp_path, "usemtl m\nf 1 2 3\n", library).faults[0]


@pytest.mark.parametrize("space", [" ", "\t"])
def test_comments_behind_names_and_numbers(tmp_path, space):
    comment = f"{space}# c"
    (tmp_path / "p.png").write_bytes(png())
    for defined, used in (("red", "red" + comment), ("red" + comment, "red"), ("red" + comment, "red # d")):
        library = f"newmtl {defined}\nKd 1 0 0{comment}\nd 0.5{comment}\n"
        mesh = obj(tmp_path, f"usemtl {used}\nf 1 2 3\n", library, head=f"mtllib a.mtl{comment}\n")
        assert not mesh.faults and (mesh.colours == [1, 0, 0]).all()
        assert mesh.paint.materials[mesh.paint.of_face[0]].alpha == 0.5
    pictured = obj(tmp_path, "usemtl m\nf 1/1 2/2 3/3\n", f"newmtl m\nmap_Kd p.png{comment}\n")
    assert not pictured.faults and len(pictured.paint.pictures) == 1
    several = "newmtl red #1\nKd 1 0 0\nnewmtl red #2\nKd 0 1 0\n"  # may be names
    assert (obj(tmp_path, "usemtl red #2\nf 1 2 3\n", several).colours == [0, 1, 0]).all()
    assert obj(tmp_path, "usemtl red\nf 1 2 3\n", several).faults == ("material red is in no file that the mesh names",)


def test_odd_but_legal_materials_are_read(tmp_path):
    """Byte order mark, CRLF, tabs, capitals, no newline at the end, comments behind names, accents in two letters."""
    (tmp_path / "cafe\u0301.png").write_bytes(png())
    picture = "\ufeffNEWMTL\tm\r\n\tKD 1 0 0\r\nillum 2\r\nMap_Kd -S 1 1 1 caf\u00e9.png # red"
    faces = "USEMTL\tm\r\nf 1/1 2/2 3/3"
    for head in ('mtllib "a.mtl"\r\n', "MTLLIB a.mtl # mine\r\n", "mtllib\ta.mtl\r\n"):
        mesh = obj(tmp_path, faces, picture.encode(), head=head)
        assert not mesh.faults and len(mesh.paint.pictures) == 1
    dull = obj(tmp_path, "usemtl m\nf 1 2 3\n", "newmtl m\nKd 1 0 0\nKe 0 0 0\nillum 4\nd 0.5\n")
    assert not dull.faults
    same = obj(tmp_path, "usemtl m\nf 1 2 3\n", "newmtl m\nKd 1 0 0\nnewmtl m\nKd 1 0 0\n")
    assert not same.faults


@pytest.mark.parametrize(
    "colours, first, told",
    [
        ("1.0004 0.5 0", 1.0, ""),
        ("255 128 0", 1.0, ""),
        ("1.5 0.5 0", 0.6, "neither shares up to 1 nor whole numbers"),
        ("0.5 0.5 0 255", 0.6, "7 numbers"),
    ],
)
def test_ranges_of_colours_of_vertices(tmp_path, colours, first, told):
    (tmp_path / "a.obj").write_text("".join(f"v {v} {colours}\n" for v in ("0 0 0", "1 0 0", "0 1 0")) + "f 1 2 3\n")
    mesh = read_mesh(tmp_path / "a.obj")
    assert np.isclose(mesh.colours.reshape(-1)[0], first, atol=1e-6)
    assert (not mesh.faults) if not told else told in mesh.faults[0]
