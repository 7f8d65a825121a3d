"""Puts what a mesh's files say of colours and materials on its triangles."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from robust3d.data.published.holes import shows_nothing
from robust3d.data.published.materials import Described, Map, linear, read_libraries, read_picture, without_comment
from robust3d.data.published.mesh_text import Look
from robust3d.data.published.rooted import Files, find, without_root
from robust3d.errors import UserError
from robust3d.shapes.mesh import Material, Paint

GREY = 0.6  # linear base colour of what has none
MOST_BYTES_PICTURE = 256 << 20
_NAMELESS = ("", "none", "null", "(null)", "default")  # what programs write for no material


@dataclass
class Triangles:
    """Triangles cut from a mesh's polygons, with what they were cut from.

    Attributes:
        vertices: (F, 3) rows of the file's vertices.
        source: (F,) the place of each one's polygon in the file.
        uv: (F, 3) rows of `Look.uv`, -1 where there is none.
    """

    vertices: NDArray[np.int64]
    source: NDArray[np.int64]
    uv: NDArray[np.int64]

    def chosen(self, which: NDArray[np.bool_]) -> "Triangles":
        """Some of them."""
        return Triangles(self.vertices[which], self.source[which], self.uv[which])


@dataclass
class Dressed:
    """Colours, paint and faults as `robust3d.shapes.mesh.Mesh` has them."""

    colours: NDArray[np.float32]
    paint: Paint | None = None
    faults: list[str] = field(default_factory=list)

    def chosen(self, which: NDArray[np.bool_]) -> "Dressed":
        """That of some triangles."""
        paint = self.paint and replace(self.paint, of_face=self.paint.of_face[which], uv=self.paint.uv[which])
        return Dressed(self.colours[which], paint, self.faults)


def plain(triangles: Triangles) -> Dressed:
    """All in one grey."""
    return Dressed(np.full((len(triangles.vertices), 3), GREY, np.float32))


def dressed(look: Look, triangles: Triangles, files: Files, mesh: str, texture_px: int) -> Dressed:
    """The look of triangles.

    A face with a picture has the picture's colours alone; another one those of its vertices, else its own, else its
    material's, else grey.

    Args:
        look: what the mesh's file says.
        triangles: of the mesh.
        files: where the mesh lies, and what it names.
        mesh: name of its file.
        texture_px: larger pictures are scaled down to so many pixels a side.
    """
    found = plain(triangles)
    found.faults += look.faults
    described = _described(look, triangles, files, mesh, found.faults)
    of_face = np.zeros(len(triangles.source), np.int64) if look.of_face is None else look.of_face[triangles.source] + 1
    for number, (_, material) in described.items():
        if material.colour is not None:
            found.colours[of_face == number] = linear(np.array(material.colour))
    if look.face_colours is not None:
        given = look.face_colours[triangles.source]
        found.colours = np.where(np.isnan(given), found.colours, linear(np.nan_to_num(given)))
    if look.vertex_colours is not None:
        found.colours = linear(look.vertex_colours)[triangles.vertices]
    _paint(found, look, triangles, described, of_face, _Pictures(files, texture_px, found.faults))
    found.faults = _few(found.faults)
    return found


def _few(faults: list[str], most: int = 20) -> list[str]:
    """Each fault once, and not without end."""
    once = list(dict.fromkeys(fault if len(fault) <= 300 else fault[:299] + "…" for fault in faults))
    return once if len(once) <= most else [*once[: most - 1], f"{len(once) - most + 1} more"]


def _described(
    look: Look, triangles: Triangles, files: Files, mesh: str, faults: list[str]
) -> dict[int, tuple[str, Described]]:
    """The materials that are used: by their place among the names, from 1, the file that describes each and what."""
    if look.of_face is None or not look.materials:
        return {}
    used = [int(place) for place in np.unique(look.of_face[triangles.source]) if place >= 0]
    library = read_libraries(files, mesh, look.libraries, faults.append) | look.described
    found = {}
    for place in used:
        name = look.materials[place]
        known = library.get(name) or library.get(without_comment(name)) or _commented(library, without_comment(name))
        if known is not None:
            found[place + 1] = known
        elif name.lower() not in _NAMELESS:
            faults.append(f"material {name[:60]} is in no file that the mesh names")
    return found


def _commented(library: dict[str, tuple[str, Described]], name: str) -> tuple[str, Described] | None:
    """The one material whose name has a comment behind it in its library."""
    alike = [material for key, material in library.items() if without_comment(key) == name]
    return alike[0] if len(alike) == 1 else None


@dataclass
class _Pictures:
    """The pictures of one mesh, each read once."""

    files: Files
    texture_px: int
    faults: list[str]
    held: list[bytes] = field(default_factory=list)
    places: dict[str, int | None] = field(default_factory=dict)

    def _find(self, beside: str, name: str) -> str:
        """The file of that name, or of what stands before a comment."""
        try:
            return find(self.files, beside, name)
        except UserError:
            if without_comment(name) == name.strip():
                raise
            return find(self.files, beside, without_comment(name))

    def place(self, beside: str, name: str) -> int | None:
        """The place of a picture that a file names; None if it cannot be read."""
        try:
            path = self._find(beside, name)
        except UserError as error:
            self.faults.append(f"picture {without_root(str(error), self.files)}")
            return None
        if path not in self.places:
            try:
                content = read_picture(self.files.read(path, MOST_BYTES_PICTURE), self.texture_px)
                if content not in self.held:
                    self.held.append(content)
                self.places[path] = self.held.index(content)
            except ValueError as error:
                problem = without_root(str(error), self.files)
                self.faults.append(f"picture {problem if path in problem else f'{path}: {problem}'}")
                self.places[path] = None
        return self.places[path]


def _paint(
    found: Dressed,
    look: Look,
    triangles: Triangles,
    described: dict[int, tuple[str, Described]],
    of_face: NDArray[np.int64],
    pictures: _Pictures,
) -> None:
    """Add pictures and transparency."""
    corners = np.concatenate([look.uv, np.full((1, 2), np.nan)])[triangles.uv]
    uv = np.zeros((len(of_face), 3, 2), np.float32)
    placed = np.isfinite(corners).all(axis=(1, 2))
    materials, chosen = [Material()], np.zeros(len(of_face), np.int32)
    for number, (file, material) in described.items():
        faces = of_face == number
        name = look.materials[number - 1]
        if material.alpha < Paint.HOLE:
            found.faults.append(f"material {name[:60]} is fully transparent: nothing of it is shown")
        if material.mask is not None and (material.picture is None or material.mask != material.picture.name):
            found.faults.append(f"material {name[:60]}: opacity from the picture {material.mask[:80]}")
        chosen[faces] = _number(materials, Material(material.alpha))
        place = None if material.picture is None else pictures.place(file, material.picture.name)
        if place is None or material.picture is None:
            continue
        if shows_nothing(pictures.held[place]):
            found.faults.append(f"material {name[:60]}: its picture is fully transparent, nothing of it is shown")
        pictured = faces & placed
        if (faces & ~placed).any():
            text = f"{(faces & ~placed).sum():,} of {faces.sum():,} faces have no place in the picture"
            found.faults.append(f"material {name[:60]}: {text}")
        chosen[pictured] = _number(materials, Material(material.alpha, place, material.picture.clamp))
        uv[pictured] = _in_picture(corners[pictured], material.picture)
        found.colours[pictured] = 1.0
    if len(materials) > 1:
        found.paint = Paint(tuple(materials), chosen, uv, tuple(pictures.held))


def _number(materials: list[Material], material: Material) -> int:
    """The place of a material, which is added if it is new."""
    if material not in materials:
        materials.append(material)
    return materials.index(material)


def _in_picture(corners: NDArray[np.float64], picture: Map) -> NDArray[np.float32]:
    """Places in a picture (k, 3, 2) after its options; of a repeated one near 0, where float32 is exact."""
    uv = corners * picture.scale + picture.offset
    if not picture.clamp:
        uv = uv - np.floor(uv.min(axis=1, keepdims=True))
    return np.clip(uv, -1e6, 1e6).astype(np.float32)
