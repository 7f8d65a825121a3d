"""Base of the pre-trainings on views of objects: their state."""

from abc import abstractmethod
from typing import Any

import torch
from torch import nn

from robust3d.data.multiview import Multiview
from robust3d.models.encoder import Encoder
from robust3d.training.loop import Pretraining

BACKGROUND_VIEWS = 1024  # evenly spaced training views, of which the background's colour is taken


class ViewPretraining(Pretraining):
    """A pre-training on views of objects, around an encoder.

    Args:
        params: of the method; `batch` is the number of encoder inputs in a step.
        encoder: trained in place; the output.
        train: training views.
        held_out: views of other instances, for validation and reconstructions.
        seed: of all initial weights but the encoder's, and of the validation views.
        device: of module and data.
    """

    def __init__(
        self,
        params: Any,
        encoder: Encoder,
        train: Multiview,
        held_out: Multiview,
        seed: int,
        device: torch.device | str,
    ) -> None:
        self.params, self.encoder, self.seed = params, encoder, seed
        self.device = torch.device(device)
        self.train, self.held_out = train.to(device), held_out.to(device)
        self.images_per_step = params.batch
        self.check_views()
        self.module = self.build().to(device)

    def check_views(self) -> None:
        """Refuse views that the method cannot use; by default none.

        Raises:
            UserError: says which views it needs.
        """

    @abstractmethod
    def build(self) -> nn.Module:
        """Build the model around the encoder; called when all other attributes are set."""


def median_background(views: Multiview) -> tuple[float, float, float]:
    """The median colour, in [0, 1], of the targets outside the masks of up to 1,024 views; grey if nothing is."""
    masks, targets = views.masks.flatten(0, 1), views.targets.flatten(0, 1)
    step = -(-len(masks) // BACKGROUND_VIEWS)
    outside = targets[::step].movedim(1, -1)[~masks[::step]]
    if not len(outside):
        return 0.5, 0.5, 0.5
    red, green, blue = (outside.float().median(0).values / 255).tolist()
    return red, green, blue
