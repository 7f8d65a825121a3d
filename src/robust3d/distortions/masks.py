"""What a mask of the object allows: silhouettes, and objects with another texture."""

from torch import Tensor

from robust3d.distortions.corruptions import to_type
from robust3d.distortions.fields import grey

_SHADING = (0.35, 1.8)  # of the mean light on an object; brighter and darker is cut off, so that textures stay visible


def silhouettes(masks: Tensor) -> Tensor:
    """The object black on white, (N, 3, H, W) uint8, from (N, H, W) bool (shape-bias paper, Figure 1f)."""
    return masks.logical_not()[:, None].expand(-1, 3, -1, -1).byte() * 255


def retextured(images: Tensor, masks: Tensor, textures: Tensor) -> Tensor:
    """Objects painted with a texture under their own light; what lies outside of the mask stays.

    The light on a pixel is its luma over the mean luma of the object.

    Args:
        images: (N, 3, H, W) uint8.
        masks: (N, H, W) bool, the object.
        textures: (N, 3, H, W) uint8.
    """
    inside = masks[:, None]
    luma = grey(images.float() / 255)
    mean = (luma * inside).double().sum((1, 2, 3), keepdim=True) / inside.sum((1, 2, 3), keepdim=True).clamp(min=1)
    light = (luma / mean.float().clamp(min=1 / 255)).clamp(*_SHADING)
    painted = to_type((textures.float() / 255 * light).clamp(0, 1), images.dtype)
    return painted.where(inside, images)
