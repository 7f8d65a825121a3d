"""What the object classes share: an assembly of coloured parts and one palette for all of them."""

import colorsys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robust3d.shapes.mesh import Mesh
from robust3d.shapes.primitives import Shell

Colour = NDArray[np.float64]
LONGEST_SIDE = 1.0  # of the normalised bounding box
DIAGONAL = 1.4  # of the normalised bounding box: a sphere of radius 0.7 just fits a 30 degree view from 2.732


@dataclass(frozen=True)
class Colours:
    """Linear RGB base colours of one instance; every class draws them from the same palette."""

    body: Colour  # the main parts
    second: Colour  # parts that contrast with the body
    dark: Colour  # tyres, rubber, cones
    light: Colour  # trim, metal
    glass: Colour  # windows and screens: dark on light bodies, light on dark ones
    warm: Colour  # small accents: lamps, buttons


class Assembly:
    """Closed shells, each with a colour; they may run into each other."""

    def __init__(self) -> None:
        self._parts: list[tuple[Shell, Colour]] = []

    def add(self, shell: Shell, colour: Colour) -> None:
        """Add one part."""
        self._parts.append((shell, colour))

    def pair(self, shell: Shell, colour: Colour) -> None:
        """Add a part and its mirror image at x = 0."""
        self.add(shell, colour)
        self.add(shell.mirrored(), colour)

    def around(self, shell: Shell, colour: Colour, count: int, start_deg: float = 0.0) -> None:
        """Add `count` copies turned about the y axis."""
        for k in range(count):
            self.add(shell.turned("y", start_deg + 360.0 * k / count), colour)

    def mesh(self) -> Mesh:
        """All parts as one mesh, centred, longest side at most 1 and bounding box diagonal at most 1.4."""
        offsets = np.cumsum([0, *(len(shell.vertices) for shell, _ in self._parts)])
        vertices = np.concatenate([shell.vertices for shell, _ in self._parts])
        faces = np.concatenate([shell.faces + o for (shell, _), o in zip(self._parts, offsets)])
        colours = np.concatenate([np.tile(colour, (len(shell.faces), 1)) for shell, colour in self._parts])
        low, high = vertices.min(axis=0), vertices.max(axis=0)
        scale = min(LONGEST_SIDE / (high - low).max(), DIAGONAL / np.linalg.norm(high - low))
        vertices = (vertices - (low + high) / 2) * scale
        return Mesh(vertices, faces.astype(np.int32), colours.astype(np.float32))


def linear(hue: float, saturation: float, value: float) -> Colour:
    """Linear RGB of an sRGB colour given as hue, saturation, value in [0, 1]."""
    srgb = np.array(colorsys.hsv_to_rgb(hue, saturation, value))
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def _paint(rng: np.random.Generator) -> Colour:
    kind = rng.choice(["paint", "muted", "wood", "grey"])
    if kind == "paint":
        return linear(rng.uniform(0, 1), rng.uniform(0.55, 0.9), rng.uniform(0.4, 0.85))
    if kind == "muted":
        return linear(rng.uniform(0, 1), rng.uniform(0.15, 0.5), rng.uniform(0.35, 0.8))
    if kind == "wood":
        return linear(rng.uniform(0.05, 0.11), rng.uniform(0.4, 0.7), rng.uniform(0.3, 0.75))
    return linear(rng.uniform(0, 1), rng.uniform(0, 0.08), rng.uniform(0.3, 0.8))


def _luminance(colour: Colour) -> float:
    return float(colour @ np.array([0.2126, 0.7152, 0.0722]))


def _mixed_with_white(colour: Colour, whiteness: float) -> Colour:
    """A linear colour moved towards white by a share of its distance in sRGB, where the eye and an ε measure."""
    srgb = np.where(colour <= 0.0031308, 12.92 * colour, 1.055 * colour ** (1 / 2.4) - 0.055)
    mixed = 1 - (1 - srgb) * (1 - whiteness)
    return np.where(mixed <= 0.04045, mixed / 12.92, ((mixed + 0.055) / 1.055) ** 2.4)


def draw_colours(rng: np.random.Generator, whiteness: float) -> Colours:
    """One instance's colours, each mixed with white; before that the body is never near white, a background."""
    body = _paint(rng)
    second = _paint(rng)
    while np.abs(np.sqrt(second) - np.sqrt(body)).max() < 0.25:
        second = _paint(rng)
    dark = linear(rng.uniform(0, 1), rng.uniform(0, 0.2), rng.uniform(0.1, 0.22))
    light = linear(rng.uniform(0, 1), rng.uniform(0, 0.1), rng.uniform(0.65, 0.85))
    tint = rng.uniform(0.5, 0.65)
    pale = _luminance(body) < 0.12
    glass = linear(tint, 0.2, 0.75) if pale else linear(tint, rng.uniform(0.2, 0.6), rng.uniform(0.12, 0.28))
    warm = linear(rng.uniform(0, 0.15), rng.uniform(0.6, 0.9), rng.uniform(0.6, 0.9))
    drawn = (body, second, dark, light, glass, warm)
    return Colours(*(_mixed_with_white(colour, whiteness) for colour in drawn))
