"""Reads textures from a folder of the Describable Textures Dataset (Cimpoi et al., 2014)."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from robust3d.data.params import TextureParams
from robust3d.data.published.files import read_photograph
from robust3d.data.published.identity import identity_of
from robust3d.data.published.inventory import listing
from robust3d.data.published.text import read_lines
from robust3d.data.textures import Textures, assemble
from robust3d.errors import UserError
from robust3d.seeds import numpy_generator

_WHERE = (
    "get the Describable Textures Dataset (dtd-r1.0.1.tar.gz, free for research) from "
    "https://www.robots.ox.ac.uk/~vgg/data/dtd/ and unpack it, or use source: procedural"
)


def read_dtd(params: TextureParams, seed: int) -> Textures:
    """Read `params.classes` of DTD, scaled and cropped to squares.

    The folder's first official division (labels/train1.txt and val1.txt against test1.txt) separates training
    from test images if it exists, else a random split.

    Args:
        params: `path` is the folder that holds images/<class>/*.jpg, or the folder `dtd` in it does.
        seed: of the choice of images.

    Returns:
        Textures in the same order as the procedural ones.

    Raises:
        UserError: the folder or a class is missing, has too few images, or an image cannot be read.
    """
    squares = [_square(read_photograph(file), params.resolution_px) for file in chosen_files(params, seed)]
    return assemble(np.stack(squares), params)


def chosen_files(params: TextureParams, seed: int) -> list[Path]:
    """The files that `read_dtd` reads, in its order; none of them is opened.

    Raises:
        UserError: as `read_dtd`, but for pictures that cannot be read.
    """
    root = texture_folder(Path(params.path or ""))
    official = _official_division(root / "labels")
    return [file for name in params.classes for file in _choose(root / "images" / name, official, params, seed)]


def files_identity(params: TextureParams, seed: int) -> str:
    """Sixteen hex digits over names, sizes and times of the files that `read_dtd` reads.

    Raises:
        UserError: as `chosen_files`.
    """
    root = Path(params.path or "")
    return identity_of(root, *(str(file.relative_to(root)) for file in chosen_files(params, seed)))


def texture_folder(path: Path) -> Path:
    """The folder that holds images/: `path`, or the folder `dtd` in it.

    Raises:
        UserError: there is none.
    """
    for root in (path, path / "dtd"):
        if (root / "images").is_dir():
            return root
    raise UserError(f"textures.path: no folder images/ in {path}; {_WHERE}")


def _official_division(labels: Path) -> dict[str, str] | None:
    """Split of each "<class>/<file>" in the first of DTD's ten divisions; None without the lists.

    Raises:
        UserError: one list of three is missing, or they contradict each other.
    """
    lists = {labels / "train1.txt": "train", labels / "val1.txt": "train", labels / "test1.txt": "test"}
    absent = [file for file in lists if not file.is_file()]
    if len(absent) == len(lists):
        return None
    if absent:
        raise UserError(f"{absent[0]}: no such list beside the others; unpack it again, or move {labels} away")
    found: dict[str, str] = {}
    for file, split in lists.items():
        for line in read_lines(file):
            if line.count("/") != 1 or "\\" in line:
                raise UserError(f"{file}: {line[:80]!r} is not <class>/<file>; unpack the lists again")
            if found.setdefault(line, split) != split:
                raise UserError(f"{file}: {line} is among the training images as well; unpack the lists again")
    return found


def _choose(folder: Path, official: dict[str, str] | None, params: TextureParams, seed: int) -> list[Path]:
    """`images_per_class` files of one class, those for training first."""
    if not folder.is_dir():
        raise UserError(f"textures.classes: no folder {folder}; {_WHERE}")
    names = [entry.name for entry in listing(folder)]
    files = [folder / name for name in names if Path(name).suffix.lower() in (".jpg", ".jpeg")]
    others = [name for name in names if folder / name not in files]
    files = [files[i] for i in numpy_generator(seed, "dtd", folder.name).permutation(len(files))]
    test = params.test_images()
    train = params.images_per_class - test
    if official is None:
        pools = {"train": files[test:], "test": files[:test]}
    else:
        listed = {line.rpartition("/")[2] for line in official if line.startswith(f"{folder.name}/")}
        absent = sorted(listed - set(names))
        if absent or not listed:
            problem = f"{len(absent)} images are missing, such as {absent[0]}" if absent else "none is there"
            raise UserError(
                f"{folder}: of the images that the lists in labels/ name, {problem}; unpack the data set again"
            )
        split = [official.get(f"{folder.name}/{file.name}") for file in files]
        pools = {part: [f for f, s in zip(files, split, strict=True) if s == part] for part in ("train", "test")}
    for part, wanted in (("train", train), ("test", test)):
        if len(pools[part]) < wanted:
            beside = f" (and {len(others)} others such as {others[0]}: only .jpg is read)" if others else ""
            raise UserError(
                f"textures.images_per_class: {params.images_per_class} asks for {wanted} {part} images, but "
                f"{folder} has {len(pools[part])}{beside}; ask for fewer or change textures.test_fraction"
            )
    return pools["train"][:train] + pools["test"][:test]


def _square(image: Image.Image, resolution_px: int) -> npt.NDArray[np.uint8]:
    """The centre square of an image, scaled to (S, S, 3)."""
    return np.asarray(ImageOps.fit(image, (resolution_px, resolution_px), Image.Resampling.LANCZOS))
