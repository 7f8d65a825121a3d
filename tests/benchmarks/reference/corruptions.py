"""ImageNet-C's corruptions the way they are commonly written: an image at a time, with numpy, scipy and Pillow.

Images are (H, W, 3) uint8. Written from the published description, to compare with and to race against.
"""

from io import BytesIO

import numpy as np
from matplotlib.colors import hsv_to_rgb, rgb_to_hsv
from PIL import Image
from scipy import ndimage

from robust3d.distortions.frost import PICTURES, SIDE_PX, picture


def corrupt(image: np.ndarray, name: str, told, rng: np.random.Generator) -> np.ndarray:
    """One image with one corruption."""
    spoilt = globals()[name](image, told, rng)
    return np.round(np.clip(spoilt, 0, 1) * 255).astype(np.uint8)


def unit(image):
    return image / 255.0


def gaussian_noise(image, sigma, rng):
    return unit(image) + rng.normal(size=image.shape, scale=sigma)


def shot_noise(image, photons, rng):
    return rng.poisson(unit(image) * photons) / photons


def impulse_noise(image, share, rng):
    x = unit(image)
    flipped, salted = rng.random(x.shape) < share, rng.random(x.shape) < 0.5
    x[flipped & salted] = 1
    x[flipped & ~salted] = 0
    return x


def speckle_noise(image, sigma, rng):
    x = unit(image)
    return x + x * rng.normal(size=image.shape, scale=sigma)


def gaussian_blur(image, sigma, rng=None):
    return ndimage.gaussian_filter(unit(image), (sigma, sigma, 0), mode="nearest", truncate=4)


