"""Text from any editor: the same lines whatever the encoding, its mark and the line ends."""

import random
from pathlib import Path

import pytest

from robust3d.data.published import nmr
from robust3d.data.published.params import NMRParams
from robust3d.data.published.text import decoded, read_lines, read_text
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
    assert decoded((tmp_path / "a.obj").read_bytes(), tmp_path / "a.obj", old_codes=True).split("\n")[1] == "v 1 2 3"


IDS = ("a", "b2", "10155655850468db78d106ce0a280f87", "ü-ö", "名前", "with space", "d.e", "zz_9")


def written(rng: random.Random, ids: list[str]) -> bytes:
    """A list as some editor leaves it, or several such lists joined in one encoding."""
    encoding = rng.choice(list(ENCODINGS))
    text, mark = "", ENCODINGS[encoding]
    for key in ids:
        text += "\ufeff" * (rng.random() < 0.2) + rng.choice(("", "", " ", "\t")) + key + rng.choice(("", " "))
        text += rng.choice(("\n", "\r\n", "\r")) * rng.choice((1, 1, 2))
    content = (text if rng.random() < 0.5 else text.rstrip("\r\n")).encode(encoding)
    if encoding == "utf-8" and rng.random() < 0.1:
        content += "Größe".encode("latin-1")  # no text in UTF-8 any more
    return mark + content


@pytest.mark.parametrize("seed", range(100))
def test_lists_of_any_editor_give_the_same_inventory_or_are_refused(tmp_path, seed):
    rng = random.Random(seed)
    ids = rng.sample(IDS, 6)
    for key in ids:
        (tmp_path / "car" / key).mkdir(parents=True)
        (tmp_path / "car" / key / "cameras.npz").write_bytes(b"x")
    parts = {"train": ids[:3], "val": ids[3:4], "test": ids[4:]}
    for part, keys in parts.items():
        (tmp_path / f"car/softras_{part}.lst").write_bytes(written(rng, keys))
    params = NMRParams(path="x", classes=("car",), missing="skip")
    try:
        inventory = nmr.take_inventory(tmp_path, params)
    except UserError as error:
        assert ".lst: not a text file in UTF-8" in str(error)
    else:
        assert inventory.splits["car"] == {part: tuple(sorted(keys)) for part, keys in parts.items()}
        assert not inventory.missing


def test_comments_are_no_ids(tmp_path):
    (tmp_path / "a.lst").write_text("# made by x\n\na\n  #b\nc#1\n")
    assert read_lines(tmp_path / "a.lst") == ["a", "c#1"]


@pytest.mark.parametrize("key", ["../x", "02958343/a", "a\\b", "a\u200bb", "a\x0bb", "..", "x" * 300])
def test_what_is_no_id_is_refused_and_not_left_out(tmp_path, key):
    (tmp_path / "car/a").mkdir(parents=True)
    (tmp_path / "car/a/cameras.npz").write_bytes(b"x")
    for part in ("train", "val", "test"):
        (tmp_path / f"car/softras_{part}.lst").write_text(f"{key}\na\n" if part == "train" else "")
    with pytest.raises(UserError, match=r"softras_train.lst: .* is not an object id"):
        nmr.take_inventory(tmp_path, NMRParams(path="x", classes=("car",), missing="skip"))


CASE = Path(__file__).parents[4] / "shared" / "cases" / "data" / "list-bom"


@pytest.mark.skipif(not CASE.is_dir(), reason="the cases are not beside the project")
@pytest.mark.parametrize("policy", ["error", "skip"])
def test_the_case(policy):
    inventory = nmr.take_inventory(CASE, NMRParams(path="x", classes=("car",), missing=policy))
    assert list(inventory.classes["car"]) == ["a", "b"] and inventory.splits["car"]["train"] == ("a", "b")
