"""pixelNeRF as a pre-training."""

from typing import TYPE_CHECKING

from robust3d.pretraining.pixelnerf.params import Params

if TYPE_CHECKING:
    import torch

    from robust3d.data.multiview import Multiview
    from robust3d.training.loop import Pretraining

__all__ = ["Params", "make_task"]


def make_task(
    params: Params, train: "Multiview", held_out: "Multiview", seed: int, device: "torch.device | str"
) -> "Pretraining":
    """The pixelNeRF task with a ResNet-18 encoder on `device`."""
    from robust3d.models.encoder import ResNet18Encoder
    from robust3d.pretraining.pixelnerf.task import PixelNerfPretraining

    encoder = ResNet18Encoder(params.init, params.weights, params.normalisation, seed)
    return PixelNerfPretraining(params, encoder, train, held_out, seed, device)