def disk(radius, smooth):
    reach, taps = (8, 3) if radius <= 8 else (radius, 5)
    axis = np.arange(-reach, reach + 1)
    x, y = np.meshgrid(axis, axis)
    kernel = (x**2 + y**2 <= radius**2).astype(float)
    line = np.exp(-((np.arange(taps) - taps // 2) ** 2) / (2 * smooth**2))
    line /= line.sum()
    kernel = ndimage.correlate1d(kernel / kernel.sum(), line, 0, mode="mirror")
    return ndimage.correlate1d(kernel, line, 1, mode="mirror")


def defocus_blur(image, told, rng=None):
    kernel = disk(*told)
    return np.stack(
        [ndimage.correlate(channel, kernel, mode="mirror") for channel in unit(image).transpose(2, 0, 1)], -1
    )


def copy_in_turn(pixels, moves, reach):
    """The double loop; `moves` gives the offset right and down of every pixel."""
    height, width = pixels.shape[:2]
    for row in range(height - reach, reach, -1):
        for column in range(width - reach, reach, -1):
            right, below = moves[:, row, column]
            pixels[row, column] = pixels[row + below, column + right]


def glass_blur(image, told, rng):
    sigma, reach, rounds = told
    x = np.floor(gaussian_blur(image, sigma) * 255)
    for _ in range(rounds):
        copy_in_turn(x, rng.integers(-reach, reach, (2, *image.shape[:2])), reach)
    return ndimage.gaussian_filter(x / 255, (sigma, sigma, 0), mode="nearest", truncate=4)


def line_blur(x, radius, sigma, angle_deg):
    """Along a line from each pixel, as ImageMagick's motion blur."""
    steps = np.arange(2 * radius + 1)
    weights = np.exp(-(steps**2) / (2 * sigma**2))
    angle, total = np.deg2rad(angle_deg), np.zeros_like(x)
    for step, weight in zip(steps, weights / weights.sum()):
        right, below = np.ceil(step * np.cos(angle) - 0.5), np.ceil(step * np.sin(angle) - 0.5)
        rows = np.clip(np.arange(x.shape[0]) + int(below), 0, x.shape[0] - 1)
        columns = np.clip(np.arange(x.shape[1]) + int(right), 0, x.shape[1] - 1)
        total += weight * x[rows][:, columns]
    return total


def motion_blur(image, told, rng):
    return line_blur(unit(image), *told, rng.uniform(-45, 45))


def clipped_zoom(x, factor):
    side = x.shape[0]
    kept = int(np.ceil(side / factor))
    top = (side - kept) // 2
    large = ndimage.zoom(x[top : top + kept, top : top + kept], (factor, factor, 1), order=1)
    trim = (large.shape[0] - side) // 2
    return large[trim : trim + side, trim : trim + side]


def zoom_blur(image, factors, rng=None):
    x = unit(image).astype(np.float32)
    return (x + sum(clipped_zoom(x, factor) for factor in factors)) / (len(factors) + 1)


def snow(image, told, rng):
    mean, deviation, zoom, threshold, radius, sigma, kept = told
    x = unit(image)
    layer = clipped_zoom(rng.normal(mean, deviation, image.shape[:2])[..., None], zoom)
    layer[layer < threshold] = 0
    layer = line_blur(np.floor(np.clip(layer, 0, 1) * 255) / 255, radius, sigma, rng.uniform(-135, -45))
    luma = np.asarray(Image.fromarray(image).convert("L"))[..., None] / 255
    return kept * x + (1 - kept) * np.maximum(x, luma * 1.5 + 0.5) + layer + np.rot90(layer, 2)


def frost(image, told, rng):
    kept, added, scale = told
    ice = Image.fromarray(picture(int(rng.integers(PICTURES)))).resize(
        [round(SIDE_PX * scale)] * 2, Image.Resampling.BOX
    )
    ice = np.asarray(ice)
    top, left = (rng.integers(0, ice.shape[axis] - image.shape[axis]) for axis in (0, 1))
    return kept * unit(image) + added * unit(ice[top : top + image.shape[0], left : left + image.shape[1]])


def clouds(side, decay, rng):
    """Diamond-square, by the published recursion."""
    found, step, rough = np.zeros((side, side)), side, 100.0
    while step >= 2:
        half, draw = step // 2, lambda shape, rough=rough: rough * rng.uniform(-rough, rough, shape)
        corner = found[::step, ::step]
        square = corner + np.roll(corner, -1, 0)
        square = square + np.roll(square, -1, 1)
        found[half::step, half::step] = square / 4 + draw(square.shape)
        middle = found[half::step, half::step]
        for axis, target in ((0, np.s_[::step, half::step]), (1, np.s_[half::step, ::step])):
            near = middle + np.roll(middle, 1, axis) + corner + np.roll(corner, -1, 1 - axis)
            found[target] = near / 4 + draw(near.shape)
        step, rough = half, rough / decay
    found -= found.min()
    return found / found.max()


def fog(image, told, rng):
    thickness, decay = told
    side = 1 << (max(image.shape[:2]) - 1).bit_length()
    x = unit(image)
    brightest = x.max()
    x = x + thickness * clouds(side, decay, rng)[: image.shape[0], : image.shape[1], None]
    return x * brightest / (brightest + thickness)


def brightness(image, added, rng=None):
    hsv = rgb_to_hsv(unit(image))
    hsv[..., 2] = np.clip(hsv[..., 2] + added, 0, 1)
    return hsv_to_rgb(hsv)


def saturate(image, told, rng=None):
    hsv = rgb_to_hsv(unit(image))
    hsv[..., 1] = np.clip(hsv[..., 1] * told[0] + told[1], 0, 1)
    return hsv_to_rgb(hsv)


def contrast(image, factor, rng=None):
    x = unit(image)
    means = x.mean((0, 1))
    return (x - means) * factor + means


def pixelate(image, share, rng=None):
    height, width = image.shape[:2]
    small = Image.fromarray(image).resize((int(width * share), int(height * share)), Image.Resampling.BOX)
    return unit(np.asarray(small.resize((width, height), Image.Resampling.BOX)))


def jpeg_compression(image, quality, rng=None):
    file = BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return unit(np.asarray(Image.open(file)))


def elastic_transform(image, shares, rng):
    side = min(image.shape[:2])
    length, smooth, corners = (share * side for share in shares)
    third, middle = side // 3, np.array(image.shape[:2]) // 2
    before = np.array([middle + third, [middle[0] + third, middle[1] - third], middle - third], float)
    after = before + rng.uniform(-corners, corners, (3, 2))
    back = np.linalg.solve(np.c_[after, np.ones(3)], before)
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]].astype(float)
    place = np.stack([columns, rows, np.ones_like(rows)], -1) @ back
    x = np.stack([ndimage.map_coordinates(c, place.T[::-1].swapaxes(1, 2), order=1, mode="mirror")
                  for c in unit(image).transpose(2, 0, 1)])  # fmt: skip
    if length:
        right, below = (
            ndimage.gaussian_filter(rng.uniform(-1, 1, image.shape[:2]), smooth, mode="reflect", truncate=3) * length
            for _ in range(2)
        )
        x = np.stack([ndimage.map_coordinates(c, [rows + below, columns + right], order=1, mode="reflect") for c in x])
    return x.transpose(1, 2, 0)


def relief(drops):
    """Light on swollen drops, from the distance to their outline."""
    inside = ndimage.minimum_filter(drops, footprint=np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]]), mode="nearest")
    outline = drops & ~inside
    far = ndimage.distance_transform_edt(~outline) if outline.any() else np.full(drops.shape, 20.0)
    depth = np.floor(ndimage.uniform_filter(np.minimum(far, 20), 3, mode="mirror") + 1e-6).astype(int)
    counts = np.bincount(depth.ravel(), minlength=256)
    below = counts.cumsum()
    least = counts[counts > 0][0]
    table = np.round((below - least).clip(0) / max(below[-1] - least, 1) * 255)
    kernel = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])
    raised = ndimage.correlate(table[depth], kernel, mode="mirror").clip(0, 255)
    return ndimage.uniform_filter(raised, 3, mode="mirror")


def spatter(image, told, rng):
    mean, deviation, smooth, threshold, strength, is_mud = told
    liquid = ndimage.gaussian_filter(rng.normal(mean, deviation, image.shape[:2]), smooth, mode="nearest", truncate=4)
    if is_mud:
        cover = ndimage.gaussian_filter((liquid > threshold).astype(float), strength, mode="nearest", truncate=4)
        cover[cover < 0.8] = 0
        return unit(image) * (1 - cover[..., None]) + np.array([63, 42, 20]) / 255 * cover[..., None]
    liquid[liquid < threshold] = 0
    light = np.floor(np.clip(liquid * 255, 0, 255)) * relief(liquid > 0)
    light /= max(light.max(), 1e-12)
    return unit(image) + strength * light[..., None] * np.array([175, 238, 238]) / 255
