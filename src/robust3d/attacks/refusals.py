"""Checks before an attack: refuses images, labels, budgets and models whose robust accuracy would be wrong."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from robust3d.attacks.params import AutoAttackParams

EXAMPLES = 4  # images that are evaluated alone and in a batch
ALONE = 0.01  # of the logits' range: more than the rounding of half precision
REPEATED = 1e-4  # of the logits' range: allowed difference of repeated passes
ROUNDING = 32  # units in the last place of a logit: difference that is always allowed
Model = Callable[[Tensor], Tensor]


def checked_labels(labels: Tensor, images: Tensor) -> Tensor:
    """Labels as (N,) int64 on the images' device; integers of every type are accepted.

    Raises:
        ValueError: they are not one class index per image.
    """
    labels = torch.as_tensor(labels)
    if labels.ndim == 2 and len(labels) == len(images) and labels.shape[1] > 1:
        raise ValueError(
            f"labels of shape {tuple(labels.shape)} look one-hot; class indices are needed: labels.argmax(1)"
        )
    if labels.shape != images.shape[:1]:
        raise ValueError(f"labels must be one class index for each of {len(images)} images, got {tuple(labels.shape)}")
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise ValueError(f"labels must be whole numbers (class indices), got {labels.dtype}")
    return labels.to(images.device, torch.int64)


def check_input(images: Tensor, ids: Sequence[int], params: AutoAttackParams) -> None:
    """Refuse images that are not (N,C,H,W) fp32 in [0,1], ids that do not fit them, and budgets beyond the box.

    Raises:
        ValueError: what is wrong.
    """
    if images.ndim != 4 or len(images) == 0 or len(images) != len(ids):
        raise ValueError(f"need (N,C,H,W) images, got {tuple(images.shape)} and {len(ids)} ids")
    if len(set(ids)) < len(ids):
        raise ValueError("image_ids must differ from each other: the random draws are keyed by them")
    if images.dtype != torch.float32 or not bool(((images >= 0) & (images <= 1)).all()):
        raise ValueError("images must be float32 in [0,1]; divide uint8 images by 255")
    across, largest = math.sqrt(images[0].numel()), params.epsilons[-1]
    if params.norm == "L2" and largest > across:
        raise ValueError(
            f"L2 {largest:g} is more than {across:.4g}, the largest distance of two images of this size with "
            f"pixels in [0,1]; did you mean {largest:g}/255?"
        )


def check_labels_of(logits: Tensor, labels: Tensor, ids: Sequence[int]) -> None:
    """Refuse labels that are no class, and clean images on which the model gives NaN or infinity.

    Args:
        logits: (N,K) of the clean images.
        labels: (N,) int64.
        ids: of the images, for the message.

    Raises:
        ValueError: which images, and what is wrong.
    """
    classes = logits.shape[1]
    strange = (labels < 0) | (labels >= classes)
    if bool(strange.any()):
        raise ValueError(
            f"label {int(labels[strange][0])} of image {_some(strange, ids)} is none of the model's {classes} classes, "
            f"0 … {classes - 1}"
        )
    strange = ~logits.isfinite().all(1)
    if bool(strange.any()):
        raise ValueError(
            f"the model gives logits that are NaN or infinite on {int(strange.sum())} of {len(logits)} clean images "
            f"(image {_some(strange, ids)}); look for weights or statistics that are not finite, for overflow, and for "
            "classes that are masked with infinity (use -1e4)"
        )


def _some(chosen: Tensor, ids: Sequence[int]) -> str:
    places = chosen.nonzero().flatten().tolist()
    return ", ".join(str(ids[place]) for place in places[:5]) + (", …" if len(places) > 5 else "")


def check_model(model: Model, images: Tensor) -> None:
    """Refuse a model whose logits depend on other images of the batch, or that gives the attacks no gradient.

    A model whose logits for the same batch differ is accepted: `Flags.randomised` reports it.

    Args:
        model: frozen.
        images: (N,C,H,W) some of the images to attack.

    Raises:
        ValueError: what the model does, and the usual cause.
    """
    images = images[:EXAMPLES]
    batch = torch.cat([images, 1 - images])
    with torch.no_grad():
        given = batch.clone()
        try:
            logits = model(given)
        except Exception as error:
            raise ValueError(f"the model fails on images {tuple(batch.shape)} = (N,C,H,W): {error}") from error
        _check_logits(logits, len(batch))
        if not torch.equal(given, batch):
            raise ValueError("the model changes its input images in place; let its forward work on a copy of them")
        randomised = not close(model(batch.clone()), logits, REPEATED)
    found = logits[: len(images)]
    if not randomised:
        _check_alone(model, images, found)
    _check_gradient(model, images, None if randomised else found)


def _check_logits(logits: Any, count: int) -> None:
    if isinstance(logits, dict):
        found, cure = f"a dict ({', '.join(map(str, logits))})", f"model(images)[{next(iter(logits), 'logits')!r}]"
    elif isinstance(logits, tuple | list):
        found, cure = f"a {type(logits).__name__} of {len(logits)}", "model(images)[0]"
    elif not isinstance(logits, Tensor):
        found, cure = f"a {type(logits).__name__}", "model(images).logits"
    elif logits.ndim != 2 or len(logits) != count or not logits.is_floating_point():
        found, cure = f"{logits.dtype} of shape {tuple(logits.shape)} for {count} images", "model(images).flatten(1)"
    else:
        return
    raise ValueError(f"the model must return logits (N,K), not {found}; wrap it, e.g. in lambda images: {cure}")


def close(a: Tensor, b: Tensor, tolerance: float) -> bool:
    """Whether logits (N,K) are equal up to a share of their range, and up to rounding.

    The range is the largest change of a logit between images: parts that all images share, such as an offset or -1e9
    for masked classes, may be a million times as large and do not matter. One image alone has no such range: then it is
    the median distance of its logits from their median. Another check handles logits that are not finite.
    """
    unit = max(torch.finfo(dtype).eps for dtype in (torch.float32, a.dtype, b.dtype))
    known = b.double().nan_to_num(0, 0, 0)
    apart = (a.double() - b.double()).nan_to_num(0, 0, 0).abs()
    spread = (known.amax(0) - known.amin(0)).amax()
    if len(known) == 1:
        spread = (known - known.median()).abs().median()
    return bool((apart <= tolerance * spread + ROUNDING * unit * known.abs()).all())


def _check_alone(model: Model, images: Tensor, in_batch: Tensor) -> None:
    cause = (
        "a batch norm in training mode or without running statistics does that, and dynamic quantisation; "
        "call eval() on all that it calls"
    )
    try:
        with torch.no_grad():
            alone = torch.cat([model(image[None].clone()) for image in images])
    except Exception as error:
        raise ValueError(f"the model cannot take a single image ({error}); {cause}") from error
    if not close(alone, in_batch, ALONE):
        apart = float((alone - in_batch).nan_to_num(0, 0, 0).abs().amax())
        raise ValueError(
            f"the logits of an image depend on other images in its batch or on earlier calls (by {apart:.3g}): {cause}"
        )


def _check_gradient(model: Model, images: Tensor, without: Tensor | None) -> None:
    """Refuse a model that cannot be differentiated, or whose logits differ when gradients are enabled."""
    x = images.clone().requires_grad_()
    cause = "there is a no_grad, inference_mode, detach or rounding between them"
    try:
        with torch.enable_grad():
            logits = model(x)
            (gradient,) = torch.autograd.grad(logits.sum(), [x], allow_unused=True)
    except RuntimeError as error:
        if "does not require grad" in str(error):
            raise ValueError(f"no gradient leads from the logits to the images: {cause}") from error
        raise ValueError(f"the model cannot be differentiated: {error}") from error
    if gradient is None:
        raise ValueError(f"no gradient leads from the logits to the images: {cause}")
    if without is not None and not close(logits.detach(), without, ALONE):
        raise ValueError("the model gives other logits when gradients are enabled: it calls is_grad_enabled() itself")
