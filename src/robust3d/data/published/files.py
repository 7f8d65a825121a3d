"""Reads files that others made: everything is checked before memory is spent on it, nothing in it is executed.

Whatever is wrong with a file ends in a `UserError` that names it; no other exception leaves this module.
"""

import contextlib
import contextvars
import io
import os
import re
import stat
import struct
import warnings
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps

from robust3d.errors import UserError

MAX_SIDE_PX = 8192
MIB = 1 << 20
BACKGROUND_DEPTH = 1e10  # Blender writes this where a ray meets nothing
_PHOTOGRAPHS = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")  # Pillow's kinds of 8 bits a channel
_SPREAD = {"L;2": 85, "L;4": 17}  # how far 2 and 4 bits of grey are spread
_BITS_PER_SAMPLE = 258  # TIFF's tag
_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")
_PNG = b"\x89PNG\r\n\x1a\n"
_DEPTH_CHANNELS: dict[str, tuple[str, ...]] = {  # by preference, each with the channels beside which it is no depth
    **{name: () for name in ("depth", "depth.z", "depth.v", "depth.y", "depth.r")},  # also of a layer that is so called
    "z": ("x",),  # positions, normals
    "v": ("u",),  # texture coordinates; V alone is how Blender calls a single channel
    "y": ("x", "ry", "by"),  # brightness of a colour picture; Y alone is how image libraries call a single channel
    "r": (),  # of R, G and B alike, as DVR's are
}


@contextlib.contextmanager
def reading(path: Path, complaint: str, remedy: str = "copy or unpack it again") -> Iterator[None]:
    """The border of a reader: whatever goes wrong inside ends in one message that names the file.

    Args:
        path: of the file or folder that is read.
        complaint: what is wrong with it in general, such as "a damaged PNG picture".
        remedy: what to do about it.

    Raises:
        UserError: in place of any other exception; a more exact one from inside passes as it is.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # libraries raise OSError, SyntaxError, ValueError, zlib, struct and many other errors
        raise UserError(f"{path}: {complaint} ({why(error)}); {remedy}") from error


def why(error: Exception, most: int = 160) -> str:
    """The first line of a library's error, the same in every process: without addresses in memory.

    Args:
        error: from a library; one without words gives its kind.
        most: letters.
    """
    lines = _ADDRESS.sub("", str(error)).strip().splitlines()
    return lines[0][:most] if lines else type(error).__name__


_NOTED: contextvars.ContextVar[list[Path] | None] = contextvars.ContextVar("noted", default=None)


@contextlib.contextmanager
def noting_files() -> Iterator[list[Path]]:
    """The files that the readers of others' data open meanwhile; filled as they do."""
    files: list[Path] = []
    token = _NOTED.set(files)
    try:
        yield files
    finally:
        _NOTED.reset(token)


