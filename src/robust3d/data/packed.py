"""Pixels of a set of pictures: scaled once to one size and stored in NumPy files, from which single images can be read.

A file is an array (N, S, S, 3) uint8 of the images of one block, in the order of the set's table; `np.load` reads it.
Of a set with depth maps it is a structured array (N,): `image`, as above, and `depth` (S, S) float32, NaN if unknown.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from robust3d.data.params import PictureSetParams
from robust3d.errors import UserError, why_unreadable
from robust3d.seeds import seed_of

if TYPE_CHECKING:  # not at run time: planning imports this module
    import pandas as pd
    from PIL import Image

    from robust3d.data.images import ImageData

FORMAT = "robust3d-images-1"
_SHOWN = 5
U8 = npt.NDArray[np.uint8]
Picture: TypeAlias = "Image.Image | U8"
ReadDepth = Callable[[Any, tuple[int, int]], npt.NDArray[np.float32]]
"""The depth map (H, W) of a row, whose picture has the size (H, W)."""


def fitted(picture: Picture, params: PictureSetParams) -> U8:
    """A picture as a square (S, S, 3), S being `params.resolution_px`.

    Args:
        picture: an image, or an array (H, W) or (H, W, 3) uint8.
        params: `fit` "crop" scales the shorter side to `resize_px` and cuts out the centre, rounded as
            torchvision's `Resize` and `CenterCrop`; "stretch" scales both sides; "exact" does not scale.

    Raises:
        UserError: the size differs, and `fit` is "exact".
    """
    from PIL import Image

    image = (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).convert("RGB")
    return _square(image, params, Image.Resampling.BILINEAR)


def _square(image: "Image.Image", params: PictureSetParams, how: "Image.Resampling") -> npt.NDArray[Any]:
    side = params.resolution_px
    if params.fit == "exact" and image.size != (side, side):
        raise UserError(f"{image.width}x{image.height} px, but resolution_px is {side} (fit: crop or stretch scales)")
    if params.fit == "stretch":
        image = image.resize((side, side), how)
    if params.fit == "crop":
        shorter, wanted = min(image.size), params.resize_px or side
        width, height = (wanted if edge == shorter else int(wanted * edge / shorter) for edge in image.size)
        image = image.resize((width, height), how)
        left, top = round((width - side) / 2), round((height - side) / 2)
        image = image.crop((left, top, left + side, top + side))
    return np.array(image)


def fitted_depth(depth: npt.NDArray[np.float32], params: PictureSetParams) -> npt.NDArray[np.float32]:
    """A depth map (H, W) at the place of its picture after `fitted`, (S, S); every value is one of the map's."""
    from PIL import Image

    return _square(Image.fromarray(depth), params, Image.Resampling.NEAREST)


def block_of(table: "pd.DataFrame", shards: int) -> npt.NDArray[np.int64]:
    """The block (file) of each row of a table, by the hash of the picture's id."""
    if shards == 1:
        return np.zeros(len(table), np.int64)
    return np.array([seed_of("block", instance) % shards for instance in table["instance"]], np.int64)


def write_block(
    path: Path,
    rows: Sequence[Any],
    read: Callable[[Any], Picture],
    params: PictureSetParams,
    read_depth: ReadDepth | None = None,
) -> dict[str, Any]:
    """Write the images of one block, one at a time.

    Args:
        path: of the new file.
        rows: of the table, as named tuples.
        read: returns the picture of a row; raises a UserError if it is broken.
        params: of the set; `broken` says how such pictures are treated.
        read_depth: of a set with depth maps.

    Returns:
        The manifest's entry: format, images, resolution_px, `left_out` (ids and reasons), sha256, bytes, and `depth`
        where there is some. Images that are left out are black in the file.

    Raises:
        UserError: a picture is broken, and `params.broken` is "error".
    """
    side, left_out = params.resolution_px, {}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, _header(len(rows), side, read_depth is not None))
        for row in rows:
            try:
                picture = read(row)
                parts = [fitted(picture, params).tobytes()]
                if read_depth is not None:
                    height, width = np.asarray(picture).shape[:2]
                    parts.append(fitted_depth(read_depth(row, (height, width)), params).tobytes())
            except UserError as error:
                if params.broken == "error":
                    raise UserError(f"{row.instance}: {error} (broken: skip leaves it out)") from None
                left_out[row.instance] = str(error)
                parts = [bytes(_bytes_of(side, read_depth is not None))]
            file.writelines(parts)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    entry = {"format": FORMAT, "images": len(rows), "resolution_px": side, "left_out": left_out}
    if read_depth is not None:
        entry["depth"] = True
    return entry | {"sha256": digest.hexdigest(), "bytes": path.stat().st_size}


def _header(images: int, side: int, depth: bool) -> dict[str, Any]:
    if depth:
        fields = [("image", "|u1", (side, side, 3)), ("depth", "<f4", (side, side))]
        return {"descr": fields, "fortran_order": False, "shape": (images,)}
    return {"descr": "|u1", "fortran_order": False, "shape": (images, side, side, 3)}


