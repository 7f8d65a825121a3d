"""Reads Java properties as `java.util.Properties` and its resource bundles do."""

import re

from robust3d.errors import UserError

_BLANK = " \t\f"
_END_OF_KEY = re.compile(r"(?:\\.|[^\\=: \t\f])*", re.DOTALL)
_SEPARATOR = re.compile(r"[ \t\f]*[=:]?[ \t\f]*")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_LETTERS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


def parse_properties(content: bytes, where: str) -> dict[str, str]:
    r"""Keys and values.

    UTF-8 if the bytes are that, else Latin-1, as Java's resource bundles are read. ``\uXXXX`` and the other escapes,
    comments by # and !, lines that go on after a backslash, and keys that end at =, : or white space. Of a key that
    stands there twice the last value counts.

    Args:
        content: of the file.
        where: names the file in messages.

    Raises:
        UserError: in another encoding, such as UTF-16, or with an escape that is none.
    """
    if b"\0" in content:
        raise UserError(f"{where}: not in Latin-1 or UTF-8, for it holds zero bytes; save it as one of them")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    found = {}
    for number, line in _logical_lines(text):
        key = _END_OF_KEY.match(line)
        assert key is not None, "matches everything"
        separator = _SEPARATOR.match(line, key.end())
        assert separator is not None, "matches everything"
        place = f"{where}: line {number}"
        found[_unescaped(key[0], place)] = _unescaped(line[separator.end() :], place)
    return found


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """Lines that hold a key, each with what it goes on in, and the number of its first line."""
    found: list[tuple[int, str]] = []
    open_line: str | None = None
    start = 0
    for number, raw in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        line = raw.lstrip(_BLANK)
        if open_line is None:
            if not line or line[0] in "#!":
                continue
            open_line, start = "", number
        backslashes = len(line) - len(line.rstrip("\\"))
        if backslashes % 2:
            open_line += line[:-1]
        else:
            found.append((start, open_line + line))
            open_line = None
    if open_line:
        found.append((start, open_line))
    return found


def _unescaped(text: str, place: str) -> str:
    def letter(found: re.Match[str]) -> str:
        code = found[1]
        if code == "u":
            raise UserError(f"{place}: \\u without four hexadecimal digits; correct it")
        return chr(int(code[1:], 16)) if len(code) > 1 else _LETTERS.get(code, code)

    plain = _ESCAPE.sub(letter, text)
    try:
        return plain.encode("utf-16", "surrogatepass").decode("utf-16")  # two escapes make one letter beyond U+FFFF
    except UnicodeDecodeError:
        raise UserError(f"{place}: half a letter: an escape from \\ud800 to \\udfff without its other half") from None
