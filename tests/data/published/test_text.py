"""Text from any editor: the same lines whatever the encoding, its mark and the line ends."""

import pytest

from robust3d.data.published.text import read_lines, read_text
from robust3d.errors import UserError

ENCODINGS = {
    "utf-8": b"",
    "utf-8-sig": b"",
    "utf-16-le": b"\xff\xfe",
    "utf-16-be": b"\xfe\xff",
    "utf-32-le": b"\xff\xfe\0\0",
    "utf-32-be": b"\0\0\xfe\xff",
}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_and_line_end(tmp_path, encoding, end):
    path = tmp_path / "a.lst"
    path.write_bytes(ENCODINGS[encoding] + f"één{end}{end} b {end}".encode(encoding))
    assert read_text(path) == "één\n\n b \n"
    assert read_lines(path) == ["één", "b"]


def test_marks_of_joined_files_and_mixed_line_ends(tmp_path):
    path = tmp_path / "a.lst"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb\r\xef\xbb\xbfc\n\rd")
    assert read_lines(path) == ["a", "b", "c", "d"]
    path.write_bytes(b"")
    assert read_lines(path) == []


@pytest.mark.parametrize(
    "content, told",
    [
        (b"Gr\xfc\xdfe", "not a text file in UTF-8"),
        ("ab".encode("utf-16-le"), "zero bytes.*save it as UTF-8"),
        (b"\xff\xfea", "not a text file in UTF-16"),
        (b"\xff\xfe\0\0\xff\xff\xff\xff", "not a text file in UTF-32"),
        (b"a" * 20, "20 bytes are too many"),
    ],
)
def test_what_is_no_text_is_refused_by_name(tmp_path, content, told):
    (tmp_path / "x.lst").write_bytes(content)
    with pytest.raises(UserError, match=f"x.lst: .*{told}"):
        read_text(tmp_path / "x.lst", limit_bytes=16)
    with pytest.raises(UserError, match=r"y.lst: .*No such file"):
        read_text(tmp_path / "y.lst")


def test_an_old_eight_bit_comment_passes_where_only_numbers_count(tmp_path):
    (tmp_path / "a.obj").write_bytes(b"# Gr\xfc\xdfe\nv 1 2 3\n")
    assert read_text(tmp_path / "a.obj", errors="replace").split("\n")[1] == "v 1 2 3"
