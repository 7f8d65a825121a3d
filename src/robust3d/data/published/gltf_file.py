"""Opens glTF files: their JSON, and the bytes that it names."""

import base64
import binascii
import json
import struct
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

from robust3d.data.published.files import MIB
from robust3d.data.published.mesh_text import BrokenMesh
from robust3d.data.published.rooted import Files, NotThere, find
from robust3d.errors import UserError

_MOST_BYTES = 1024 * MIB
_JSON, _BIN = b"JSON", b"BIN\0"


def container(content: bytes, path: Path) -> tuple[dict[str, Any], bytes | None]:
    """The JSON and the buffer inside.

    Raises:
        BrokenMesh: damaged, or not glTF 2.
    """
    text, binary = content, None
    if content[:4] == b"glTF":
        if len(content) < 20 or content[12 + 4 : 20] != _JSON:
            raise BrokenMesh(f"{path}: cannot be read (no JSON in it); export it again")
        at, text = 12, b""
        while at + 8 <= len(content):
            size, kind = struct.unpack_from("<I4s", content, at)
            chunk = content[at + 8 : at + 8 + size]
            if len(chunk) < size:
                raise BrokenMesh(f"{path}: cannot be read (cut off); copy it again")
            if kind == _JSON and not text:
                text = chunk
            elif kind == _BIN and binary is None:
                binary = chunk
            at += 8 + size
    try:
        header = json.loads(text.decode("utf-8-sig"))
        version = str(header["asset"]["version"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BrokenMesh(f"{path}: cannot be read (no glTF: {error!r:.100}); export it again") from None
    if not version.startswith("2"):
        raise BrokenMesh(f"{path}: glTF {version[:20]} is not read; export it as glTF 2")
    return header, binary


def read_buffers(header: dict[str, Any], binary: bytes | None, path: Path, files: Files, name: str) -> list[bytes]:
    """The file's buffers, `binary` among them.

    Raises:
        BrokenMesh: one is missing or cut off.
    """
    found = []
    for number, buffer in enumerate(header.get("buffers", [])):
        try:
            data = fetch(files, name, buffer["uri"], _MOST_BYTES) if "uri" in buffer else binary
        except UserError as error:
            raise BrokenMesh(f"{path}: buffer {number}: {error}") from None
        if data is None or len(data) < buffer["byteLength"]:
            raise BrokenMesh(f"{path}: buffer {number} is missing or cut off; copy or export it again")
        found.append(data)
    return found


def fetch(files: Files, name: str, uri: str, limit_bytes: int) -> bytes:
    """What a URI names: data that stand in it, or a file below the root.

    Args:
        files: where to look.
        name: of the file that holds the URI, which counts from its folder.
        uri: `data:…`, or a relative one; percent-encoded, as the standard has it, or not, as some programs write.
        limit_bytes: largest size.

    Raises:
        UserError: nothing is there, or it leads out of the root.
    """
    if uri[:5].lower() == "data:":
        head, _, body = uri[5:].partition(",")
        try:
            raw = unquote_to_bytes(body)
            return base64.b64decode(raw, validate=True) if head.lower().endswith(";base64") else raw
        except binascii.Error as error:
            raise UserError(f"data in a URI that cannot be read ({error})") from None
    try:
        return files.read(find(files, name, unquote(uri)), limit_bytes)
    except NotThere:
        if "%" not in uri:
            raise
        return files.read(find(files, name, uri), limit_bytes)
