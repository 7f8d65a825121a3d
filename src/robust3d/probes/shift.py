"""Accuracy without attack, on a set and on one with backgrounds not correlated with the class (Geon3D section 5.2)."""

from typing import TYPE_CHECKING

from robust3d.probes.accuracy import Params, right_and_wrong

if TYPE_CHECKING:
    from robust3d.probes import Findings, Subject

__all__ = ["Params", "SETS", "probe"]

SETS = ("set", "shifted")


def probe(params: Params, subject: "Subject") -> "Findings":
    """Whether each image of both sets is classified correctly."""
    return right_and_wrong(subject, SETS, params.batch_size)
