"""Multi-view images of objects with cameras, masks and depth, as 3D reconstruction pre-training uses them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from robust3d.data.backgrounds import Backgrounds, image_seed
from robust3d.data.params import BackgroundParams, SplitName
from robust3d.data.textures import Textures

if TYPE_CHECKING:
    from robust3d.data.shards import Frames


@dataclass(frozen=True)
class Multiview:
    """O objects in V views each, lengths in extents of the family: every object lies in [-0.5, 0.5]^3.

    Attributes:
        inputs: (O, V, 3, H, W) uint8, what the encoder sees.
        targets: (O, V, 3, H, W) uint8, what is reconstructed; the same tensor if the backgrounds are equal.
        masks: (O, V, H, W) bool.
        depth: (O, V, H, W) float32 camera z, inf at the background.
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

    def to(self, device: torch.device | str) -> "Multiview":
        """The same on `device`."""
        return self._map(lambda tensor: tensor.to(device))

    def subset(self, objects: int) -> "Multiview":
        """The first objects; classes alternate, so a multiple of their number is balanced."""
        return replace(self._map(lambda tensor: tensor[:objects]), names=self.names[:objects])

    def _map(self, change: Any) -> "Multiview":
        """Apply `change` to every tensor, once to inputs and targets that are one tensor."""
        tensors = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "names"}
        changed = {name: change(tensor) for name, tensor in tensors.items() if name != "targets"}
        shared = self.targets is self.inputs
        return Multiview(targets=changed["inputs"] if shared else change(self.targets), names=self.names, **changed)


def load_multiview(
    frames: "Frames",
    classes: Sequence[str],
    ids: Sequence[str],
    input_background: BackgroundParams,
    target_background: BackgroundParams,
    textures: Textures | None,
    seed: int,
    split: SplitName = "train",
) -> Multiview:
    """The objects of one split, every class with the same instances and every object with all its views.

    The background of an (instance, view) is that of the classification sets of the same seed.

    Args:
        frames: rendered frames that contain all of it; others are left out.
        classes: class names in label order.
        ids: instance ids of the split.
        input_background: behind the objects in `inputs`.
        target_background: behind the objects in `targets`.
        textures: needed for textured backgrounds.
        seed: the study's seed.
        split: name of the split; "test" gets textures of its own.

    Returns:
        Objects in the order of the sorted ids, classes alternating.
    """
    order, labels, names = _arrange(frames, classes, sorted(ids))
    objects, views = order.shape
    rgba = frames.rgba[order.ravel()]
    seeds = [
        image_seed(seed, str(frames.class_name[i]), str(frames.instance[i]), int(frames.view[i])) for i in order.ravel()
    ]

    def paint(background: BackgroundParams) -> Tensor:
        backgrounds = Backgrounds(background, textures, len(classes))
        images = np.empty((*rgba.shape[:3], 3), np.uint8)
        for i, (frame, key) in enumerate(zip(rgba, seeds, strict=True)):
            images[i] = backgrounds.behind(frame, int(labels[i // views]), split, key)
        stacked = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
        return stacked.reshape(objects, views, *stacked.shape[1:])

    inputs = paint(input_background)
    world_to_camera = frames.world_to_camera[order].copy()
    world_to_camera[..., :3, 3] /= frames.extent
    return Multiview(
        inputs=inputs,
        targets=inputs if target_background == input_background else paint(target_background),
        masks=torch.from_numpy(frames.mask[order]),
        depth=torch.from_numpy((frames.depth[order] / frames.extent).astype(np.float32)),
        world_to_camera=torch.from_numpy(world_to_camera.astype(np.float32)),
        intrinsics=torch.from_numpy(frames.intrinsics[order].astype(np.float32)),
        class_index=torch.from_numpy(labels),
        names=names,
    )


def _arrange(frames: "Frames", classes: Sequence[str], ids: Sequence[str]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Positions (O, V) of the objects' frames by view, their labels (O,) and names."""
    views: dict[tuple[str, str], dict[int, int]] = {}
    keys = zip(frames.class_name.tolist(), frames.instance.tolist(), frames.view.tolist(), strict=True)
    for position, (class_name, instance, view) in enumerate(keys):
        views.setdefault((class_name, instance), {})[view] = position
    objects = [(name, instance) for instance in ids for name in classes]
    missing = [key for key in objects if key not in views]
    if missing:
        raise ValueError(f"no frames of {missing[0][0]} {missing[0][1]}")
    numbers = sorted(views[objects[0]])
    uneven = [key for key in objects if sorted(views[key]) != numbers]
    if uneven:
        raise ValueError(f"{uneven[0][0]} {uneven[0][1]} has other views than {objects[0][0]} {objects[0][1]}")
    order = np.array([[views[key][number] for number in numbers] for key in objects])
    labels = np.tile(np.arange(len(classes), dtype=np.int64), len(ids))
    return order, labels, [f"{name}/{instance}" for name, instance in objects]
