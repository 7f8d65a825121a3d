"""Data sets of torchvision, by name and read from disk, such as CIFAR-10; nothing is downloaded.

Files are in torchvision's own layout, as `torchvision.datasets.CIFAR10(path, download=True)` leaves them. torchvision
compares CIFAR's files with their published checksums before it unpickles them.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import field_validator

from robust3d.data.packed import open_images
from robust3d.data.params import PictureSetParams
from robust3d.data.published.files import regular_file, why
from robust3d.data.published.identity import identity_of
from robust3d.errors import UserError
from robust3d.params import PathText

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Params", "identity", "list_pictures", "open_images", "picture_reader"]
_TRAIN = {"train": {"train": True}, "test": {"train": False}}
_SPLIT = {"train": {"split": "train"}, "test": {"split": "test"}}
_THREE = {**_SPLIT, "val": {"split": "val"}}
DATA_SETS: dict[str, tuple[str, dict[str, dict[str, Any]]]] = {  # folder in `path`, arguments for each split
    "CIFAR10": ("cifar-10-batches-py", _TRAIN),
    "CIFAR100": ("cifar-100-python", _TRAIN),
    "MNIST": ("MNIST", _TRAIN),
    "FashionMNIST": ("FashionMNIST", _TRAIN),
    "KMNIST": ("KMNIST", _TRAIN),
    "STL10": ("stl10_binary", _SPLIT),
    "GTSRB": ("gtsrb", _SPLIT),
    "Food101": ("food-101", _SPLIT),
    "DTD": ("dtd", _THREE),
    "FGVCAircraft": ("fgvc-aircraft-2013b", _THREE),
    "Flowers102": ("flowers-102", _THREE),
    "EuroSAT": ("eurosat", {"any": {}}),
}
_LARGEST_BYTES = 1 << 40  # of one file


class Params(PictureSetParams):
    """Name and path of the data set."""

    name: str  # torchvision's: CIFAR10, Flowers102, …
    path: PathText  # torchvision's `root`

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in DATA_SETS:
            raise ValueError(f"{name!r} is not among {', '.join(DATA_SETS)}; a folder of pictures is of kind: folder")
        return name

    @property
    def folder(self) -> str:
        """Folder of its files, in `path`."""
        return DATA_SETS[self.name][0]


def identity(params: Params) -> str:
    """Sixteen hex digits over names, sizes and times of the data set's files.

    Raises:
        UserError: they are missing.
    """
    if not (Path(params.path) / params.folder).is_dir():
        raise UserError(
            f"path: no folder {params.folder} in {params.path}; get it once with "
            f"python -c \"import torchvision; torchvision.datasets.{params.name}('{params.path}', download=True)\""
        )
    return identity_of(Path(params.path), params.folder)


def list_pictures(params: Params, seed: int) -> "tuple[tuple[str, ...], pd.DataFrame]":
    """Class names in torchvision's order, and for each picture its split, class and id: split and number.

    Raises:
        UserError: torchvision cannot read the data set.
    """
    import pandas as pd

    rows = []
    for split in DATA_SETS[params.name][1]:
        data_set = _data_set(params, split)
        rows += [(split, label, f"{split}/{number:07d}") for number, label in enumerate(_labels(data_set))]
    count = 1 + max(label for _, label, _ in rows)
    classes = tuple(map(str, getattr(data_set, "classes", None) or (f"{label:03d}" for label in range(count))))
    columns = {"split": [row[0] for row in rows], "class_name": [classes[row[1]] for row in rows]}
    return classes, pd.DataFrame(columns | {"instance": [row[2] for row in rows]})


def picture_reader(params: Params, seed: int) -> Callable[[Any], Any]:
    """A function that returns the picture of a row; it raises a UserError if torchvision cannot read it."""
    data_sets = {split: _data_set(params, split) for split in DATA_SETS[params.name][1]}

    def read(row: Any) -> Any:
        split, _, number = row.instance.partition("/")
        try:
            return data_sets[split][int(number)][0]
        except Exception as error:  # from Pillow and others
            raise UserError(f"not readable ({why(error)})") from error

    return read


def _data_set(params: Params, split: str) -> Any:
    """The data set; its files are noted as read."""
    from torchvision import datasets

    for file in sorted((Path(params.path) / params.folder).rglob("*")):
        if file.suffix == ".pt":  # of early versions of torchvision, which unpickle it without a check
            raise UserError(f"{file}: a pickle, which could run code; delete it, the raw files are enough")
        if file.is_file():
            regular_file(file, _LARGEST_BYTES, f"a part of {params.name}", empty_too=True)
    try:
        return getattr(datasets, params.name)(params.path, **DATA_SETS[params.name][1][split])
    except Exception as error:  # RuntimeError of a missing or damaged file, ImportError, pickle's and others
        raise UserError(
            f"{params.path}: torchvision cannot read {params.name} ({why(error)}); copy it again"
        ) from error


def _labels(data_set: Any) -> list[int]:
    """The label of every picture; no picture is decoded if the data set lists them."""
    if hasattr(data_set, "_samples"):  # (file, label) pairs
        return [int(label) for _, label in data_set._samples]
    listed = next(
        (getattr(data_set, name) for name in ("targets", "labels", "_labels") if hasattr(data_set, name)), None
    )
    labels = [data_set[i][1] for i in range(len(data_set))] if listed is None else list(listed)
    return [int(label) for label in labels]
