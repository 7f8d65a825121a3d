"""Synthesis: ascent on a network's score from noise or from earlier samples, by Adam or by Langevin dynamics.

Only the gradient with respect to the volumes is computed, which saves a third of a step's work; with few channels
`robust3d.models.introspective.convolution` saves more.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from robust3d.models.introspective.params import SynthesisParams

Score = Callable[[Tensor], tuple[Tensor, Tensor | None]]
"""Volumes (N, …) to scores (N,) and to what is ascended beside them, (N,) or None."""
_EPS = 1e-8  # of Adam, torch's and TensorFlow's default


@dataclass(frozen=True)
class Synthesised:
    """A synthesised batch.

    Attributes:
        volumes: (N, …).
        scores: (N,) of these volumes.
        steps: that were taken.
        reached: whether the threshold ended the synthesis; False: the cap on steps did.
    """

    volumes: Tensor
    scores: Tensor
    steps: int
    reached: bool


def synthesise(
    score: Score,
    start: Tensor,
    params: SynthesisParams,
    threshold: float,
    generator: torch.Generator | None = None,
) -> Synthesised:
    """Ascend until the batch's mean score reaches the threshold, for at most `params.max_steps` steps.

    Args:
        score: of volumes; see `Score`.
        start: (N, …) volumes to start from.
        params: sampler, steps, clip.
        threshold: of the mean score.
        generator: of Langevin's noise, on the device of `start`.
    """
    x, sampler = start.detach(), (_Adam(params) if params.sampler == "adam" else _Langevin(params, generator))
    for step in range(params.max_steps):
        scores, gradient = _gradient(score, x, params, threshold)
        if _is_reached(scores, params, threshold):
            return Synthesised(x, scores, step, True)
        x = x + sampler.change(gradient, step)
        if params.clip is not None:
            x = x.clamp(*params.clip)
    with torch.no_grad():
        scores = score(x)[0]
    return Synthesised(x, scores, params.max_steps, _is_reached(scores, params, threshold))


def _is_reached(scores: Tensor, params: SynthesisParams, threshold: float) -> bool:
    distance = float(scores.mean()) - threshold
    return abs(distance) <= params.tolerance if params.objective == "match" else distance >= 0


def _gradient(score: Score, x: Tensor, params: SynthesisParams, threshold: float) -> tuple[Tensor, Tensor]:
    """Scores (N,) and the gradient of what is ascended; each volume's is its own, whatever the batch."""
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        scores, beside = score(x)
        ascended = scores.sum()
        if params.objective == "match":  # -|mean f - threshold|, times N
            ascended = -(ascended - threshold * len(scores)).abs()
        if beside is not None:
            ascended = ascended + beside.sum()
        (gradient,) = torch.autograd.grad(ascended, [x])
    return scores.detach(), gradient


class _Adam:
    """Changes by Adam (Kingma and Ba 2015)."""

    def __init__(self, params: SynthesisParams) -> None:
        self.params = params
        self.mean: Tensor | None = None
        self.square: Tensor | None = None

    def change(self, gradient: Tensor, step: int) -> Tensor:
        """What is added in a step, numbered from 0."""
        beta1, beta2 = self.params.beta1, self.params.beta2
        if self.mean is None or self.square is None:
            self.mean, self.square = torch.zeros_like(gradient), torch.zeros_like(gradient)
        self.mean.lerp_(gradient, 1 - beta1)
        self.square.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        length = self.square.div(1 - beta2 ** (step + 1)).sqrt_().add_(_EPS)
        change = self.mean.div(length).mul_(self.params.learning_rate / (1 - beta1 ** (step + 1)))
        bound = self.params.step_bound
        return change if bound is None else change.clamp_(-bound, bound)


class _Langevin:
    """Changes by stochastic gradient Langevin dynamics: epsilon / 2 times the gradient, and noise."""

    def __init__(self, params: SynthesisParams, generator: torch.Generator | None) -> None:
        if generator is None:
            raise ValueError("Langevin dynamics need a generator")
        self.params, self.generator = params, generator

    def change(self, gradient: Tensor, step: int) -> Tensor:
        """What is added in a step, numbered from 0."""
        epsilon = step_size(self.params, step)
        noise = torch.randn(gradient.shape, generator=self.generator, device=gradient.device, dtype=gradient.dtype)
        return epsilon / 2 * gradient + epsilon**0.5 * noise


def step_size(params: SynthesisParams, step: int) -> float:
    """Langevin's epsilon in a step: falls geometrically from `step_size` to `final_step_size` at the last step."""
    share = step / max(1, params.max_steps - 1)
    return float(params.step_size * (params.final_step_size / params.step_size) ** share)


@contextmanager
def frozen_weights(module: nn.Module) -> Iterator[None]:
    """Context: no parameter asks for a gradient, so that a backward pass computes none."""
    asked = [weight for weight in module.parameters() if weight.requires_grad]
    try:
        for weight in asked:
            weight.requires_grad_(False)
        yield
    finally:
        for weight in asked:
            weight.requires_grad_(True)
