"""3D-Prior: a backbone is trained further to reconstruct image and depth from a single view, near to what it was."""

from typing import TYPE_CHECKING

from robust3d.pretraining.prior3d.params import Params

if TYPE_CHECKING:
    import torch

    from robust3d.data.images import ImageData
    from robust3d.data.multiview import Multiview
    from robust3d.models.encoder import Encoder
    from robust3d.training.loop import Pretraining

__all__ = ["NEEDS_DEPTH", "NEEDS_TOKENS", "READS_SETS", "Params", "make_task"]
OUTPUT = "its reconstruction, images and depth maps in turn"  # what figures show below held-out images
NEEDS_TOKENS = True  # the encoder has to give tokens
READS_SETS = True  # an entry may name an image `set` instead of views …
NEEDS_DEPTH = True  # … which has depth


def make_task(
    params: Params,
    encoder: "Encoder",
    train: "Multiview | ImageData",
    held_out: "Multiview | ImageData",
    seed: int,
    device: "torch.device | str",
) -> "Pretraining":
    """The reconstruction task, which trains the encoder on `device`."""
    from robust3d.pretraining.prior3d.task import Prior3dPretraining

    return Prior3dPretraining(params, encoder, train, held_out, seed, device)
