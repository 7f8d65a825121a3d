"""Reads text that others wrote, with any editor on any system: lists, labels, cameras as text, meshes."""

import codecs
from pathlib import Path

from robust3d.data.published.files import MIB, regular_file
from robust3d.errors import UserError

_MARKS = (  # those of UTF-32 first: its little-endian one begins like that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_text(path: Path, limit_bytes: int = 16 * MIB) -> str:
    """A text file of bounded size: UTF-8 with or without a mark, UTF-16 or UTF-32 with theirs.

    Args:
        path: of the file; it may be empty.
        limit_bytes: largest size.

    Returns:
        The text without marks, also those that files joined together have in the middle; every line ends in LF.

    Raises:
        UserError: missing, not a plain file, too large or not text.
    """
    path = Path(path)
    regular_file(path, limit_bytes, "a text file", empty_too=True)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    return decoded(content, path)


def decoded(content: bytes, path: Path, old_codes: bool = False) -> str:
    """The same for bytes that were read already.

    Args:
        content: of the file.
        path: for messages.
        old_codes: whether what is no UTF-8 may be Latin-1, such as names and comments in a mesh.

    Raises:
        UserError: not text.
    """
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        if not (old_codes and encoding.startswith("utf-8")):
            raise UserError(
                f"{path}: not a text file in {encoding.removesuffix('-sig').upper()}; is it the right file? "
                "If it is, save it as UTF-8"
            ) from None
        text = content.removeprefix(codecs.BOM_UTF8).decode("latin-1")
    if "\0" in text:
        raise UserError(
            f"{path}: not a text file (it holds zero bytes); is it the right file? If it is UTF-16, save it as UTF-8"
        )
    return text.replace("\ufeff", "").replace("\r\n", "\n").replace("\r", "\n")


def read_lines(path: Path, limit_bytes: int = 16 * MIB) -> list[str]:
    """The lines of a text file that are neither blank nor comments (#), stripped."""
    lines = [line.strip() for line in read_text(path, limit_bytes).split("\n")]
    return [line for line in lines if line and not line.startswith("#")]
