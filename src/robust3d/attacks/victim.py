"""The attacked model: frozen, in IEEE fp32, counting the images that pass forward and backward."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from robust3d.attacks.agreement import ieee_fp32
from robust3d.attacks.twins import Twins


class Victim:
    """A logits model f(x in [0,1]) -> (N,K), as the attacks call it.

    Attributes:
        twins: faster copies that the attacks run on; None: the model itself.
        forwards: images evaluated so far.
        backwards: images with a backward pass so far.
        nonfinite_gradients: entries of gradients that were NaN or infinite so far; the attacks get 0 instead.
    """

    def __init__(self, model: nn.Module | Callable[[Tensor], Tensor]) -> None:
        self.model = model
        self.twins: Twins | None = None
        self.forwards = 0
        self.backwards = 0
        self.nonfinite_gradients: int | Tensor = 0  # a tensor, to avoid waiting for the GPU

    def __call__(self, images: Tensor) -> Tensor:
        """Logits (N,K) fp32 of images (N,C,H,W), differentiable where gradients are enabled."""
        self.forwards += len(images)
        if images.requires_grad:
            images.register_hook(self._finite)
        logits = self._used()(images).float()
        if logits.requires_grad:
            logits.register_hook(self._count_backward)
        return logits

    def _used(self) -> Callable[[Tensor], Tensor]:
        if self.twins is None:
            return self.model
        return self.twins.differentiable if torch.is_grad_enabled() else self.twins.inference

    @contextmanager
    def itself(self) -> Iterator[None]:
        """Context in which every pass runs on the model itself."""
        twins, self.twins = self.twins, None
        try:
            yield
        finally:
            self.twins = twins

    def _count_backward(self, gradient: Tensor) -> None:
        self.backwards += len(gradient)

    def _finite(self, gradient: Tensor) -> Tensor:
        self.nonfinite_gradients += (~gradient.isfinite()).sum()
        return gradient.nan_to_num(0, 0, 0)

    def differentiate(self, images: Tensor, objective: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (N,K), objective (N,) of the logits, and its gradient (N,C,H,W), all detached."""
        x = images.detach().requires_grad_()
        with torch.enable_grad():
            logits = self(x)
            values = objective(logits)
            (gradient,) = torch.autograd.grad(values.sum(), [x])
        return logits.detach(), values.detach(), gradient


def misclassified(logits: Tensor, labels: Tensor) -> Tensor:
    """Whether images (N,) get another class than their labels; logits that are not finite give none."""
    return (logits.argmax(1) != labels) | ~logits.isfinite().all(1)


@contextmanager
def frozen(model: nn.Module | Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Freeze the parameters and force IEEE fp32, then restore both.

    Raises:
        ValueError: If a part of the model is in training mode: dropout and batch statistics invalidate the result.
    """
    modules = list(model.modules()) if isinstance(model, nn.Module) else []
    if any(getattr(module, "training", False) for module in modules):  # frozen TorchScript modules lack it
        raise ValueError("the model is in training mode; call model.eval() before attacking it")
    parameters = [p for module in modules[:1] for p in module.parameters() if p.requires_grad]
    trainable = [p for p in parameters if not p.is_inference()]  # inference tensors cannot be changed
    try:
        for parameter in trainable:
            parameter.requires_grad_(False)
        with ieee_fp32():
            yield
    finally:
        for parameter in trainable:
            parameter.requires_grad_(True)
