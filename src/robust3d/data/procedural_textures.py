"""Ten procedural classes of textures, stand-ins for DTD's.

A pattern is a function of continuous coordinates; it is sampled three times per pixel side and averaged.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from robust3d.data.params import TextureParams
from robust3d.data.textures import Textures, assemble
from robust3d.errors import UserError
from robust3d.seeds import numpy_generator

Array = npt.NDArray[np.float64]
Pattern = Callable[[Array, Array, np.random.Generator], Array]

_SAMPLES = 3  # per pixel side


def make_textures(params: TextureParams, seed: int) -> Textures:
    """The procedural textures of a study.

    Args:
        params: classes, number and size of the images.
        seed: the study's seed; an image depends on it, on its class and on its number only.

    Returns:
        `images_per_class` images of every class, in class order, train before test.

    Raises:
        UserError: an unknown class.
    """
    unknown = [name for name in params.classes if name not in PATTERNS]
    if unknown:
        raise UserError(
            f"textures.classes: no procedural texture {unknown[0]!r}; there are {', '.join(PATTERNS)} "
            "(source: dtd reads the 47 classes of the real data set)"
        )
    images = [
        procedural_texture(name, params.resolution_px, numpy_generator(seed, "texture", name, number))
        for name in params.classes
        for number in range(params.images_per_class)
    ]
    return assemble(np.stack(images), params)


def procedural_texture(name: str, resolution_px: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """One texture (S, S, 3) uint8 of class `name`; its colours, scale, angle and light drawn from `rng`."""
    samples = resolution_px * _SAMPLES
    axis = (np.arange(samples) + 0.5) / samples - 0.5
    x, y = np.meshgrid(axis, axis)
    angle, shift = rng.uniform(0, 2 * np.pi), rng.uniform(-5, 5, 2)
    rotated_x = np.cos(angle) * x - np.sin(angle) * y + shift[0]
    rotated_y = np.sin(angle) * x + np.cos(angle) * y + shift[1]
    image = PATTERNS[name](rotated_x, rotated_y, rng)
    light = rng.uniform(-0.25, 0.25, 2)
    image = image * (1 + light[0] * x + light[1] * y)[..., None]
    image = image.reshape(resolution_px, _SAMPLES, resolution_px, _SAMPLES, 3).mean((1, 3))
    image += rng.normal(0, 0.015, image.shape)
    return np.round(255 * np.clip(image, 0, 1)).astype(np.uint8)


def _colours(rng: np.random.Generator, count: int) -> Array:
    """`count` (count, 3) random hues whose luminances are spread over the range, in random order."""
    levels = np.linspace(0.12, 0.88, count) + rng.uniform(-0.08, 0.08, count)
    hues = rng.uniform(0, 1, (count, 3))
    luminance = hues @ [0.299, 0.587, 0.114]
    levels = rng.permutation(levels)
    darker = hues * (levels / luminance)[:, None]
    lighter = hues + (1 - hues) * ((levels - luminance) / (1 - luminance))[:, None]
    return np.where((levels < luminance)[:, None], darker, lighter)


def _mix(mask: Array, ground: Array, figure: Array) -> Array:
    """`figure` where mask is 1, `ground` where it is 0."""
    return ground + (figure - ground) * mask[..., None]


def _waves(x: Array, y: Array, rng: np.random.Generator, frequency: float, count: int) -> Array:
    """Smooth isotropic noise of unit variance, at most `frequency` cycles per image side."""
    total = np.zeros_like(x)
    for _ in range(count):
        direction, phase = rng.uniform(0, 2 * np.pi, 2)
        k = 2 * np.pi * frequency * rng.uniform(0.4, 1)
        total += np.cos(k * (np.cos(direction) * x + np.sin(direction) * y) + phase)
    return total * np.sqrt(2 / count)


def _bands(v: Array, widths: Array, colours: Array) -> Array:
    """Parallel bands along v, of the given widths and colours, repeated."""
    edges = np.cumsum(widths)
    return colours[np.searchsorted(edges[:-1], v % edges[-1], side="right")]


def _triangle(t: Array) -> Array:
    """Triangle wave of period 1 between 0 and 1."""
    return np.abs(2 * (t - np.floor(t + 0.5)))


def _zigzagged(x: Array, y: Array, rng: np.random.Generator) -> Array:
    wavelength, count = rng.uniform(0.22, 0.4), int(rng.integers(2, 4))
    chevrons = y + rng.uniform(0.4, 0.75) * wavelength * _triangle(x / wavelength)
    return _bands(chevrons, rng.uniform(0.07, 0.11, count), _colours(rng, count))


def _banded(x: Array, y: Array, rng: np.random.Generator) -> Array:
    count = int(rng.integers(4, 7))
    return _bands(y, rng.uniform(0.1, 0.28, count), _colours(rng, count))


def _wrinkled(x: Array, y: Array, rng: np.random.Generator) -> Array:
    frequency = rng.uniform(1.5, 2.5)
    bend_x, bend_y = (0.12 * _waves(x, y, rng, frequency, 10) for _ in range(2))
    stretch = rng.uniform(0.35, 0.8)  # folds along one direction
    height = np.zeros_like(x)
    for octave in range(3):
        fold = _waves(x * stretch + bend_x, y + bend_y, rng, 2 * frequency * 1.8**octave, 12)
        height += (1 - np.abs(fold)) * 0.6**octave / 1.8**octave
    slope_y, slope_x = np.gradient(height, 1 / len(x))
    light = rng.uniform(0, 2 * np.pi)
    shade = 0.55 + 0.03 * (np.cos(light) * slope_x + np.sin(light) * slope_y)
    cloth = sorted(_colours(rng, 3), key=np.sum)[1]
    return _mix(np.clip(shade, 0, 1), cloth * 0.1, 0.25 + 0.75 * cloth)


def _striped(x: Array, y: Array, rng: np.random.Generator) -> Array:
    period, part = rng.uniform(0.075, 0.12), rng.uniform(0.35, 0.65)
    return _bands(y, period * np.array([part, 1 - part]), _colours(rng, 2))


def _grid(x: Array, y: Array, rng: np.random.Generator) -> Array:
    period, aspect, line = rng.uniform(0.12, 0.2), rng.uniform(0.8, 1.25), rng.uniform(0.14, 0.24)
    on_line = np.minimum(x / period % 1, y / (period * aspect) % 1) < line
    return _mix(on_line.astype(float), *_colours(rng, 2))


def _polka_dotted(x: Array, y: Array, rng: np.random.Generator) -> Array:
    period, radius, staggered = rng.uniform(0.15, 0.25), rng.uniform(0.26, 0.36), rng.integers(2)
    row = np.floor(y / period)
    across = x / period + 0.5 * staggered * (row % 2)
    distance = np.hypot(across % 1 - 0.5, y / period % 1 - 0.5)
    return _mix((distance < radius).astype(float), *_colours(rng, 2))


def _chequered(x: Array, y: Array, rng: np.random.Generator) -> Array:
    side = rng.uniform(0.09, 0.18)
    odd = (np.floor(x / side) + np.floor(y / side)) % 2
    return _mix(odd, *_colours(rng, 2))


def _blotchy(x: Array, y: Array, rng: np.random.Generator) -> Array:
    frequency = rng.uniform(2.5, 5)
    colours = _colours(rng, 3)
    image = _mix(0.15 * _waves(x, y, rng, 2, 6), colours[0], colours[0] * 0.6)
    for colour in colours[1:]:
        edge = 0.35 * _waves(x, y, rng, 5 * frequency, 10)  # ragged outlines
        blot = _waves(x, y, rng, frequency, 12) + edge - rng.uniform(0.5, 0.9)
        image = _mix(np.clip(4 * blot, 0, 1), image, colour)
    return image


def _lacelike(x: Array, y: Array, rng: np.random.Generator) -> Array:
    period, petals, turn = rng.uniform(0.3, 0.45), int(rng.integers(5, 9)), rng.uniform(0, 2 * np.pi)
    row = np.floor(y / period)
    u, v = (x / period + 0.5 * (row % 2)) % 1 - 0.5, y / period % 1 - 0.5
    r, a = np.hypot(u, v), np.arctan2(v, u) + turn
    outline = 0.34 + 0.07 * np.abs(np.cos(petals * a / 2))
    flower = (np.abs(r - outline) < 0.035) | (np.abs(r - 0.13) < 0.03)
    spokes = (np.abs(np.sin(petals * a / 2)) * r < 0.022) & (r > 0.13) & (r < outline)
    net_p, net_q = (x + y) / period * rng.uniform(5, 6), (x - y) / period * rng.uniform(5, 6)
    net = (np.minimum(_triangle(net_p), _triangle(net_q)) < 0.22) & (r > outline)
    dark, bright = sorted(_colours(rng, 2), key=np.sum)
    return _mix((flower | spokes | net).astype(float), dark * 0.7, 0.35 + 0.65 * bright)


def _crystalline(x: Array, y: Array, rng: np.random.Generator) -> Array:
    count = int(rng.integers(20, 50))
    place = rng.uniform(-0.85, 0.85, (count, 2)) + np.array([x.mean(), y.mean()])
    squash, tilt = rng.uniform(1, 1.6), rng.uniform(0, np.pi)
    dx, dy = x[..., None] - place[:, 0], y[..., None] - place[:, 1]
    along, across = np.cos(tilt) * dx + np.sin(tilt) * dy, np.cos(tilt) * dy - np.sin(tilt) * dx
    distance = along**2 + (squash * across) ** 2
    nearest = distance.argmin(-1)
    along, across, first = (np.take_along_axis(a, nearest[..., None], -1) for a in (along, across, distance))
    np.put_along_axis(distance, nearest[..., None], np.inf, -1)
    gap = np.sqrt(distance.min(-1)) - np.sqrt(first[..., 0])
    at_nearest = np.arctan2(across, along)[..., 0]
    sides = rng.integers(3, 6, count)[nearest]
    turn, light, tone = (
        rng.uniform(0, 2 * np.pi, count)[nearest],
        rng.uniform(0, 2 * np.pi),
        rng.uniform(-1, 1, count),
    )
    facet = np.floor((at_nearest + turn) * sides / (2 * np.pi)) / sides * 2 * np.pi - turn
    shade = 0.5 + 0.32 * np.cos(facet - light) + 0.18 * tone[nearest]
    dark, bright = sorted(_colours(rng, 2), key=np.sum)
    image = _mix(np.clip(shade, 0, 1), dark, bright)
    return _mix((gap < 0.012).astype(float) * 0.7, image, np.ones(3))


PATTERNS: dict[str, Pattern] = {
    "zigzagged": _zigzagged,
    "banded": _banded,
    "wrinkled": _wrinkled,
    "striped": _striped,
    "grid": _grid,
    "polka-dotted": _polka_dotted,
    "chequered": _chequered,
    "blotchy": _blotchy,
    "lacelike": _lacelike,
    "crystalline": _crystalline,
}
