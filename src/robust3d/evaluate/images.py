"""The images of `robust3d evaluate` and `probe`: an .npz, a folder of classes, or one of pictures without labels."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from robust3d.data import imagenet
from robust3d.data.packed import fitted
from robust3d.data.published.files import read_npz
from robust3d.errors import UserError
from robust3d.evaluate.networks import Network
from robust3d.imagesets import folder
from robust3d.parsing import parse

LARGEST_BYTES = 64 << 30  # of images and labels of an .npz, unpacked
_REMEDIES = folder.Remedies(
    "if it is a split, give its folder, such as DIR/val; if it is a class, rename it", "delete its folder"
)
OF_PREDICTIONS = "none: each picture is attacked away from the model's own answer to it"


@dataclass(frozen=True)
class Given:
    """N images of a user's.

    Attributes:
        read: images (n, 3, H, W) uint8 from one place to before another.
        side_px: the shorter side of an image.
        count: N.
        labels: (N,) int64; None: there are none.
        labelled_by: what the labels are.
        preparation: how pictures were scaled and cut; None: taken as they are.
        files: of the pictures, from the folder; empty for an .npz.
        notices: sentences that must travel with the numbers.
        class_names: the folder of each picture; empty for others.
    """

    read: Callable[[int, int], Tensor]
    side_px: int
    count: int
    labels: Tensor | None
    labelled_by: str
    preparation: dict[str, Any] | None = None
    files: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()


def images_for(
    network: Network, path: Path, resolution_px: int | None, resize_px: int | None, any_classes: bool = False
) -> Given:
    """The images for a network: scaled as it was published if nothing else is asked, labelled by its classes.

    Args:
        network: what will see them.
        path: of an .npz or a folder.
        resolution_px: as for `read_images`; None: that of the publication.
        resize_px: as for `read_images`.
        any_classes: nothing compares the labels with the classifier's answers.

    Raises:
        UserError: as `read_images`, or they are too small or too large for the network.
    """
    if path.is_dir():
        resize_px = network.resize_px(resize_px, resolution_px)
        resolution_px = resolution_px or network.resolution_px
    classes = None if any_classes else network.model.num_classes
    given = read_images(path, resolution_px, resize_px, classes, network.classes)
    network.model.architecture.check_size(given.side_px, str(path))
    return given


def read_images(
    path: Path, resolution_px: int | None, resize_px: int | None, classes: int | None, known: tuple[str, ...] = ()
) -> Given:
    """The images of an .npz, which are held in memory, or of a folder, which are read as they are asked for.

    Args:
        path: of the file or folder.
        resolution_px: side to which pictures of a folder are cut.
        resize_px: to which their shorter side is scaled before; None: to `resolution_px`.
        classes: outputs of the classifier; None: labels are numbers of folders, which nothing compares with them.
        known: their names, if they are known.

    Raises:
        UserError: something is wrong with the file, the folder or the labels.
    """
    if path.is_dir():
        return _read_folder(path, resolution_px, resize_px, classes, known)
    if resolution_px is not None or resize_px is not None:
        option = "--resize" if resolution_px is None else "--resolution"
        raise UserError(f"{option}: belongs to a folder of pictures; the images of an .npz are taken as they are")
    return _read_arrays(path, classes)


def _read_arrays(path: Path, classes: int | None) -> Given:
    try:
        arrays = read_npz(path, ("images", "labels"), LARGEST_BYTES)
    except UserError as error:
        expected = "expected an .npz with arrays `images` and `labels`, as np.savez writes it"
        raise UserError(f"{error}; {expected}") from None
    images, labels = arrays["images"], arrays["labels"]
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise UserError(f"{path}: `images` must be uint8 N×H×W×3, found {images.dtype} {images.shape}")
    is_whole = labels.shape == images.shape[:1] and np.issubdtype(labels.dtype, np.integer)
    if not is_whole or labels.min(initial=0) < 0 or labels.max(initial=0) >= 1 << 31:
        raise UserError(
            f"{path}: `labels` must be {len(images)} whole numbers from 0, found {labels.dtype} {labels.shape}"
        )
    if not len(images):
        raise UserError(f"{path}: no images")
    if images.max(initial=0) <= 1:
        raise UserError(
            f"{path}: no value of `images` is above 1; pixels go from 0 to 255 (multiply by 255, then round)"
        )
    if classes is not None and int(labels.max()) >= classes:
        raise UserError(f"{path}: label {int(labels.max())}, but the classifier has {classes} classes")
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    places = torch.from_numpy(labels.astype(np.int64))
    return Given(lambda a, b: pixels[a:b], min(images.shape[1:3]), len(pixels), places, "as in the file")


def _read_folder(
    path: Path, resolution_px: int | None, resize_px: int | None, classes: int | None, known: tuple[str, ...]
) -> Given:
    """The test pictures of a folder of classes, or all of one without splits; or of a folder of pictures."""
    if resolution_px is None:
        raise UserError(f"{path}: a folder of pictures; say by --resolution to which side in pixels they are scaled")
    values = {"kind": "folder", "path": str(path), "resolution_px": resolution_px, "resize_px": resize_px}
    try:
        params = parse(folder.Params, values)
    except ValueError as error:
        raise UserError(f"--images {path} --resolution {resolution_px}: {error}") from None
    folders: tuple[str, ...] = ()
    labels, labelled_by = None, OF_PREDICTIONS
    files, notices = folder.loose_pictures(params)
    if not files:
        names, rows, notices = folder.list_folder(params, _REMEDIES)
        split = next((split for split in ("test", "val", "any") if (rows["split"] == split).any()), "train")
        rows = rows[rows["split"] == split]
        files = tuple(rows["instance"])
        of_class, labelled_by, told = _labels(path, names, classes, known)
        notices = (*told, *notices)
        folders = tuple(rows["class_name"])
        labels = torch.tensor([of_class[name] for name in folders])
        labelled_by += "" if split == "any" else f"; pictures of {split}/"
    read = folder.picture_reader(params, 0)

    def read_some(first: int, after: int) -> Tensor:
        pictures = [fitted(read(folder.Named(file)), params).transpose(2, 0, 1) for file in files[first:after]]
        return torch.from_numpy(np.stack(pictures))

    preparation = {
        "resize_px": params.resize_px or resolution_px,
        "resolution_px": resolution_px,
        "scaling": "shorter side, bilinear with antialiasing (Pillow), then the centre square",
    }
    return Given(read_some, resolution_px, len(files), labels, labelled_by, preparation, files, notices, folders)


def _labels(
    path: Path, names: tuple[str, ...], classes: int | None, known: tuple[str, ...]
) -> tuple[dict[str, int], str, tuple[str, ...]]:
    """The label of each class folder, what labels are, and notices.

    Raises:
        UserError: a folder that is no class of the classifier, more folders than classes, a folder that is no class of
            ImageNet where the others are, or numbers in another order than their names.
    """
    places = {name: place for place, name in enumerate(names)}
    if classes is None:
        return places, "places in the sorted names of the folders", ()
    if known and known != imagenet.synsets():
        if unknown := sorted(set(names) - set(known)):
            raise UserError(f"{path}: {unknown[0]!r} is no class of the classifier ({', '.join(known)})")
        return {name: known.index(name) for name in names}, "the classifier's classes, by the names of the folders", ()
    if classes == imagenet.CLASSES:
        found, wrong = {}, []
        for name in names:
            try:
                found[name] = imagenet.class_index(name)
            except UserError as error:
                wrong.append(error)
        if not wrong:
            return found, "ImageNet's classes, by the names of the folders", ()
        if found or len(names) != classes:
            raise UserError(f"{path}: the classifier has ImageNet's 1,000 classes, and the folder {wrong[0]}")
    if len(names) > classes:
        raise UserError(f"{path}: label {len(names) - 1}, but the classifier has {classes} classes")
    _check_order(path, names)
    notices: tuple[str, ...] = ()
    if len(names) < classes:
        notices = (
            f"{len(names)} folders for {classes} classes: class 0 is {names[0]!r}, class {len(names) - 1} is "
            f"{names[-1]!r}; if a class in between has no folder, all labels after it are wrong",
        )
    return places, "places in the sorted names of the folders", notices


def _check_order(path: Path, names: tuple[str, ...]) -> None:
    """Refuse numbers whose order is not that of their names: which of the two are labels?"""
    if not all(name.isascii() and name.isdecimal() for name in names):
        return
    by_number = sorted(names, key=int)
    for place, name in enumerate(names):
        if by_number[place] != name:
            number, last = by_number.index(name), by_number[-1]
            raise UserError(
                f"{path}: folder {name!r} is class {place} in the order of names, as ImageFolder has it, and class "
                f"{number} in that of numbers. If the classifier's classes are in the order of numbers, write leading "
                f"zeros ({int(by_number[place]):0{len(last)}d}, {last}); if in that of names, put each one's place "
                f"before its name ({place:0{len(str(len(names)))}d}_{name}), or name the folders by class"
            )
