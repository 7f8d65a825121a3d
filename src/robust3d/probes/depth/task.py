"""Heads for depth, their training on cached features, and the errors that are usual for depth."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robust3d.attacks.agreement import ieee_fp32
from robust3d.data.images import ImageData
from robust3d.errors import UserError
from robust3d.models.encoder import seeded_initialisation
from robust3d.probes import Subject
from robust3d.probes.depth.params import Params
from robust3d.seeds import torch_generator

BATCH = 250  # images per pass through the trunk
_FOCUS = 0.85  # of the scale-invariant loss: how much of a common factor is forgiven (DINOv2)
_FLOOR = 0.1  # added to the scores of bins (DINOv2)
_SCALES = (4.0, 2.0, 1.0, 0.5)  # of the dpt head's maps, times the tokens' grid


@dataclass(frozen=True)
class Seen:
    """N images: tokens of patches and of the class as maps (N, C, h, w), depth (N, H, W), and where it is known."""

    features: Tensor
    depth: Tensor
    known: Tensor


def read(subject: Subject, images: ImageData, most: int | None = None) -> Seen:
    """Features, by the frozen trunk in eval mode, and depth of the (first) images.

    Raises:
        UserError: no depth, or no tokens.
    """
    architecture = subject.model.architecture
    if architecture.tokens is None:
        raise UserError(
            f"architecture: {architecture.name} has no tokens, from which depth could be read; take another"
        )
    count = min(len(images), most or len(images))
    found = []
    with torch.no_grad(), ieee_fp32():
        for part in torch.arange(count).split(BATCH):
            pixels = images.batch(part).to(subject.device).float() / 255
            tokens = architecture.tokens(subject.model.network, subject.model.normalise(pixels))
            maps = tokens.patches.mT.unflatten(2, tokens.grid)
            whole = tokens.class_token[:, :, None, None].expand(-1, -1, *tokens.grid)
            found.append(torch.cat([maps, whole], 1).float())
    depth = images.depths(torch.arange(count)).to(subject.device)
    known = depth.isfinite() & (depth > 0)
    if not known.any():
        raise UserError("sets.set: not one pixel with a known depth")
    return Seen(torch.cat(found), torch.where(known, depth, 1.0), known)


class Linear(nn.Module):
    """Scores of bins by one 1x1 convolution of the enlarged tokens.

    What is enlarged are the scores. A linear map of bilinear means is the bilinear mean of its results, and there are
    fewer bins than channels, and fewer tokens than pixels. The norm's statistics are those of the tokens.
    """

    def __init__(self, channels: int, params: Params) -> None:
        super().__init__()
        self.upscale = params.upscale
        self.norm, self.scores = nn.BatchNorm2d(channels), nn.Conv2d(channels, params.bins, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, h, w) to (N, bins, h', w')."""
        scores = self.scores(self.norm(features))
        return F.interpolate(scores, scale_factor=self.upscale, mode="bilinear", align_corners=False)


class Residual(nn.Module):
    """DPT's unit: two convolutions beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1)
        )

    def forward(self, maps: Tensor) -> Tensor:
        """The same shape."""
        changed: Tensor = maps + self.body(maps)
        return changed


class Dpt(nn.Module):
    """Four maps of different scales, fused from the coarsest to the finest (Ranftl et al. 2021)."""

    def __init__(self, channels: int, params: Params) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.project = nn.ModuleList(nn.Conv2d(channels, params.width, 1) for _ in _SCALES)
        self.fuse = nn.ModuleList(Residual(params.width) for _ in _SCALES)
        self.scores = nn.Sequential(
            nn.Conv2d(params.width, params.width, 3, padding=1), nn.ReLU(), nn.Conv2d(params.width, params.bins, 1)
        )

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, h, w) to (N, bins, 4 h, 4 w)."""
        features, fused = self.norm(features), None
        for project, fuse, scale in reversed(list(zip(self.project, self.fuse, _SCALES, strict=True))):
            size = [max(1, round(side * scale)) for side in features.shape[2:]]
            maps = F.interpolate(project(features), size, mode="bilinear", align_corners=False)
            if fused is not None:
                maps = maps + F.interpolate(fused, size, mode="bilinear", align_corners=False)
            fused = fuse(maps)
        scores: Tensor = self.scores(fused)
        return scores


