"""A classifier's answers without one channel of a layer, for all channels, each image passed to the layer only once."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from robust3d.attacks.agreement import ieee_fp32
from robust3d.models.classifier import Classifier
from robust3d.models.halves import halves, is_exact, without, zeroed

Batches = Sequence[Callable[[], Tensor]]  # each gives images (B, 3, H, W) in [0, 1] on the classifier's device
Decide = Callable[[Tensor], Tensor]  # logits (B, K) -> answers (B,)
_COMPARED = 8  # images on which the network that was cut is compared with the whole one
CACHED, DIRECT = "cached", "direct"  # `direct`: whole forward passes, of a network that cannot be cut


def answers(model: Classifier, batches: Batches, decide: Decide) -> np.ndarray:
    """Answers (N,) of the intact classifier."""
    with torch.inference_mode(), ieee_fp32():
        return _joined([decide(model(batch())) for batch in batches])


def answers_without(
    model: Classifier, layer: str, channels: int, batches: Batches, decide: Decide, way: str | None = None
) -> tuple[np.ndarray, np.ndarray, str]:
    """Answers with each channel of a layer zeroed in turn.

    The part of the network before the layer runs once for a batch, and what follows once for each channel; a channel
    that is zero in the whole batch is not run. On the CPU the logits have the bits of whole forward passes.

    Args:
        model: in eval mode.
        layer: of its architecture, with output (B, C, ...).
        channels: C.
        batches: the N images.
        decide: answers of logits.
        way: CACHED or DIRECT; None: cached where the network can be cut.

    Returns:
        Answers of the intact network (N,), without each channel (C, N), and the way that was gone.
    """
    before: list[Tensor] = []
    after: list[Tensor] = []
    with torch.inference_mode(), ieee_fp32():
        parts = None if way == DIRECT else halves(model.network, layer)
        if parts and batches and not is_exact(parts, model.network, model.normalise(batches[0]()[:_COMPARED])):
            parts = None
        for batch in batches:
            images = model.normalise(batch())
            if not parts:
                before.append(decide(model.network(images)))
                after.append(torch.stack([_direct(model, layer, c, images, decide) for c in range(channels)]))
                continue
            output, *others = parts[0](images)
            before.append(decide(parts[1]((output.clone(), *_copies(others)))))
            alive = (output.flatten(2) if output.ndim > 2 else output[..., None]).ne(0).any(2).any(0).tolist()
            found = before[-1].repeat(channels, *[1] * before[-1].ndim).reshape(channels, *before[-1].shape)
            for channel in np.flatnonzero(alive[:channels]).tolist():
                found[channel] = decide(parts[1]((without(output, channel), *_copies(others))))
            after.append(found)
    missing = np.empty((channels, 0), np.int64)
    return _joined(before), _joined(after, 1) if after else missing, CACHED if parts else DIRECT


def _direct(model: Classifier, layer: str, channel: int, images: Tensor, decide: Decide) -> Tensor:
    with zeroed(model.network, layer, channel):
        return decide(model.network(images))


def _copies(values: Sequence[object]) -> list[object]:
    """What is handed on may be changed in place."""
    return [value.clone() if isinstance(value, Tensor) else value for value in values]


def _joined(parts: Sequence[Tensor], dim: int = 0) -> np.ndarray:
    return torch.cat(list(parts), dim).cpu().numpy() if parts else np.empty(0, np.int64)
