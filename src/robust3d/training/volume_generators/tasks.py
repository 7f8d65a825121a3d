"""Training of 3D-VAE and 3D-GAN on volumes."""

import copy
from abc import abstractmethod
from dataclasses import asdict
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from robust3d.data.volumes import VoxelData
from robust3d.generation.diversity import Diversity, collapse, diversity
from robust3d.models.architecture import measured_statistics
from robust3d.models.autoencoder import kl_divergence
from robust3d.models.introspective.synthesis import frozen_weights
from robust3d.models.volume_generators import VolumeEncoder, VolumeGenerator, sample
from robust3d.seeds import torch_generator
from robust3d.training.draws import Epochs
from robust3d.training.loop import Task
from robust3d.training.volume_generators.params import GanParams, GeneratorParams, VaeParams
from robust3d.training.volumes import check_volumes

VALIDATION_BATCH = 128
VALIDATION_SAMPLES = 64


class GeneratorTask(Task):
    """What both trainings share: data, samples and the check for a collapse.

    Args:
        volumes: to train on, on the device.
        held_out: to validate on.
        params: of the training.

    Attributes:
        module: both networks; its `generator` makes volumes.
        step_passes: volumes that go through a network in a step, forward, backward to the input or to the weights.
        training: diversity of the training volumes.
    """

    module: "Variational | Adversaries"
    step_passes: int

    def __init__(self, volumes: VoxelData, held_out: VoxelData, params: GeneratorParams) -> None:
        check_volumes(volumes, held_out, params.resolution, "resolution")
        self.volumes, self.held_out, self.params = volumes, held_out, params
        self.device = volumes.labels.device
        self.images_per_step = params.batch
        self.training = diversity(volumes.volumes().cpu().numpy().astype(bool))
        self._epochs = Epochs(len(volumes), params.batch, params.seed)

    def real_batch(self, step: int) -> Tensor:
        """A step's volumes (B, 1, R, R, R) of 0 and 1."""
        return self.volumes.volumes(self._epochs.batch(step)).float()

    @abstractmethod
    def latents(self, count: int, generator: torch.Generator) -> Tensor:
        """Latents (N, L) from the distribution that samples are generated from, on the generator's device."""

    @abstractmethod
    def forward(self, module: Any, step: int, generator: torch.Generator) -> None:
        """One forward pass through `module`, which is `self.module` or a copy, as in a training step."""

    @torch.no_grad()
    def calibrate(self, module: nn.Module) -> None:
        """Give batch norms the statistics of the current weights, over some batches, and leave eval mode on.

        They depend on the weights alone, so that samples depend on neither each other nor the way of the training.
        """
        with measured_statistics([layer for layer in module.modules() if isinstance(layer, nn.BatchNorm3d)]):
            module.train()
            for step in range(self.params.calibration_batches):
                self.forward(module, step, torch_generator(self.params.seed, "calibration", step, device=self.device))
        module.eval()

    def samples(self, count: int, module: Any = None) -> NDArray[np.bool_]:
        """Volumes (N, R, R, R); each depends on the weights, the seed and its own number alone.

        Args:
            count: N.
            module: calibrated; None: the current one.
        """
        if module is None:
            self.calibrate(module := copy.deepcopy(self.module))
        seeds = (torch_generator(self.params.seed, "sample", number) for number in range(count))
        latents = torch.cat([self.latents(1, generator) for generator in seeds]).to(self.device)
        found: NDArray[np.bool_] = sample(module.generator, latents, self.params.threshold).numpy()
        return found

    def validate(self) -> dict[str, float]:
        """Diversity of some samples, with that of the training volumes beside it."""
        self.calibrate(module := copy.deepcopy(self.module))
        found = asdict(diversity(self.samples(VALIDATION_SAMPLES, module)))
        return self.fit(module) | found | {f"training_{name}": value for name, value in asdict(self.training).items()}

    def fit(self, module: Any) -> dict[str, float]:
        """How well a calibrated module fits held-out volumes, where the method can tell."""
        return {}

    def collapse(self, validation: dict[str, float]) -> str | None:
        """A message if the samples are empty, full or (nearly) one shape."""
        return collapse(Diversity(*(validation[name] for name in asdict(self.training))), self.training)