def _bytes_of(side: int, depth: bool) -> int:
    """Of an image in the file, with its depth."""
    return (7 if depth else 3) * side**2


class Packed:
    """The images of a set in its files, read on demand: memory holds the requested images only.

    Args:
        files: of every block, in their order, each with its manifest's entry.

    Raises:
        UserError: a file is missing or has changed.
    """

    def __init__(self, files: Sequence[tuple[Path, dict[str, Any]]]) -> None:
        self._files = [self._opened(path, entry) for path, entry in files]
        first = files[0][1]
        self.side, self.has_depth = int(first["resolution_px"]), bool(first.get("depth"))
        self._stride = _bytes_of(self.side, self.has_depth)

    @staticmethod
    def _opened(path: Path, entry: dict[str, Any]) -> tuple[Any, int]:
        """Open file, and bytes before the first image."""
        try:
            file = path.open("rb")
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            raise UserError(f"{path}: this file of images is missing; ask snakemake for it again") from None
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror}") from None
        if digest != entry["sha256"]:
            raise UserError(f"{path}: not the file of the manifest any more; delete it, it will be made again")
        stride = _bytes_of(int(entry["resolution_px"]), bool(entry.get("depth")))
        return file, entry["bytes"] - entry["images"] * stride

    def read(self, blocks: npt.NDArray[np.int64], places: npt.NDArray[np.int64]) -> U8:
        """The images (n, 3, S, S) at indices of blocks."""
        images = np.empty((len(places), 3, self.side, self.side), np.uint8)
        for image, content in zip(images, self._parts(blocks, places, 0, 3 * self.side**2), strict=True):
            image[:] = np.frombuffer(content, np.uint8).reshape(self.side, self.side, 3).transpose(2, 0, 1)
        return images

    def depths(self, blocks: npt.NDArray[np.int64], places: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Their depth (n, S, S)."""
        found = self._parts(blocks, places, 3 * self.side**2, 4 * self.side**2)
        return np.stack([np.frombuffer(content, "<f4").reshape(self.side, self.side) for content in found])

    def _parts(
        self, blocks: npt.NDArray[np.int64], places: npt.NDArray[np.int64], begin: int, size: int
    ) -> Iterator[bytes]:
        """So many bytes of each image, from `begin` on."""
        for block, place in zip(blocks.tolist(), places.tolist(), strict=True):
            file, first = self._files[block]
            yield os.pread(file.fileno(), size, first + place * self._stride + begin)


def open_images(
    params: Mapping[str, Any], files: Mapping[str, Sequence[Path]], table: "pd.DataFrame", here: npt.NDArray[np.int64]
) -> "ImageData":
    """Open rows of a set of pictures, whose pixels are in files of the stage `pack_images`.

    Args:
        params: of the set.
        files: `images`: the manifest of every block.
        table: the whole set.
        here: rows of it to open; rows of left-out pictures are dropped.
    """
    import torch  # not at the top: planning imports this module

    from robust3d.data.images import ImageData

    entries = [_read_entry(path) for path in files["images"]]
    blocks = block_of(table, len(entries))
    places = table.groupby(blocks).cumcount().to_numpy()
    left_out = {name for entry in entries for name in entry["left_out"]}
    kept = here[~table["instance"].iloc[here].isin(left_out).to_numpy()]
    rows = table.iloc[kept].reset_index(drop=True)
    gone = sorted(set(table["class_name"].iloc[here]) - set(rows["class_name"]))
    if gone:
        raise UserError(f"no readable picture of class {gone[0]} is left; repair some, or leave the class out")
    packed = Packed(
        [(path.with_name("images.npy"), entry) for path, entry in zip(files["images"], entries, strict=True)]
    )

    def read_depths(index: npt.NDArray[np.int64]) -> torch.Tensor:
        return torch.from_numpy(packed.depths(blocks[kept[index]], places[kept[index]]))

    return ImageData(
        labels=torch.tensor(rows["class_index"].to_numpy("int64")),
        read=lambda index: torch.from_numpy(packed.read(blocks[kept[index]], places[kept[index]])),
        resolution_px=entries[0]["resolution_px"],
        rows=rows,
        notices=_left_out(table, left_out),
        read_depths=read_depths if packed.has_depth else None,
    )


def _read_entry(path: Path) -> dict[str, Any]:
    """The manifest's entry of one file.

    Raises:
        UserError: it is another kind of file.
    """
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        _ = [int(entry[name]) for name in ("images", "resolution_px", "bytes")], str(entry["sha256"])
        if entry["format"] != FORMAT or not isinstance(entry["left_out"], dict):
            raise ValueError("another format")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        damaged = f"not a manifest of images ({error!r:.120}); delete it to make it again"
        raise why_unreadable(path, error, damaged) from None
    return dict(entry)


def _left_out(table: "pd.DataFrame", left_out: set[str]) -> tuple[str, ...]:
    """A flag on the pictures that cannot be read."""
    if not left_out:
        return ()
    names = sorted(left_out)
    shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
    return (f"{len(names):,} of {len(table):,} pictures cannot be read and were left out ({shown})",)