def regular_file(path: Path, limit_bytes: int, kind: str, empty_too: bool = False) -> int:
    """Size in bytes of a file that can be read without waiting for ever.

    Args:
        path: of the file.
        limit_bytes: largest size.
        kind: what it should be, for the message.
        empty_too: whether a file without content is one of these.

    Raises:
        UserError: missing, not a plain file, unreadable, empty or too large.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: cannot be read: {reason}; expected {kind}") from None
    if not stat.S_ISREG(status.st_mode):
        raise UserError(f"{path}: not a plain file; expected {kind}")
    if not os.access(path, os.R_OK):
        raise UserError(f"{path}: no permission to read it; expected {kind}")
    if status.st_size == 0 and not empty_too:
        raise UserError(f"{path}: empty; expected {kind}, copy or unpack it again")
    if status.st_size > limit_bytes:
        raise UserError(
            f"{path}: {status.st_size:,} bytes are too many for {kind} (at most {limit_bytes:,}); is it the right file?"
        )
    noted = _NOTED.get()
    if noted is not None:
        noted.append(path)
    return status.st_size


def read_png(path: Path, max_side_px: int = MAX_SIDE_PX) -> np.ndarray:
    """Pixels of a PNG with eight bits a channel or fewer.

    Args:
        path: of the file.
        max_side_px: largest width and height; checked before anything is decoded.

    Returns:
        uint8 (H, W) of a grey picture, (H, W, 3) or (H, W, 4) of one with colour or transparency.

    Raises:
        UserError: missing, not a PNG, damaged, too large, with 16 bits a channel, or meant to be shown turned.
    """
    path = Path(path)
    regular_file(path, max(MIB, 5 * max_side_px**2), "a PNG picture")
    with reading(path, "a damaged PNG picture"), path.open("rb") as file:
        head = file.read(26)
        if head[:8] != _PNG or head[12:16] != b"IHDR" or len(head) < 26:
            raise UserError(f"{path}: not a PNG picture; convert it or copy it again")
        width, height = struct.unpack(">II", head[16:24])
        if not (0 < width <= max_side_px and 0 < height <= max_side_px):
            raise UserError(f"{path}: claims {width}x{height} px; at most {max_side_px} a side are read")
        if head[24] > 8:
            raise UserError(f"{path}: {head[24]} bits a channel; convert it to 8")
        file.seek(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the size is checked above
            with Image.open(file, formats=("PNG",)) as image:
                image.verify()  # checksums, which loading passes over: a wrong bit would be wrong pixels
            file.seek(0)
            with Image.open(file, formats=("PNG",)) as image:
                if image.size != (width, height):
                    raise UserError(f"{path}: its header contradicts itself; copy it again")
                image.load()
                if image.mode == "L" and head[24] < 8 and "transparency" in image.info:
                    # Pillow spreads the levels of grey to 0 … 255, but not the one that is transparent.
                    raise UserError(f"{path}: {head[24]} bits of grey, one of them transparent; convert it to 8 bits")
                if _is_turned(image):
                    raise UserError(f"{path}: its EXIF orientation rotates it; save it upright")
                return np.array(image.convert(_array_mode(image)))


def _is_turned(image: Image.Image) -> bool:
    """Whether viewers show it turned or mirrored."""
    if "exif" not in image.info:
        return False
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1) in range(2, 9)
    except Exception:  # broken EXIF turns no picture
        return False


def _array_mode(image: Image.Image) -> str:
    if image.mode in ("1", "L"):
        return "RGBA" if "transparency" in image.info else "L"
    return "RGBA" if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info else "RGB"


def read_photograph(path: Path, most_pixels: int = MAX_SIDE_PX**2) -> Image.Image:
    """A picture in one of the usual formats, as viewers show it, as RGB.

    Args:
        path: of the file.
        most_pixels: largest width times height; checked before anything is decoded.

    Raises:
        UserError: missing, no picture, damaged, cut off, too large, transparent, or not of 8 bits a channel.
    """
    path = Path(path)
    regular_file(path, 256 * MIB, "a picture")
    with reading(path, "not a readable image"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the size is checked here
        try:
            with Image.open(path, formats=("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")) as image:
                if image.width * image.height <= most_pixels:
                    return _as_shown(image, path)
                size = f"{image.width}x{image.height} px"
        except Image.DecompressionBombError:
            size = "hundreds of millions of pixels"
        raise UserError(f"{path}: {size}; at most {most_pixels:,} pixels are read, scale it down")


def _as_shown(image: Image.Image, path: Path) -> Image.Image:
    """The picture as RGB, upright; what that would lose is refused."""
    if image.mode not in _PHOTOGRAPHS or _is_deep(image):
        kind = f"{image.mode} with more than 8 bits a channel" if image.mode in _PHOTOGRAPHS else image.mode
        raise UserError(f"{path}: pixels of kind {kind}; convert it to 8 bits a channel")
    spread_transparency(image)
    image.load()  # what PNG says of its orientation may come after the pixels
    if image.has_transparency_data and image.convert("RGBA").getextrema()[3][0] < 255:  # type: ignore[index,misc]
        raise UserError(f"{path}: some of its pixels are transparent; put it on a background and save it without alpha")
    return (ImageOps.exif_transpose(image) if _is_turned(image) else image).convert("RGB")


def _is_deep(image: Image.Image) -> bool:
    """Whether a picture that is not loaded yet has more than 8 bits a channel, which Pillow cuts off from colours."""
    args = _tile_args(image)
    match image.format:
        case "PNG":
            return ";16" in str(args)
        case "PPM":
            return isinstance(args, tuple) and int(args[1]) > 255
        case "TIFF":
            return max(image.tag_v2.get(_BITS_PER_SAMPLE, (1,))) > 8  # type: ignore[attr-defined]
    return False


def _tile_args(image: Image.Image) -> Any:
    """How the pixels of a picture that is not loaded yet are stored."""
    return image.tile[0].args if isinstance(image, ImageFile.ImageFile) and image.tile else None


def spread_transparency(image: Image.Image) -> None:
    """Mend a PNG before it is loaded: Pillow spreads levels of grey to 0 … 255, but not the one that is transparent."""
    spread = _SPREAD.get(str(_tile_args(image))) if image.format == "PNG" else None
    if spread is not None and "transparency" in image.info:
        image.info["transparency"] *= spread


def read_npz(path: Path, keys: Collection[str] | None = None, limit_bytes: int = 256 * MIB) -> dict[str, np.ndarray]:
    """Arrays of an ``.npz`` file.

    The zip directory and each array's header are checked against `limit_bytes` and against each other before an
    array is read, so a small file cannot fill the memory. Arrays of Python objects are refused unread.

    Args:
        path: of the file.
        keys: names to read; None: all.
        limit_bytes: largest uncompressed size of all that is read together.

    Raises:
        UserError: missing, no zip, damaged, too large, a key is not there, or Python objects inside.
    """
    path = Path(path)
    regular_file(path, limit_bytes, "an .npz file of arrays")
    complaint = "not a readable .npz file"
    with reading(path, complaint, "copy it or write it again"), zipfile.ZipFile(path) as archive:
        members = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
        if len(members) < len(archive.infolist()):
            raise UserError(f"{path}: two arrays in it have the same name; write it again")
        absent = [key for key in keys or () if key not in members]
        if absent:
            raise UserError(f"{path}: no array {absent[0]!r} in it; it holds {_names(members)}")
        wanted = {key: members[key] for key in (members if keys is None else keys)}
        total = sum(entry.file_size for entry in wanted.values())
        if total > limit_bytes:
            raise UserError(f"{path}: would unpack to {total:,} bytes; at most {limit_bytes:,} are read")
        return {key: _read_member(archive, entry, path) for key, entry in wanted.items()}


def _read_member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> np.ndarray:
    """One array whose header agrees with the size of its member."""
    with archive.open(entry) as file:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = header(file)
        if dtype.hasobject:
            raise UserError(f"{path}: {entry.filename} holds Python objects, which could run code; refused")
        expected = dtype.itemsize
        for side in shape:
            expected *= int(side)
        if min(shape, default=0) < 0 or expected != entry.file_size - file.tell():
            raise UserError(f"{path}: {entry.filename} says it is {shape} {dtype}, which is not its size")
        content = file.read(expected)
        if len(content) != expected:
            raise UserError(f"{path}: {entry.filename} is cut off; copy the file again")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C").copy()


def read_exr_depth(path: Path, max_side_px: int = MAX_SIDE_PX) -> np.ndarray:
    """Camera-z depth in the channel of an OpenEXR file that holds it by its name.

    Returns:
        float32 (H, W); inf where the file says that nothing is there: inf, NaN, or 1e10 and above.

    Raises:
        UserError: missing, not a flat OpenEXR image, damaged, too large, no channel is depth by its name, or all depths
            are negative.
    """
    path = Path(path)
    regular_file(path, max(MIB, 64 * max_side_px**2), "an OpenEXR depth map")
    import OpenEXR  # only users of depth maps need it

    with reading(path, "not a readable OpenEXR image", "copy or write it again"):
        with OpenEXR.File(str(path), separate_channels=True, header_only=True) as file:
            header = file.header()
            if len(file.parts) > 1 or "deep" in str(header.get("type", "")):
                raise UserError(f"{path}: several parts or deep data; save the depth as a plain single image")
            window, shown = (np.asarray(header[name], np.int64) for name in ("dataWindow", "displayWindow"))
            width, height = (int(side) for side in window[1] - window[0] + 1)
            if (window != shown).any():
                raise UserError(
                    f"{path}: cut to {window.tolist()} out of a picture of {shown.tolist()} (its data window and its "
                    "display window); save it whole"
                )
        if not (0 < width <= max_side_px and 0 < height <= max_side_px):
            raise UserError(f"{path}: claims {width}x{height} px; at most {max_side_px} a side are read")
        # The library prints a line about damaged data, and then has no channels to give.
        with contextlib.redirect_stdout(io.StringIO()), OpenEXR.File(str(path), separate_channels=True) as file:
            channels = {name: channel.pixels for name, channel in file.channels().items()}
            if not channels:
                raise ValueError("no channels")
            name = _depth_channel(channels, path)
            depth = np.array(channels[name], np.float32)
            beside = [name[:-1] + letter for letter in "GgBb" if name[-1] in "Rr"]
            alike = [channels[other] for other in beside if other in channels]
        if depth.shape != (height, width):
            raise UserError(f"{path}: its channel {name} has {depth.shape} values for {height}x{width} px")
        if not all(np.allclose(other, depth, rtol=1e-2, atol=0, equal_nan=True) for other in alike):
            raise UserError(f"{path}: its R, G and B differ, so it is no depth; save the depth in a channel Z")
        known = depth[np.isfinite(depth) & (depth < BACKGROUND_DEPTH)]
        if (known < 0).any() and not (known > 0).any():
            raise UserError(f"{path}: no depth in it is above 0; camera z grows along the view, change the sign")
        with np.errstate(invalid="ignore"):
            return np.where(np.isnan(depth) | (depth >= BACKGROUND_DEPTH), np.float32(np.inf), depth)


def _depth_channel(names: Collection[str], path: Path) -> str:
    """The channel that holds depth by its name: the first of `_DEPTH_CHANNELS` that is there.

    Raises:
        UserError: none is there, or two layers have one.
    """
    by_kind: dict[str, list[str]] = {}
    for name in names:
        parts = name.lower().split(".")
        is_plain = len(parts) == 1 or parts[-1] == "depth"
        by_kind.setdefault(parts[-1] if is_plain else ".".join(parts[-2:]), []).append(name)
    for kind, others in _DEPTH_CHANNELS.items():
        alone = not any(other in by_kind for other in others) and (kind != "r" or set("rgba").issuperset(by_kind))
        if alone and len(by_kind.get(kind, ())) == 1:
            return by_kind[kind][0]
    raise UserError(
        f"{path}: which of its channels {', '.join(sorted(names))} is the depth? Save the depth alone, in a channel Z "
        "or in R, G and B alike"
    )


def _names(members: Collection[str]) -> str:
    shown = ", ".join(list(members)[:5])
    return f"{shown}{', …' if len(members) > 5 else ''}" if members else "nothing"
