"""Supervised pre-training: the control for more data, or on an image set of its own such as FractalDB."""

from typing import TYPE_CHECKING

from robust3d.pretraining.supervised.params import Params

if TYPE_CHECKING:
    import torch

    from robust3d.data.images import ImageData
    from robust3d.data.multiview import Multiview
    from robust3d.models.encoder import Encoder
    from robust3d.training.loop import Pretraining

__all__ = ["READS_SETS", "Params", "make_task"]
OUTPUT = "the mean training image of the class that is answered"  # what figures show below held-out images
READS_SETS = True  # an entry may name an image `set` instead of views


def make_task(
    params: Params,
    encoder: "Encoder",
    train: "Multiview | ImageData",
    held_out: "Multiview | ImageData",
    seed: int,
    device: "torch.device | str",
) -> "Pretraining":
    """The classification task, which trains the encoder on `device`."""
    from robust3d.pretraining.supervised.task import SupervisedPretraining

    return SupervisedPretraining(params, encoder, train, held_out, seed, device)