class Variational(nn.Module):
    """Both networks of 3D-VAE."""

    def __init__(self, params: VaeParams) -> None:
        super().__init__()
        self.encoder = VolumeEncoder(params.resolution, params.width, 2 * params.latent, params.seed)
        self.generator = VolumeGenerator(params.resolution, params.width, params.latent, params.seed)

    def posterior(self, volumes: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance, each (N, L), of volumes (N, 1, R, R, R)."""
        mean, log_variance = self.encoder(volumes).chunk(2, 1)
        return mean, log_variance

    def forward(self, volumes: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Logits (N, 1, R, R, R) of one sample a volume, and the divergence (N,) from the prior."""
        mean, log_variance = self.posterior(volumes)
        noise = torch.randn(mean.shape, generator=generator, device=generator.device).to(mean)
        logits = self.generator.logits(mean + (log_variance / 2).exp() * noise)
        return logits, kl_divergence(mean, log_variance).sum(1)


class VaeTask(GeneratorTask):
    """3D-VAE: the evidence bound, with a Bernoulli likelihood of each voxel."""

    module: Variational
    params: VaeParams

    def __init__(self, volumes: VoxelData, held_out: VoxelData, params: VaeParams) -> None:
        super().__init__(volumes, held_out, params)
        self.module = Variational(params).to(self.device)
        self.step_passes = 2 * 3 * params.batch

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Negative evidence bound of a batch, in nats a volume."""
        volumes = self.real_batch(step)
        logits, divergences = self.module(volumes, generator)
        reconstruction, divergence = _nats(logits, volumes), divergences.mean()
        scalars = {"reconstruction": reconstruction.detach(), "divergence": divergence.detach()}
        return reconstruction + self.params.kl * divergence, scalars

    def forward(self, module: Variational, step: int, generator: torch.Generator) -> None:
        """A batch of training volumes through encoder and decoder."""
        module(self.real_batch(step), generator)

    def latents(self, count: int, generator: torch.Generator) -> Tensor:
        """Latents (N, L) from the prior."""
        return torch.randn(count, self.params.latent, generator=generator, device=generator.device)

    @cached_property
    def constant(self) -> Tensor:
        """Logits (1, R, R, R) of the best constant probabilities of each voxel."""
        sums = [batch.sum(0, dtype=torch.float64) for batch, _ in self.volumes.batches(VALIDATION_BATCH)]
        return torch.logit((torch.stack(sums).sum(0) + 0.5) / (len(self.volumes) + 1)).float()

    def fit(self, module: Variational) -> dict[str, float]:
        """Nats a held-out volume, with those of the best constant probabilities of each voxel beside them."""
        sums: dict[str, float] = dict.fromkeys(("reconstruction", "divergence", "reconstruction_of_mean"), 0.0)
        for volumes, _ in self.held_out.batches(VALIDATION_BATCH):
            batch, constant = volumes.float(), self.constant.expand(volumes.shape)
            mean, log_variance = module.posterior(batch)
            sums["reconstruction"] += len(batch) * float(_nats(module.generator.logits(mean), batch))
            sums["divergence"] += float(kl_divergence(mean, log_variance).sum())
            sums["reconstruction_of_mean"] += len(batch) * float(_nats(constant, batch))
        return {name: total / len(self.held_out) for name, total in sums.items()}


class Adversaries(nn.Module):
    """Both networks of 3D-GAN.

    Attributes:
        accuracy: of the discriminator on the last batch; 0: there was none. Here, so that a checkpoint has it.
    """

    accuracy: Tensor

    def __init__(self, params: GanParams) -> None:
        super().__init__()
        self.generator = VolumeGenerator(params.resolution, params.width, params.latent, params.seed)
        self.discriminator = VolumeEncoder(params.resolution, params.width, 1, params.seed)
        self.register_buffer("accuracy", torch.zeros((), dtype=torch.float64))


class GanTask(GeneratorTask):
    """3D-GAN: both networks learn in every step, from the same generated volumes.

    The discriminator is left out of a step's loss while it wins; then it has no gradients, and Adam leaves it as it is.
    """

    module: Adversaries
    params: GanParams

    def __init__(self, volumes: VoxelData, held_out: VoxelData, params: GanParams) -> None:
        super().__init__(volumes, held_out, params)
        self.module = Adversaries(params).to(self.device)
        # The generator; the discriminator on real and on generated volumes, and on both again through to the generator.
        self.step_passes = (3 + 2 * 3 + 2 * 2) * params.batch

    def parts(self) -> list[tuple[nn.Module, float]]:
        """Generator and discriminator have learning rates of their own."""
        slower = self.params.discriminator_learning_rate / self.params.learning_rate
        return [(self.module.generator, 1.0), (self.module.discriminator, slower)]

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """The generator's loss, and the discriminator's unless its accuracy on the last batch was too high."""
        real = self.real_batch(step)
        made = self.module.generator(self.latents(len(real), generator).to(self.device))
        real_score, made_score = self._scores(real, made.detach())
        with frozen_weights(self.module.discriminator):
            _, score = self._scores(real, made)
        # log D and log (1 - D) of D = sigmoid(score)
        saturating = self.params.generator_loss == "saturating"
        ours = -functional.softplus(score).mean() if saturating else functional.softplus(-score).mean()
        theirs = functional.softplus(-real_score).mean() + functional.softplus(made_score).mean()
        learns = float(self.module.accuracy) <= self.params.discriminator_accuracy
        right = (real_score > 0).sum() + (made_score < 0).sum()
        accuracy = right.double() / (2 * len(real))  # exact, so that 80 % are not over 0.8
        self.module.accuracy.copy_(accuracy)
        scalars = {
            "generator_loss": ours.detach(),
            "discriminator_loss": theirs.detach(),
            "discriminator_accuracy": accuracy,
            "discriminator_learns": torch.tensor(float(learns)),
        }
        return ours + theirs if learns else ours, scalars

    def _scores(self, real: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
        """The discriminator's scores (B,) of real and of generated volumes."""
        discriminator = self.module.discriminator
        if self.params.discriminator_batches == "apart":
            return discriminator(real)[:, 0], discriminator(made)[:, 0]
        scores = discriminator(torch.cat([real, made]))[:, 0]
        return scores[: len(real)], scores[len(real) :]

    def forward(self, module: Adversaries, step: int, generator: torch.Generator) -> None:
        """A batch of latents through the generator."""
        module.generator(self.latents(self.params.batch, generator).to(self.device))

    def latents(self, count: int, generator: torch.Generator) -> Tensor:
        """Latents (N, L) from the prior."""
        draw = torch.rand if self.params.prior == "uniform" else torch.randn
        return draw(count, self.params.latent, generator=generator, device=generator.device)


def _nats(logits: Tensor, volumes: Tensor) -> Tensor:
    """Negative log-likelihood of volumes: the sum over voxels, the mean over volumes."""
    total = functional.binary_cross_entropy_with_logits(logits, volumes, reduction="sum")
    return total / len(volumes)


def make_task(volumes: VoxelData, held_out: VoxelData, params: GeneratorParams) -> GeneratorTask:
    """The task that the parameters name."""
    if isinstance(params, VaeParams):
        return VaeTask(volumes, held_out, params)
    assert isinstance(params, GanParams)
    return GanTask(volumes, held_out, params)
