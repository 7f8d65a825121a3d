"""Archives of others: what is odd is refused by name, and nothing is ever written."""

import contextlib
import io
import os
import stat
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robust3d.data.published.archives import extract_archive
from robust3d.data.published.zips import ZipArchive
from robust3d.errors import UserError


def packed(members, method=zipfile.ZIP_DEFLATED):
    """An archive of (name or ZipInfo, content) pairs, as bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive, contextlib.suppress(UserWarning):
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def written(path, members, **how):
    path.write_bytes(packed(members, **how))
    return path


def tree(folder):
    return {path.relative_to(folder): path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))}


def linked(name, target):
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info, target


def test_members_are_read_as_they_were_packed(tmp_path):
    archive = ZipArchive(written(tmp_path / "a.zip", [("x/a.obj", b"v 0 0 0\n"), ("b.txt", b""), ("x/y/c.png", b"1")]))
    assert archive.read("x/a.obj") == b"v 0 0 0\n" and archive.read("b.txt") == b""
    assert set(archive.names()) == {"x", "b.txt"} and set(archive.names("x")) == {"a.obj", "y"}
    assert archive.names("z") == () and archive.size("x/a.obj") == 8 and archive.root == str(tmp_path / "a.zip")


@pytest.mark.parametrize(
    "name", ["../a", "x/../../a", "/etc/a", "C:/a", "c:a", "x\\..\\a", "..\\a", "\\\\host\\a", "a\nb", "a\x1bb"]
)
def test_names_that_lead_elsewhere_are_refused(tmp_path, name):
    path = written(tmp_path / "a.zip", [("good.txt", b"1"), (name, b"2")])
    before = tree(tmp_path)
    with pytest.raises(UserError) as error:
        ZipArchive(path)
    assert str(path) in str(error.value) and repr(name) in str(error.value)
    assert tree(tmp_path) == before


def test_names_with_backslashes_are_said_to_be_that(tmp_path):
    path = written(tmp_path / "a.zip", [("m\\a.obj", b"1")])
    with pytest.raises(UserError, match=r"a name with backslashes, .* pack it again with slashes"):
        ZipArchive(path)
    with pytest.raises(UserError, match="written with backslashes; pack it again with slashes"):
        extract_archive(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_name_with_a_zero_byte_is_refused(tmp_path):
    content = packed([("evilX.obj", b"1")]).replace(b"evilX.obj", b"evil\0.obj")
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    with pytest.raises(UserError, match="evil"):
        ZipArchive(path)


def test_links_and_devices_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"'x/link'.*link or device"):
        ZipArchive(written(tmp_path / "a.zip", [linked("x/link", "/etc/passwd")]))
    info = zipfile.ZipInfo("fifo")
    info.external_attr = (stat.S_IFIFO | 0o666) << 16
    with pytest.raises(UserError, match=r"'fifo'.*link or device"):
        ZipArchive(written(tmp_path / "b.zip", [(info, b"")]))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("names", [("a.obj", "a.obj"), ("x/a", "x//a"), ("x/a", "./x/a"), ("a/", "a")])
def test_a_name_that_stands_twice_is_refused(tmp_path, names):
    with pytest.raises(UserError, match="stands there twice"):
        ZipArchive(written(tmp_path / "a.zip", [(name, b"1") for name in names]))


def test_bombs_are_refused_before_anything_is_unpacked(tmp_path):
    path = written(tmp_path / "a.zip", [("small", b"1"), ("bomb.obj", bytes(64 << 20))])
    assert path.stat().st_size < 100_000
    with pytest.raises(UserError, match=r"'bomb.obj'.*that unpack to 67,108,864"):
        ZipArchive(path)


def test_a_size_that_is_a_lie_is_found(tmp_path):
    """The directory says four bytes where 8 MB come out: no more than four are read, and the checksum is wrong."""
    content = bytearray(packed([("lie.obj", os.urandom(1000) * 8000)]))
    directory = content.rindex(b"PK\x01\x02")
    content[directory + 24 : directory + 28] = struct.pack("<L", 4)
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a.zip/lie.obj: a damaged member"):
        ZipArchive(path).read("lie.obj")


def test_limit_of_a_member(tmp_path):
    archive = ZipArchive(written(tmp_path / "a.zip", [("a.obj", b"12345")]))
    assert archive.read("a.obj", limit_bytes=5) == b"12345"
    with pytest.raises(UserError, match=r"a.zip/a.obj: unpacks to 5 bytes; at most 4"):
        archive.read("a.obj", limit_bytes=4)


def test_encrypted_and_unknown_methods_are_refused(tmp_path):
    content = bytearray(packed([("secret.obj", b"123")]))
    directory = content.rindex(b"PK\x01\x02")
    content[directory + 8] |= 1
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(UserError, match=r"'secret.obj'.*encrypted"):
        ZipArchive(tmp_path / "a.zip")
    with pytest.raises(UserError, match=r"'b.obj'.*method 14"):
        ZipArchive(written(tmp_path / "b.zip", [("b.obj", b"123")], method=zipfile.ZIP_LZMA))


def test_what_is_no_archive_or_missing(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"no archive at all")
    with pytest.raises(UserError, match=r"a.zip: not a ZIP archive that can be read"):
        ZipArchive(tmp_path / "a.zip")
    with pytest.raises(UserError, match=r"none.zip: cannot be read"):
        ZipArchive(tmp_path / "none.zip")
    os.mkfifo(tmp_path / "pipe.zip")
    with pytest.raises(UserError, match="not a plain file"):
        ZipArchive(tmp_path / "pipe.zip")
    with pytest.raises(UserError, match=r"a.zip/none: there is no such file"):
        ZipArchive(written(tmp_path / "a.zip", [("a", b"1")])).read("none")


GOOD = packed([("x/a.obj", bytes(range(256)) * 8), ("x/b.mtl", b"newmtl a\n"), ("c.properties", b"id#1=x\n")])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, len(GOOD) - 1))
def test_archives_that_are_cut_off(tmp_path, cut):
    path = tmp_path / "cut.zip"
    path.write_bytes(GOOD[:cut])
    with pytest.raises(UserError, match=r"cut\.zip"):
        ZipArchive(path)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_changed_bytes_give_the_content_or_a_refusal(tmp_path, changes):
    """Whatever bytes change, what is read is what was packed, or the archive is named; nothing is written."""
    content = bytearray(GOOD)
    for place, value in changes:
        content[place] = value
    path = tmp_path / "changed.zip"
    path.write_bytes(content)
    before = tree(tmp_path)
    try:
        archive = ZipArchive(path)
        read = {name: archive.read(name) for name in archive._members}
    except UserError as error:
        assert "changed.zip" in str(error)
    else:
        assert set(read.values()) <= {bytes(range(256)) * 8, b"newmtl a\n", b"id#1=x\n", b""}
    assert tree(tmp_path) == before


PARTS = st.sampled_from(["..", ".", "", "a", "b.obj", "C:", "\\", "~", "con", "é", "\x7f", " "])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(st.lists(PARTS, min_size=1, max_size=5).map("/".join), min_size=1, max_size=4))
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_accepted_names_stay_inside(tmp_path, names):
    """An archive that is accepted has only members that any unpacker would put inside the folder, each once."""
    path = tmp_path / "names.zip"
    path.write_bytes(packed([(name, b"1") for name in names if name]))
    before = tree(tmp_path)
    try:
        archive = ZipArchive(path)
    except UserError as error:
        assert "names.zip" in str(error)
    else:
        folder = "/data/set"
        inside = [os.path.normpath(os.path.join(folder, name.replace("\\", "/"))) for name in archive._members]
        assert all(place.startswith(folder + "/") for place in inside) and len(set(inside)) == len(inside)
        assert not any(Path(name).drive or ":" in name.split("/")[0] for name in archive._members)
    assert tree(tmp_path) == before
