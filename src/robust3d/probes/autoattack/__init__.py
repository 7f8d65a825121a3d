"""AutoAttack over a grid of budgets: whether each image can be fooled within each of them."""

from typing import TYPE_CHECKING

from robust3d.attacks.params import AutoAttackParams as Params

if TYPE_CHECKING:
    from robust3d.probes import Findings, Subject

__all__ = ["PACKAGES", "Params", "probe"]

PACKAGES = ("pyautoattack",)  # one of the backends


def probe(params: Params, subject: "Subject") -> "Findings":
    """One outcome an image and budget, from which tables and curves are made."""
    from robust3d.probes.autoattack.sweep import attack  # planning imports this module and needs no torch

    return attack(params, subject)
