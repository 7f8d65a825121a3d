"""Backgrounds of rendered objects: chooses the texture of each image.

Every background is composited from the same RGBA pixels, so sets differ only outside of the object.
"""

from robust3d.data.compositing import U8, compose
from robust3d.data.params import BackgroundParams
from robust3d.data.textures import Textures
from robust3d.errors import UserError
from robust3d.seeds import numpy_generator, seed_of

_PLAIN = {"black": 0, "grey": 128, "white": 255}


def image_seed(seed: int, class_name: str, instance: str, view: int) -> int:
    """Seed of one image's background, equal in pre-training and classification.

    The paper's adversarial training uses a subset of the pre-training images (§5), backgrounds included.
    """
    return seed_of(seed, "background", class_name, instance, int(view))


def crop(texture: U8, height: int, width: int, seed: int) -> U8:
    """A window (height, width, 3) of a texture image (S, S, 3), its position drawn from `seed`.

    Raises:
        UserError: the texture is smaller than the window.
    """
    rows, columns = texture.shape[0] - height, texture.shape[1] - width
    if min(rows, columns) < 0:
        raise UserError(
            f"textures.resolution_px: textures of {texture.shape[0]} px cannot stand behind frames of "
            f"{height}x{width} px; set at least {max(height, width)}"
        )
    rng = numpy_generator(seed, "crop")
    row, column = rng.integers(0, rows + 1), rng.integers(0, columns + 1)
    return texture[row : row + height, column : column + width]


class Backgrounds:
    """The backgrounds of one set: black, grey or white, or a texture chosen by image seed, class and split."""

    def __init__(self, params: BackgroundParams, textures: Textures | None, classes: int) -> None:
        """Check that `textures` has what `params` needs.

        Args:
            params: kind of background and map from class to texture.
            textures: texture images; may be None for plain kinds.
            classes: number of classes K of the set.

        Raises:
            UserError: the map does not cover the classes or names a texture that does not exist.
        """
        self.plain = _PLAIN.get(params.kind)
        self.choices: tuple[str, ...] | None = None  # texture per class; None: any
        if not params.needs_textures:
            return
        if textures is None:
            raise ValueError(f"background {params.kind} needs textures")
        self.textures = textures
        if params.kind != "textured":
            self.choices = params.texture_of_class(classes)
            missing = [name for name in self.choices if name not in textures.names]
            if missing:
                raise UserError(
                    f"background.mapping: no texture class {missing[0]!r}; "
                    f"textures.classes has {', '.join(textures.names)}"
                )

    def texture(self, label: int, split: str, seed: int) -> int:
        """Index of the texture image behind an image, -1 for a plain background.

        Args:
            label: class index of the object.
            split: split of the image; test images get test textures, train and val the others.
            seed: the image's `image_seed`.
        """
        if self.plain is not None:
            return -1
        rng = numpy_generator(seed, "texture")
        any_class = int(rng.integers(len(self.textures.names)))  # always drawn, to keep later draws equal
        name = self.textures.names[any_class] if self.choices is None else self.choices[label]
        images = self.textures.of(name, "test" if split == "test" else "train")
        return int(images[rng.integers(len(images))])

    def behind(self, rgba: U8, label: int, split: str, seed: int) -> U8:
        """The image (H, W, 3) of one frame (H, W, 4) on its background."""
        if self.plain is not None:
            return compose(rgba, self.plain)
        texture = self.textures.images[self.texture(label, split, seed)]
        return compose(rgba, crop(texture, rgba.shape[0], rgba.shape[1], seed))
