"""SimSiam: a self-supervised start, from nothing but images."""

from typing import TYPE_CHECKING

from robust3d.pretraining.simsiam.params import Params

if TYPE_CHECKING:
    import torch

    from robust3d.data.multiview import Multiview
    from robust3d.models.encoder import Encoder
    from robust3d.training.loop import Pretraining

__all__ = ["Params", "make_task"]
OUTPUT = "the nearest training image by features"  # what figures show below held-out images


def make_task(
    params: Params,
    encoder: "Encoder",
    train: "Multiview",
    held_out: "Multiview",
    seed: int,
    device: "torch.device | str",
) -> "Pretraining":
    """The SimSiam task, which trains the encoder on `device`."""
    from robust3d.pretraining.simsiam.task import SimSiamPretraining

    return SimSiamPretraining(params, encoder, train, held_out, seed, device)
