"""Reads the materials of OBJ meshes (MTL) and their pictures; what cannot be read is reported, and never ends anything.

Colours count as sRGB, as viewers without colour management show them; where a material has a picture, the picture
alone is its colour, whatever `Kd` says (so do Blender and trimesh: exporters write any `Kd` beside a picture).
Opacity is `d`, else 1 - `Tr`, times the picture's alpha.
"""

import io
import math
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from robust3d.data.published.files import MAX_SIDE_PX, MIB, spread_transparency, why
from robust3d.data.published.rooted import Files, NotThere, find, without_root
from robust3d.data.published.text import decoded
from robust3d.errors import UserError

Tell = Callable[[str], None]

_MOST_BYTES_TEXT = 16 * MIB
_MOST_BYTES_PICTURE = 256 * MIB
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "TGA", "WEBP", "PPM")
_SWITCHES = ("-blendu", "-blendv", "-cc", "-clamp", "-imfchan", "-type", "-boost", "-texres", "-bm")  # with one word
_NUMBERS = {"-o": 3, "-s": 3, "-t": 3, "-mm": 2}  # with so many numbers at most
_WORD = re.compile(r"\S+")
_COMMENT = re.compile(r"\s#")
_KEYWORDS = ("kd", "d", "tr", "map_kd", "map_d", "ke", "illum")
_TGA_ATTRIBUTES = 17  # the byte whose lower half counts the bits of alpha
_GLASS = "glass"  # among what a material says: light goes through it by refraction


@dataclass
class Map:
    """A picture on a surface, as an MTL says it.

    Attributes:
        name: of its file, as it stands there.
        scale: of the places in the picture, u and v.
        offset: added to them afterwards.
        clamp: whether it is not repeated.
    """

    name: str
    scale: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)
    clamp: bool = False


@dataclass
class Described:
    """A material as an MTL describes it.

    Attributes:
        colour: `Kd`, sRGB in [0, 1]; None: not said.
        alpha: opacity in [0, 1].
        picture: `map_Kd`.
        mask: the file that `map_d` names, if another than `map_Kd`'s.
    """

    colour: tuple[float, float, float] | None = None
    alpha: float = 1.0
    picture: Map | None = None
    mask: str | None = None
    said: set[str] = field(default_factory=set)


def parse_mtl(text: str, tell: Tell) -> dict[str, Described]:
    """The materials of an MTL by name; lines that say nothing about colour, opacity and pictures are passed over.

    Args:
        text: with LF line ends.
        tell: of what cannot be read.
    """
    materials: dict[str, Described] = {}
    twice: dict[str, list[Described]] = {}
    material: Described | None = None
    name = ""
    for line in text.split("\n"):
        keyword, rest = [*line.split(None, 1), "", ""][:2]
        keyword, rest = keyword.lower(), rest.strip()
        if keyword == "newmtl":
            name, material = rest, Described()
            first = materials.setdefault(name, material)
            if first is not material:
                twice[name] = [*twice.get(name, [first]), material]
                materials[name] = material
        elif material is not None and keyword in _KEYWORDS:
            try:
                _describe(material, keyword, rest, partial(_tell_of, name, tell))
            except (ValueError, IndexError):
                _tell_of(name, tell, f"a line {f'{keyword} {rest}'.strip()[:60]!r}")
    for name, several in twice.items():
        if any(other != several[-1] for other in several):
            _tell_of(name, tell, f"described {len(several)} times; the last one counts")
    for name, material in materials.items():
        if _GLASS in material.said and not material.said & {"d", "tr"}:
            _tell_of(name, tell, "glass without a `d`, shown opaque")
    return materials


def _tell_of(name: str, tell: Tell, fault: str) -> None:
    tell(f"material {name}: {fault}")


def _describe(material: Described, keyword: str, rest: str, tell: Tell) -> None:
    """Take one line in.

    Raises:
        ValueError, IndexError: it says nothing that could be taken in.
    """
    words = without_comment(rest).split()
    if keyword == "kd":
        numbers = [_finite(word) for word in words[:3]]
        if len(numbers) == 2:  # one is grey
            raise ValueError(rest)
        red, green, blue = numbers if len(numbers) == 3 else numbers[:1] * 3
        if not all(-1e-3 <= number <= 1.001 for number in numbers):
            tell(f"its colour {' '.join(words[:3])} is not between 0 and 1 and is cut to that")
        material.colour = (min(max(red, 0.0), 1.0), min(max(green, 0.0), 1.0), min(max(blue, 0.0), 1.0))
    elif keyword == "d":
        material.alpha = min(max(_finite(words[-1]), 0.0), 1.0)
    elif keyword == "tr" and "d" not in material.said:  # some programs write opacity there, but beside a right `d`
        material.alpha = 1.0 - min(max(_finite(words[-1]), 0.0), 1.0)
    elif keyword == "map_kd":
        material.picture = parse_map(rest, tell)
    elif keyword == "map_d":
        material.mask = parse_map(rest, tell).name
    elif keyword == "illum" and words[0] in ("4", "6", "7", "9"):
        material.said.add(_GLASS)
    elif keyword == "ke" and any(_finite(word) > 0 for word in words[:3]):
        tell(f"it shines by itself (Ke {' '.join(words[:3])}), which is not shown")
    material.said.add(keyword)


def without_comment(text: str) -> str:
    """What stands before a comment; names may hold # but not behind white space."""
    return _COMMENT.split(text, maxsplit=1)[0].strip()


def _finite(word: str) -> float:
    number = float(word)
    if not math.isfinite(number):
        raise ValueError(word)
    return number


