"""Recorded responses that others publish: Brain-Score's assemblies, betas of the Natural Scenes Dataset, and RDMs."""

from robust3d.data.published.neural.brainscore import read_assembly
from robust3d.data.published.neural.nsd import Masked, read_betas
from robust3d.data.published.neural.rdms import read_rdms

__all__ = ["Masked", "read_assembly", "read_betas", "read_rdms"]
