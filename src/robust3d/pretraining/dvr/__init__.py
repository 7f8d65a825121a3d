"""Differentiable Volumetric Rendering as a pre-training."""

from typing import TYPE_CHECKING

from robust3d.pretraining.dvr.params import Params

if TYPE_CHECKING:
    import torch

    from robust3d.data.multiview import Multiview
    from robust3d.models.encoder import Encoder
    from robust3d.training.loop import Pretraining

__all__ = ["Params", "make_task"]


def make_task(
    params: Params,
    encoder: "Encoder",
    train: "Multiview",
    held_out: "Multiview",
    seed: int,
    device: "torch.device | str",
) -> "Pretraining":
    """The DVR task, which trains the encoder on `device`."""
    from robust3d.pretraining.dvr.task import DVRPretraining
    from robust3d.training.planes import check_cube

    check_cube((1 + params.padding) / 2, train, held_out)
    return DVRPretraining(params, encoder, train, held_out, seed, device)
