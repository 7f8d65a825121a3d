"""What two probes say of the same units: how much decisions rest on units of each kind (Shape bias figure 8)."""

from collections.abc import Mapping
from typing import Any

from robust3d.errors import UserError

DETECTS = 0.04  # as in `robust3d.probes.dissection.units`
ALL = "all"


def scores_by_category(
    ablation: Mapping[str, Any], dissection: Mapping[str, Any], above: float = DETECTS
) -> dict[str, dict[str, float]]:
    """Mean shape and texture scores of all units and of the detectors in each category.

    Args:
        ablation: metrics of the probe `ablation`.
        dissection: metrics of the probe `dissection` of the same classifier.
        above: IoU above which a unit counts for its category; the paper does not say its own.

    Returns:
        For `ALL` and each category that has a unit: `units`, and the means `shape` and `texture`.

    Raises:
        UserError: they have no layer in common, or another number of units in one.
    """
    layers = [layer for layer in ablation["layers"] if layer in dissection["layers"]]
    if not layers:
        raise UserError("probes ablation and dissection: no layer in common; give both the same `layers`")
    groups: dict[str, list[tuple[int, int]]] = {ALL: []}
    for layer in layers:
        lost, labels = ablation["layers"][layer], dissection["layers"][layer]
        if len(lost["shape"]) != len(labels["category"]):
            raise UserError(
                f"probes ablation and dissection: {len(lost['shape'])} and {len(labels['category'])} units in {layer}; "
                "they are of different classifiers"
            )
        for shape, texture, kind, score in zip(
            lost["shape"], lost["texture"], labels["category"], labels["score"], strict=True
        ):
            groups[ALL].append((shape, texture))
            if score > above:
                groups.setdefault(kind, []).append((shape, texture))
    return {
        kind: {
            "units": len(found),
            "shape": sum(shape for shape, _ in found) / len(found),
            "texture": sum(texture for _, texture in found) / len(found),
        }
        for kind, found in groups.items()
    }
