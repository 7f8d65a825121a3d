"""pixelNeRF as a pre-training."""

from typing import TYPE_CHECKING

from robust3d.pretraining.pixelnerf.params import Params

if TYPE_CHECKING:
    import torch

    from robust3d.data.multiview import Multiview
    from robust3d.models.encoder import Encoder
    from robust3d.training.loop import Pretraining

__all__ = ["NEEDS_PYRAMID", "Params", "make_task"]
NEEDS_PYRAMID = True  # the encoder has to return a feature pyramid


def make_task(
    params: Params,
    encoder: "Encoder",
    train: "Multiview",
    held_out: "Multiview",
    seed: int,
    device: "torch.device | str",
) -> "Pretraining":
    """The pixelNeRF task, which trains the encoder on `device`."""
    from robust3d.pretraining.pixelnerf.task import PixelNerfPretraining

    return PixelNerfPretraining(params, encoder, train, held_out, seed, device)
