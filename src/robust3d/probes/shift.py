"""Accuracy, without attack, on a set and on one that breaks what goes with the classes there (Geon3D section 5.2)."""

from typing import TYPE_CHECKING

from robust3d.probes.accuracy import Params, right_and_wrong

if TYPE_CHECKING:
    from robust3d.probes import Findings, Subject

__all__ = ["Params", "SETS", "probe"]

SETS = ("set", "shifted")


def probe(params: Params, subject: "Subject") -> "Findings":
    """Whether the classifier is right about each image of both sets."""
    return right_and_wrong(subject, SETS, params.batch_size)
