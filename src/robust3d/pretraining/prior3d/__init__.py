"""3D-Prior: a backbone is trained further to reconstruct image and depth from a single view, near to what it was."""

from typing import TYPE_CHECKING

from robust3d.pretraining.prior3d.params import Params

if TYPE_CHECKING:
    import torch

    from robust3d.data.multiview import Multiview
    from robust3d.models.encoder import Encoder
    from robust3d.training.loop import Pretraining

__all__ = ["NEEDS_TOKENS", "Params", "make_task"]
OUTPUT = "its reconstruction, images and depth maps in turn"  # what figures show below held-out images
NEEDS_TOKENS = True  # the encoder has to give tokens


def make_task(
    params: Params,
    encoder: "Encoder",
    train: "Multiview",
    held_out: "Multiview",
    seed: int,
    device: "torch.device | str",
) -> "Pretraining":
    """The reconstruction task, which trains the encoder on `device`."""
    from robust3d.pretraining.prior3d.task import Prior3dPretraining

    return Prior3dPretraining(params, encoder, train, held_out, seed, device)
