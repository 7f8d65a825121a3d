"""The images and labels of one split of a classification set of any kind.

`open_set` opens the set of a job. A small split is held in memory; batches of a larger one are read from files.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from robust3d import registry
from robust3d.data.params import SplitName
from robust3d.data.sets import read_noticed_set
from robust3d.errors import UserError
from robust3d.named import input_name

RESIDENT_BYTES = 32 << 30  # a split up to this size is held in memory
Read = Callable[[np.ndarray], Tensor]
Inputs = Mapping[str, Sequence[Path]]
_ENDING = re.compile(r"\.[A-Za-z]{3,4}$")  # of a picture's file

if TYPE_CHECKING:
    import pandas as pd

    from robust3d.data.concepts import Concepts


@dataclass(frozen=True)
class ImageData:
    """The N images of a split.

    Attributes:
        labels: (N,) int64.
        read: returns images (n, 3, H, W) uint8 at n indices; not used if `resident` is set.
        resolution_px: side of an image.
        rows: the table's rows: `class_name`, `instance`, `view`, `texture` and others.
        classes: class names by label, also those without an image in this split.
        background: kind of background of a set of views; None: pictures have their own.
        notices: flags for every number that depends on these images.
        resident: (N, 3, H, W) uint8, if all are held in memory.
        read_masks: masks (n, H, W) bool of the objects at n places; None: not known.
        read_depths: depth (n, H, W) float32 at n places, camera z, not finite where unknown; None: not known.
        concepts: what is where in the images, of sets that come with such labels.
        shown: (N, classes) float32, whether a picture shows a class: 1, 0, or NaN if it is not to be asked; None: each
            shows the one of its label. Else the label is the first that it shows.
    """

    labels: Tensor
    read: Read | None
    resolution_px: int
    rows: "pd.DataFrame"
    classes: tuple[str, ...] = ()
    background: str | None = None
    notices: tuple[str, ...] = ()
    resident: Tensor | None = None
    read_masks: Read | None = None
    concepts: "Concepts | None" = None
    read_depths: Read | None = None
    shown: Tensor | None = None

    @classmethod
    def of(cls, images: Tensor, labels: Tensor) -> "ImageData":
        """Images (N, 3, H, W) uint8 in memory and their labels (N,)."""
        import pandas as pd

        return cls(labels, None, images.shape[-1], pd.DataFrame(index=range(len(images))), resident=images)

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: Tensor | Sequence[int]) -> Tensor:
        """Images (n, 3, H, W) uint8 on the device of the labels; the same bytes from memory and from files."""
        index = torch.as_tensor(indices)
        if self.resident is not None:
            return self.resident[index.to(self.resident.device)]
        assert self.read is not None
        return self.read(index.cpu().numpy()).to(self.labels.device)

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Images and labels in the order of the rows, `size` at a time."""
        for index in torch.arange(len(self)).split(size):
            yield self.batch(index), self.labels[index.to(self.labels.device)]

    def all(self) -> Tensor:
        """All images (N, 3, H, W) uint8.

        Raises:
            UserError: they are too many for the memory.
        """
        if self.resident is None:
            size = len(self) * 3 * self.resolution_px**2
            raise UserError(
                f"{len(self):,} images of {self.resolution_px} px are {size:,} bytes, which is too much to be held in "
                f"memory at once (at most {RESIDENT_BYTES:,}); choose fewer by `images` of the set"
            )
        return self.resident

    def masks(self, indices: Tensor | Sequence[int]) -> Tensor:
        """Which pixels show the object, (n, H, W) bool on the device of the labels.

        Raises:
            UserError: these images have no masks.
        """
        if self.read_masks is None:
            raise UserError("these images have no masks of their objects; views have them, pictures from disk have not")
        return self.read_masks(torch.as_tensor(indices).cpu().numpy()).to(self.labels.device)

    def depths(self, indices: Tensor | Sequence[int]) -> Tensor:
        """Depth (n, H, W) float32 on the device of the labels, the camera's z; not finite where it is not known.

        Raises:
            UserError: these images have no depth.
        """
        if self.read_depths is None:
            raise UserError(
                "these images have no depth; views have it, and folders of pictures with a folder of `depth` maps"
            )
        return self.read_depths(torch.as_tensor(indices).cpu().numpy()).to(self.labels.device)

    @property
    def ids(self) -> list[str]:
        """A name for each image that says what it shows: class, object and view, or class and name of the file.

        The ending of a file is left out: a mask in a PNG has the name of its photograph in a JPEG.
        """
        if "instance" not in self.rows:
            return [str(number) for number in range(len(self))]
        shown = zip(self.rows["class_name"], self.rows["instance"], strict=True)
        if self.background is None:
            return [f"{name}/{_ENDING.sub('', PurePath(file).name)}" for name, file in shown]
        return [f"{name}/{instance}-{view}" for (name, instance), view in zip(shown, self.rows["view"], strict=True)]

    def to(self, device: torch.device | str) -> "ImageData":
        """The same on a device; batches read from files are moved there one by one."""
        resident = None if self.resident is None else self.resident.to(device)
        shown = None if self.shown is None else self.shown.to(device)
        return replace(self, labels=self.labels.to(device), resident=resident, shown=shown)

    def part(self, places: Tensor) -> "ImageData":
        """The images at some places, with labels, what they show, and nothing else that is known of them."""
        index = places.cpu()

        def read(chosen: np.ndarray) -> Tensor:
            return self.batch(index[torch.from_numpy(chosen)]).cpu()

        return ImageData(
            labels=self.labels[places],
            read=read,
            resolution_px=self.resolution_px,
            rows=self.rows.iloc[index.numpy()].reset_index(drop=True),
            classes=self.classes,
            background=self.background,
            notices=self.notices,
            resident=None if self.resident is None else self.resident[index.to(self.resident.device)],
            shown=None if self.shown is None else self.shown[places],
        )


def open_set(
    params: Mapping[str, Any],
    inputs: Inputs,
    split: SplitName,
    name: str | None = None,
    resident_bytes: int = RESIDENT_BYTES,
    several_labels: bool = False,
) -> ImageData:
    """Open one split of a job's set.

    Args:
        params: of the set, from the job's spec (`Plan.set_params`).
        inputs: of the job; the set's have the names of `Plan.set_inputs`.
        split: which part.
        name: of the set, if the job opens several.
        resident_bytes: a larger split is read in batches.
        several_labels: whether the caller can do with pictures of several classes each.

    Raises:
        UserError: a file is missing or damaged; or the pictures have several labels and the caller needs one.
    """
    kinds = ("set", "views", "textures", "images")
    files = {kind: list(inputs.get(input_name(kind, name) if name else kind, ())) for kind in kinds}
    table, notices = read_noticed_set(files["set"][0])
    classes = table.drop_duplicates("class_index").sort_values("class_index")["class_name"].tolist()
    module = registry.load("set", params["kind"])
    here = np.flatnonzero(table["split"] == split)
    if not len(here):
        raise UserError(f"{files['set'][0]}: no {split} image in this set (kind: {params['kind']}); choose another set")
    data: ImageData = module.open_images(params, files, table, here)
    if data.shown is not None and not several_labels:
        raise UserError(
            f"kind: {params['kind']}: its pictures show several classes each, and this needs one label; transfer to it "
            "(papers.flatland.targets), or choose another set"
        )
    data = replace(data, classes=data.classes or tuple(classes), notices=(*notices, *data.notices))
    if len(data) * 3 * data.resolution_px**2 > resident_bytes:
        return data
    assert data.read is not None
    return replace(data, read=None, resident=data.read(np.arange(len(data))))
