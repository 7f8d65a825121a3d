"""Multi-view images of objects with cameras, masks and depth, for pre-trainings by 3D reconstruction."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from robust3d.data.backgrounds import Backgrounds, image_seed
from robust3d.data.params import BackgroundParams, SplitName
from robust3d.data.textures import Textures

if TYPE_CHECKING:
    from robust3d.data.shards import Frames

IN_MEMORY_BYTES = 16 << 30  # of one split; a bigger one is memory-mapped from files
_BYTES_OF_A_PIXEL = 3 + 3 + 1 + 4  # inputs, targets, masks, depth


class OnHost:
    """A tensor that is too big for the device: it stays on the host, and indexed parts are copied to the device."""

    def __init__(self, tensor: Tensor, device: torch.device) -> None:
        self.tensor, self.device = tensor, device

    @property
    def shape(self) -> torch.Size:
        """Shape of the tensor."""
        return self.tensor.shape

    def __len__(self) -> int:
        return len(self.tensor)

    def flatten(self, *dims: int) -> "OnHost":
        """Like the tensor method; a view without copying."""
        return OnHost(self.tensor.flatten(*dims), self.device)

    def movedim(self, source: int, destination: int) -> "OnHost":
        """Like the tensor method; a view without copying."""
        return OnHost(self.tensor.movedim(source, destination), self.device)

    def __getitem__(self, index: Any) -> Tensor:
        parts = index if isinstance(index, tuple) else (index,)
        here = tuple(part.cpu() if isinstance(part, Tensor) else part for part in parts)
        return self.tensor[here].to(self.device)


@dataclass(frozen=True)
class Multiview:
    """O objects in V views each, lengths in extents of the family: every object is in [-0.5, 0.5]^3.

    The first four are `OnHost` if they do not fit on the device.

    Attributes:
        inputs: (O, V, 3, H, W) uint8, images for the encoder.
        targets: (O, V, 3, H, W) uint8, images to reconstruct; the same tensor if the backgrounds are equal.
        masks: (O, V, H, W) bool.
        depth: (O, V, H, W) float32 camera z, inf at the background, NaN where unknown.
        world_to_camera: (O, V, 4, 4) float32.
        intrinsics: (O, V, 3, 3) float32, px.
        class_index: (O,) int64.
        names: "<class>/<instance>" of each object.
    """

    inputs: Tensor
    targets: Tensor
    masks: Tensor
    depth: Tensor
    world_to_camera: Tensor
    intrinsics: Tensor
    class_index: Tensor
    names: list[str]

    def __len__(self) -> int:
        return len(self.names)

    def to(self, device: torch.device | str, room_bytes: int | None = None) -> "Multiview":
        """The same on `device`; pixels stay on the host if larger than `room_bytes` (half of what is free)."""
        device = torch.device(device)
        if device.type != "cuda" and room_bytes is None:
            return self._map(lambda tensor: tensor.to(device))
        room = torch.cuda.mem_get_info(device)[0] // 2 if room_bytes is None else room_bytes
        pixels = {id(tensor): tensor for tensor in (self.inputs, self.targets, self.masks, self.depth)}
        if sum(tensor.nbytes for tensor in pixels.values()) <= room:
            return self._map(lambda tensor: tensor.to(device))
        return self._map(lambda tensor: OnHost(tensor, device) if id(tensor) in pixels else tensor.to(device))

    def subset(self, objects: int) -> "Multiview":
        """The first objects; classes alternate, so a multiple of their number is balanced."""
        return replace(self._map(lambda tensor: tensor[:objects]), names=self.names[:objects])

    def _map(self, change: Any) -> "Multiview":
        """Apply `change` to every tensor, only once if inputs and targets are one tensor."""
        tensors = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "names"}
        changed = {name: change(tensor) for name, tensor in tensors.items() if name != "targets"}
        shared = self.targets is self.inputs
        return Multiview(targets=changed["inputs"] if shared else change(self.targets), names=self.names, **changed)


def load_multiview(
    parts: Iterable["Frames"],
    objects: Mapping[str, Sequence[str]],
    classes: Sequence[str],
    views: int,
    resolution_px: int,
    input_background: BackgroundParams,
    target_background: BackgroundParams,
    textures: Textures | None,
    seed: int,
    split: SplitName = "train",
    folder: Path | None = None,
) -> Multiview:
    """The objects of one split, each with all its views.

    An (instance, view) has the same background as in classification sets of the same seed.

    Args:
        parts: frames of one shard after the other, which together contain the split; other frames are ignored.
        objects: instance ids of every class in the split (`Views.objects`).
        classes: class names in label order.
        views: number per object; views are numbered from 0.
        resolution_px: side of the frames.
        input_background: behind the objects in `inputs`.
        target_background: behind the objects in `targets`.
        textures: needed for textured backgrounds.
        seed: the study's seed.
        split: name of the split; "test" gets textures of its own.
        folder: for memory-mapped files, used if the pixels are too many for the memory.

    Returns:
        Objects in the order of the sorted ids, classes alternating while they have objects left.

    Raises:
        ValueError: a view of an object is missing or exists twice.
    """
    order = _order(objects, classes)
    rows = {key: row for row, key in enumerate(order)}
    shape = (len(order), views, resolution_px, resolution_px)
    equal = target_background == input_background
    room = _Room(folder, _BYTES_OF_A_PIXEL * int(np.prod(shape, dtype=np.int64)))
    inputs = room.array(f"{split}-inputs", (*shape[:2], 3, *shape[2:]), np.uint8)
    targets = inputs if equal else room.array(f"{split}-targets", inputs.shape, np.uint8)
    masks, depth = room.array(f"{split}-masks", shape, np.bool_), room.array(f"{split}-depth", shape, np.float32)
    world_to_camera = np.zeros((*shape[:2], 4, 4), np.float32)
    intrinsics = np.zeros((*shape[:2], 3, 3), np.float32)
    behind_input, behind_target = (
        Backgrounds(background, textures, len(classes)) for background in (input_background, target_background)
    )
    filled = np.zeros(shape[:2], bool)
    for frames in parts:
        for i, key in enumerate(zip(frames.class_name.tolist(), frames.instance.tolist())):
            if key not in rows:
                continue
            row, view = rows[key], int(frames.view[i])
            if view >= views or filled[row, view]:
                raise ValueError(f"{key[0]} {key[1]}: view {view} occurs twice or is beyond the number of views")
            label, drawn_by = classes.index(key[0]), image_seed(seed, *key, view)
            inputs[row, view] = behind_input.behind(frames.rgba[i], label, split, drawn_by).transpose(2, 0, 1)
            if not equal:
                targets[row, view] = behind_target.behind(frames.rgba[i], label, split, drawn_by).transpose(2, 0, 1)
            masks[row, view] = frames.mask[i]
            depth[row, view] = frames.depth[i] / frames.extent
            pose = frames.world_to_camera[i].copy()
            pose[:3, 3] /= frames.extent
            world_to_camera[row, view], intrinsics[row, view] = pose, frames.intrinsics[i]
            filled[row, view] = True
    if not filled.all():
        row, view = np.argwhere(~filled)[0]
        raise ValueError(f"no frame of {order[row][0]} {order[row][1]}, view {view}")
    pictures = torch.from_numpy(inputs)
    return Multiview(
        inputs=pictures,
        targets=pictures if equal else torch.from_numpy(targets),
        masks=torch.from_numpy(masks),
        depth=torch.from_numpy(depth),
        world_to_camera=torch.from_numpy(world_to_camera),
        intrinsics=torch.from_numpy(intrinsics),
        class_index=torch.tensor([classes.index(name) for name, _ in order]),
        names=[f"{name}/{instance}" for name, instance in order],
    )


def _order(objects: Mapping[str, Sequence[str]], classes: Sequence[str]) -> list[tuple[str, str]]:
    """(class, instance) of every object, classes alternating."""
    rounds = zip_longest(*(sorted(objects[name]) for name in classes))
    return [(name, instance) for one in rounds for name, instance in zip(classes, one) if instance is not None]


class _Room:
    """Arrays in memory, or memory-mapped files if all arrays together are too big."""

    def __init__(self, folder: Path | None, needed_bytes: int) -> None:
        self.folder = folder if needed_bytes > IN_MEMORY_BYTES else None

    def array(self, name: str, shape: tuple[int, ...], kind: Any) -> np.ndarray:
        if self.folder is None:
            return np.empty(shape, kind)
        self.folder.mkdir(parents=True, exist_ok=True)
        return np.lib.format.open_memmap(self.folder / f"{name}.npy", "w+", kind, shape)
