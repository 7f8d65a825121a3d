"""Texture images for backgrounds, and their file format."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from robust3d.data.params import TextureParams
from robust3d.errors import UserError, why_unreadable


@dataclass(frozen=True)
class Textures:
    """Texture images of several classes, separate for test and for train and validation.

    Attributes:
        images: (T, S, S, 3) uint8 sRGB.
        names: names of the classes.
        class_index: (T,) int64 into `names`.
        split: (T,) "train" or "test".
    """

    images: npt.NDArray[np.uint8]
    names: tuple[str, ...]
    class_index: npt.NDArray[np.int64]
    split: npt.NDArray[np.str_]

    def of(self, name: str, split: str) -> npt.NDArray[np.int64]:
        """Indices of the images of one class in one split ("train" or "test")."""
        return np.flatnonzero((self.class_index == self.names.index(name)) & (self.split == split))

    def save(self, path: Path) -> None:
        """Write an .npz whose bytes depend on the content only."""
        with open(path, "wb") as file:
            np.savez_compressed(
                file,
                images=self.images,
                names=np.array(self.names, np.str_),
                class_index=self.class_index,
                split=self.split,
            )

    @classmethod
    def load(cls, path: Path) -> "Textures":
        """Read what `save` wrote.

        Raises:
            UserError: missing, damaged, or another file.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                names = tuple(str(name) for name in file["names"])
                images, class_index, split = file["images"], file["class_index"], file["split"]
            if (
                images.dtype != np.uint8
                or images.shape[3:] != (3,)
                or not len(images) == len(class_index) == len(split)
            ):
                raise ValueError("arrays of other shapes than those of textures")
        except FileNotFoundError:
            raise UserError(f"{path}: no such file of textures; make it with snakemake") from None
        except Exception as error:  # zip, zlib and numpy raise different exceptions for a damaged file
            damaged = f"damaged, or not a file of textures ({error!r:.160}); delete it"
            raise why_unreadable(path, error, damaged) from None
        return cls(images, names, class_index, split)


def assemble(images: npt.NDArray[np.uint8], params: TextureParams) -> Textures:
    """Label images that are in class order and, within a class, train before test."""
    classes, test = len(params.classes), params.test_images()
    split = ["train"] * (params.images_per_class - test) + ["test"] * test
    return Textures(
        images=images,
        names=params.classes,
        class_index=np.repeat(np.arange(classes), params.images_per_class),
        split=np.array(split * classes, np.str_),
    )
