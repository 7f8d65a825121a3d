"""Adversarial training as MadryLab's `robustness` does it, step by step.

Plain layout, the model switched to eval mode for the attack and back; gradients of the input only; the iterate of
largest loss kept among the clean image and seven steps; one step of SGD with momentum on the adversarial batch.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Attacked(nn.Module):
    """The library's wrapper: makes the adversarial batch, then runs the model on it."""

    def __init__(self, model: nn.Module, epsilon: float, step_size: float, steps: int) -> None:
        super().__init__()
        self.model, self.epsilon, self.step_size, self.steps = model, epsilon, step_size, steps

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        was_training = self.training
        self.eval()
        adversarial = self.attack(images, labels)
        if was_training:
            self.train()
        return self.model(adversarial)

    def attack(self, images: Tensor, labels: Tensor) -> Tensor:
        criterion = nn.CrossEntropyLoss(reduction="none")
        original, x = images.detach(), images.detach().clone()
        best, best_loss = None, None
        for _ in range(self.steps):
            x = x.clone().detach().requires_grad_(True)
            losses = criterion(self.model(x), labels)
            (gradient,) = torch.autograd.grad(losses.mean(), [x])
            with torch.no_grad():
                best, best_loss = self._keep(x, losses, best, best_loss)
                x = x + self.step_size * torch.sign(gradient)
                x = torch.clamp(original + torch.clamp(x - original, -self.epsilon, self.epsilon), 0, 1)
        with torch.no_grad():
            best, best_loss = self._keep(x, criterion(self.model(x), labels), best, best_loss)
        return best

    @staticmethod
    def _keep(x: Tensor, losses: Tensor, best: Tensor | None, best_loss: Tensor | None) -> tuple[Tensor, Tensor]:
        if best is None:
            return x.clone().detach(), losses.clone().detach()
        replace = best_loss < losses
        best[replace] = x[replace].clone().detach()
        best_loss[replace] = losses[replace]
        return best, best_loss


def train(attacked: Attacked, optimiser: torch.optim.Optimizer, batches: list[tuple[Tensor, Tensor]]) -> list[float]:
    """One pass over the batches; the losses."""
    losses = []
    attacked.train()
    for images, labels in batches:
        logits = attacked(images, labels)
        loss = functional.cross_entropy(logits, labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses
