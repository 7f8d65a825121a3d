"""Cells of numbers that the probe `dissection` gives: which of them are void, and which chance alone gives too."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from robust3d.papers.shapebias import compared

if TYPE_CHECKING:
    from robust3d.papers.shapebias.compared import Probed
    from robust3d.provenance.runner import Context

BY_CHANCE = "not beyond chance: with the labels of other images it is as large in 1 of 20 cases or more"


def detected_cell(
    job: "Context", model: "Probed", baseline: "Probed", number: Callable[..., float], *keys: str
) -> dict[str, Any]:
    """As `compared.seeds_cell`, of a number that grows with what units detect.

    Its cell has `by_chance`, the same mean over networks with the labels of other images, for each relabelling, and a
    flag where it is not larger than all of them. Where a dissection is void there is no number, and a flag says why.
    """

    def known(metrics: dict[str, Any], *keys: str) -> float | None:
        return None if metrics["void"] else number(metrics, *keys)

    facts = compared.seeds_cell(job, model, baseline, known, *keys)
    facts["whole_images"] = model.metrics[0]["whole_images"]
    if void := void_flags(model, baseline):
        return {**facts, "flags": [*facts["flags"], *void]}
    facts["by_chance"] = means_by_chance([found["by_chance"] for found in model.metrics], number, *keys)
    return {**facts, "flags": [*facts["flags"], *chance_flags(facts["value"], facts["by_chance"])]}


def chance_flags(value: float, by_chance: Sequence[float]) -> list[str]:
    """The flag of a number that is no larger than with each relabelling."""
    return [BY_CHANCE] if value <= max(by_chance, default=0) else []


def means_by_chance(
    relabelled: Sequence[Sequence[dict[str, Any]]], number: Callable[..., float], *keys: str
) -> list[float]:
    """A number with the labels of other images, for each relabelling the mean over networks.

    Args:
        relabelled: of each network what it detects with each relabelling.
        number: of such findings and `keys`.
        keys: such as that of a layer.
    """
    return [sum(number(found, *keys) for found in one) / len(one) for one in zip(*relabelled, strict=True)]


def void_flags(*models: "Probed") -> list[str]:
    """Why dissections of some networks are void, each reason once."""
    found = [metrics["void"] for model in models for metrics in model.metrics if metrics["void"]]
    return list(dict.fromkeys(found))
