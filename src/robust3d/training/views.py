"""What pre-trainings on views of objects share: their state, and passes in eval mode while they train."""

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from robust3d.data.multiview import Multiview
from robust3d.models.encoder import Encoder
from robust3d.training.loop import Pretraining


class ViewPretraining(Pretraining):
    """A pre-training on views of objects, around an encoder.

    Args:
        params: of the method; `batch` is the number of encoder inputs in a step.
        encoder: what is trained and handed on.
        train: views trained on.
        held_out: views of other instances, for validation and reconstructions.
        seed: of the weights of everything but the encoder, and of the validation's views.
        device: where all of it goes.
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
        """Refuse views that the method cannot use; by default it takes all.

        Raises:
            UserError: saying which it needs.
        """

    @abstractmethod
    def build(self) -> nn.Module:
        """The model around the encoder; all else of the task is set when this is called."""

    @contextmanager
    def in_eval_mode(self) -> Iterator[None]:
        """Inside, the module is in eval mode and nothing is differentiated; its mode comes back."""
        was_training = self.module.training
        self.module.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            self.module.train(was_training)