class Depth(nn.Module):
    """A head, and depth as the mean of the bins by their scores."""

    def __init__(self, channels: int, params: Params, nearest: float, farthest: float) -> None:
        super().__init__()
        self.head = (Linear if params.head == "linear" else Dpt)(channels, params)
        self.register_buffer("bins", torch.linspace(nearest, farthest, params.bins))

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, h, w) to depth (N, 1, h', w')."""
        scores = self.head(features).relu() + _FLOOR
        return (scores * self.bins[:, None, None]).sum(1, keepdim=True) / scores.sum(1, keepdim=True)  # type: ignore[index]


def fit(params: Params, seen: Seen, device: str) -> tuple[nn.Module, float, float]:
    """A trained head in eval mode, the mean training depth, and the loss of the last step."""
    known = seen.depth[seen.known]
    with seeded_initialisation(params.seed, "depth"):
        head = Depth(seen.features.shape[1], params, float(known.min()), float(known.max())).to(device)
    optimiser = torch.optim.Adam(head.parameters(), params.learning_rate)
    loss = torch.zeros(())
    for step in range(params.steps):
        optimiser.param_groups[0]["lr"] = params.learning_rate * (1 + math.cos(math.pi * step / params.steps)) / 2
        generator = torch_generator(params.seed, "depth", step)
        index = torch.randint(len(seen.features), (params.batch,), generator=generator).to(device)
        predicted = _at(head(seen.features[index]), seen.depth.shape[1:])
        loss = log_loss(predicted, seen.depth[index], seen.known[index])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return head.eval(), float(known.double().mean()), float(loss.detach())


def log_loss(predicted: Tensor, depth: Tensor, known: Tensor) -> Tensor:
    """The scale-invariant loss in the logarithm (Eigen et al. 2014), over known pixels of (N, H, W)."""
    off = predicted[known].log() - depth[known].log()
    return (off.square().mean() - _FOCUS * off.mean().square()).clamp(min=1e-12).sqrt()


def scores(head: Callable[[Tensor], Tensor], seen: Seen) -> dict[str, list[float]]:
    """For each image RMSE, mean relative error, and shares within 1.25, 1.25² and 1.25³ times; NaN without depth."""
    found: dict[str, list[float]] = {name: [] for name in ("rmse", "abs_rel", "delta1", "delta2", "delta3")}
    with torch.no_grad():
        for features, depths, masks in zip(*(part.split(BATCH) for part in (seen.features, seen.depth, seen.known))):
            for guess, depth, known in zip(_at(head(features), depths.shape[1:]), depths, masks, strict=True):
                errors = errors_of(guess.expand_as(depth)[known], depth[known])
                for name, value in errors.items():
                    found[name].append(value)
    return found


def errors_of(guess: Tensor, depth: Tensor) -> dict[str, float]:
    """The errors of some pixels (P,); NaN for none."""
    guess, depth = guess.double(), depth.double()
    ratio = torch.maximum(guess / depth, depth / guess)
    within = {f"delta{power}": float((ratio < 1.25**power).double().mean()) for power in (1, 2, 3)}
    rmse = float((guess - depth).square().mean().sqrt())
    return {"rmse": rmse, "abs_rel": float(((guess - depth).abs() / depth).mean()), **within}


def _at(predicted: Tensor, size: torch.Size) -> Tensor:
    """(N, 1, h, w) at the size of the depth maps, (N, H, W)."""
    return F.interpolate(predicted, tuple(size), mode="bilinear", align_corners=False)[:, 0]