def parse_map(text: str, tell: Tell) -> Map:
    """What follows `map_Kd`: options, then the name of a file, which may hold spaces.

    Raises:
        ValueError, IndexError: an option without its value, or no name.
    """
    starts = [word.start() for word in _WORD.finditer(text)]
    words = text.split()
    found, at = Map(""), 0
    while at < len(words) - 1:
        option = words[at].lower()
        if option in _SWITCHES:
            if option == "-clamp":
                found.clamp = words[at + 1].lower() == "on"
            at += 2
        elif option in _NUMBERS:
            numbers: list[float] = []
            at += 1
            while at < len(words) - 1 and len(numbers) < _NUMBERS[option] and _is_number(words[at]):
                numbers.append(_finite(words[at]))
                at += 1
            _take_option(found, option, numbers, tell)
        else:
            break
    found.name = text[starts[at] :].strip().strip('"')
    if not found.name:
        raise ValueError("no name")
    return found


def _take_option(found: Map, option: str, numbers: Sequence[float], tell: Tell) -> None:
    if not numbers:
        raise ValueError(option)
    if option in ("-o", "-s"):
        u, v = (*numbers, 0.0 if option == "-o" else 1.0)[:2]
        if option == "-o":
            found.offset = (u, v)
        else:
            found.scale = (u, v)
    elif any(numbers) if option == "-t" else tuple(numbers) not in ((0.0,), (0.0, 1.0)):
        tell(f"an option {option}, which is not followed")


def _is_number(word: str) -> bool:
    try:
        float(word)
        return True
    except ValueError:
        return False


def read_libraries(files: Files, mesh: str, libraries: Sequence[str], tell: Tell) -> dict[str, tuple[str, Described]]:
    """The materials of all files that a mesh names: by name, with the file that describes each.

    Args:
        files: where they lie.
        mesh: name of the mesh's file.
        libraries: what follows each `mtllib`: one name, which may hold spaces, or several.
        tell: of what cannot be read.
    """
    found: dict[str, tuple[str, Described]] = {}
    for names in dict.fromkeys(libraries):
        for name in _library_names(files, mesh, names):
            try:
                place = find(files, mesh, name)
                text = decoded(files.read(place, _MOST_BYTES_TEXT), Path(place), old_codes=True)
            except UserError as error:
                tell(f"materials of {name}: {without_root(str(error), files)[:200]}")
                continue
            materials = parse_mtl(text, tell)
            for key, material in materials.items():
                first, same = found.setdefault(key, (place, material))  # the first one counts
                if same != material:
                    tell(f"material {key}: described otherwise in {place} than in {first}, which counts")
    return found


def _library_names(files: Files, mesh: str, names: str) -> Sequence[str]:
    """One name if a file has it, as it stands, in quotes or before a comment; else each word is one."""
    for one in (names, names.strip('"'), without_comment(names).strip('"')):
        try:
            find(files, mesh, one)
            return [one]
        except NotThere:
            continue
    several = without_comment(names).split()
    return several if len(several) > 1 else [names]


def read_picture(content: bytes, texture_px: int) -> bytes:
    """A picture as PNG, RGB or RGBA with 8 bits a channel, no side longer than `texture_px`.

    Args:
        content: of a picture file in one of the usual formats.
        texture_px: a larger picture is scaled down by averaging, alpha by itself.

    Raises:
        ValueError: no picture, damaged, cut off, too large, or of kinds of pixels that have no 8 bits a channel.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the size is checked here
        try:
            with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
                if max(image.size) > MAX_SIDE_PX:
                    raise ValueError(f"{image.width}x{image.height} px; at most {MAX_SIDE_PX} a side are read")
                image.draft("RGB", (texture_px, texture_px))  # JPEG: decoded no larger than needed
                pixels = _eight_bits(image, content)
        except ValueError:
            raise
        except UnidentifiedImageError:
            raise ValueError(f"not a readable picture (none of {', '.join(_FORMATS)})") from None
        except Exception as error:  # Pillow raises OSError, SyntaxError, struct and many other errors
            raise ValueError(f"not a readable picture ({why(error, 100)})") from None
    if max(pixels.size) > texture_px:
        share = texture_px / max(pixels.size)
        size = max(1, round(pixels.width * share)), max(1, round(pixels.height * share))
        # Each channel by itself: as one, alpha would weigh the colours.
        parts = [part.resize(size, Image.Resampling.BOX) for part in pixels.split()]
        pixels = Image.merge(pixels.mode, parts)
    written = io.BytesIO()
    pixels.save(written, "PNG", compress_level=3)
    return written.getvalue()


def _eight_bits(image: Image.Image, content: bytes) -> Image.Image:
    spread_transparency(image)
    is_tga = image.format == "TGA"
    if image.mode in ("I", "I;16", "I;16B", "F"):
        if image.format not in ("PNG", "PPM") or image.mode == "F":
            raise ValueError(f"pixels of kind {image.mode}")
        levels, hole = np.asarray(image, np.int64), image.info.get("transparency")  # 16 bits of grey
        image = Image.fromarray(np.rint(np.clip(levels / 65535 * 255, 0, 255)).astype(np.uint8))
        if hole is not None:
            image.putalpha(Image.fromarray(np.where(levels == hole, 0, 255).astype(np.uint8)))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        alpha = np.asarray(rgba)[..., 3]
        is_unused = is_tga and not content[_TGA_ATTRIBUTES] & 15 and not alpha.any()  # and says so
        if alpha.min() < 255 and not is_unused:
            return rgba
    return image.convert("RGB")


def linear(srgb: NDArray[np.float64]) -> NDArray[np.float32]:
    """Linear colours of sRGB ones, both in [0, 1]."""
    bright = ((srgb + 0.055) / 1.055) ** 2.4
    return np.where(srgb <= 0.04045, srgb / 12.92, bright).astype(np.float32)
