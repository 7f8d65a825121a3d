"""What `robust3d evaluate` says of its outcomes, for people and for programs."""

from dataclasses import asdict
from importlib import metadata
from typing import Any

from robust3d.attacks.budgets import label
from robust3d.attacks.outcomes import Outcomes
from robust3d.attacks.params import AutoAttackParams
from robust3d.evaluate.images import Given
from robust3d.evaluate.networks import Network
from robust3d.tables.statistics import interval

PACKAGES = ("torch", "torchvision", "numpy", "pyautoattack", "timm")


def input_lines(network: Network, images: str, given: Given) -> list[str]:
    """What is attacked or probed, and on which images: weights, normalisation, images, how they were scaled."""
    lines = [f"weights                {network.published.name if network.published else network.path}"]
    lines += [f"normalisation          {network.model.normalisation}", f"images                 {images}"]
    if given.preparation:
        resize, side = given.preparation["resize_px"], given.preparation["resolution_px"]
        lines.append(f"preparation            shorter side to {resize} px, then the centre {side} x {side} px")
    return lines


def accuracy_lines(outcomes: Outcomes, given: Given) -> list[str]:
    """One line for the clean images and for each budget, with 95 % intervals over images."""
    clean = _share(outcomes.predictions == outcomes.labels) if given.labels is not None else "no labels to compare with"
    lines = [f"clean                  {clean}"]
    for epsilon, robust in zip(outcomes.epsilons, outcomes.robust.T, strict=True):
        shown = "not valid" if outcomes.flags.invalid else _share(robust)
        lines.append(f"{label(outcomes.norm, epsilon):22} {shown}")
    return [*lines, f"at a huge budget       {100 * outcomes.sanity_accuracy:6.2f} %   (should be about 0)"]


def _share(right: Any) -> str:
    found = interval([right])
    low, high = 100 * found["low"], 100 * found["high"]
    return f"{100 * float(right.mean()):6.2f} %   ({low:.1f} to {high:.1f}, {int(right.sum())} of {len(right)})"


def warnings(outcomes: Outcomes, given: Given) -> list[str]:
    """What makes the numbers doubtful, and why they are not valid if they are not."""
    flags, found = outcomes.flags, [f"warning: {notice}" for notice in given.notices]
    for name, flag in asdict(flags).items():
        if name == "at_chance" and flag:
            found.append(
                "warning: CLEAN ACCURACY IS NOT ABOVE CHANCE. The usual causes: another normalisation than in training "
                "(--normalisation), another order of the classes, BGR instead of RGB, other preprocessing of the images"
            )
        elif name == "notices":
            found += [f"warning: {notice}" for notice in flag]
        elif flag and name != "invalid":
            found.append(f"warning: {name.replace('_', ' ')}: {flag}")
    return found + [f"not valid: {reason}" for reason in flags.invalid]


def as_json(
    outcomes: Outcomes, given: Given, network: Network, params: AutoAttackParams, images: str, seconds: float
) -> dict[str, Any]:
    """All of it; robust accuracies are null where they are not valid."""
    model, valid = network.model, not outcomes.flags.invalid
    robust = [
        {"budget": str(epsilon), "epsilon": float(epsilon)} | _facts(column if valid else None)
        for epsilon, column in zip(outcomes.epsilons, outcomes.robust.T, strict=True)
    ]
    return {
        "network": {
            "architecture": model.architecture.name,
            "classes": model.num_classes,
            "normalisation": model.normalisation,
            "weights": str(network.path),
            "sha256": network.sha256,
            "published": network.published.name if network.published else None,
        },
        "images": {
            "path": images,
            "number": given.count,
            "labels": given.labelled_by,
            "preparation": given.preparation,
        },
        "attack": params.model_dump(mode="json"),
        "clean": _facts(outcomes.predictions == outcomes.labels if given.labels is not None else None),
        "robust": robust,
        "sanity": {"epsilon": outcomes.sanity_epsilon, "accuracy": outcomes.sanity_accuracy},
        "flags": asdict(outcomes.flags) | {"images": list(given.notices)},
        "passes": {name: {"forwards": it.forwards, "backwards": it.backwards} for name, it in outcomes.cost.items()},
        "seconds": round(seconds, 1),
        "packages": _versions(),
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _facts(right: Any) -> dict[str, Any]:
    """Accuracy, how many are right, and its 95 % interval; nulls where there is none."""
    if right is None:
        return {"accuracy": None, "right": None, "interval": None}
    return {"accuracy": float(right.mean()), "right": int(right.sum()), "interval": interval([right])}
