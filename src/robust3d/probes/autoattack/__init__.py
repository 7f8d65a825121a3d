"""AutoAttack over a grid of budgets: whether each image can be fooled within each of them."""

from typing import TYPE_CHECKING

from robust3d.attacks.params import AutoAttackParams as Params

if TYPE_CHECKING:
    from robust3d.probes import Findings, Subject

__all__ = ["PACKAGES", "Params", "probe"]

PACKAGES = ("pyautoattack",)  # one of the backends


def probe(params: Params, subject: "Subject") -> "Findings":
    """One outcome per image and budget, the input of tables and curves."""
    from robust3d.probes.autoattack.sweep import attack  # not at the top: planning imports this module

    return attack(params, subject)
