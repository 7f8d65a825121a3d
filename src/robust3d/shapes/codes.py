"""The 40 geon codes of Geon3D (Figure 8), the ten paper names, and the features that tell geons apart.

A code is ``axis_section_sweep_termination``. The letter c means something else in each place (curved axis,
curved-edged section, constant sweep, curved-surface end), so codes are only ever taken apart by position.
"""

from collections.abc import Iterable
from itertools import combinations, product
from typing import NamedTuple

# One entry a value, in the order of Table 1: letter in the code -> (letter in Table 1, meaning).
AXES = {"s": ("S", "straight"), "c": ("C", "curved")}
SECTIONS = {"s": ("S", "straight-edged"), "c": ("C", "curved-edged")}
SWEEPS = {
    "c": ("Co", "constant"),
    "m": ("M", "monotonic"),
    "ec": ("EC", "expand and contract"),
    "ce": ("CE", "contract and expand"),
}
TERMINATIONS = {
    "t": ("T", "truncated"),
    "na": ("T", "truncated"),  # the code of a constant sweep; section 3 calls such a geon (Arch) truncated
    "p": ("P", "ends in a point"),
    "c": ("CS", "ends as a curved surface"),
    "c-inc": ("CS", "ends as a curved surface"),  # at the large end
    "c-dec": ("CS", "ends as a curved surface"),  # at the small end
}

# The endings of Figure 8. A constant sweep has one; contract-and-expand is widest at its ends, so no point.
ENDINGS = ("c_na", "ce_c", "ce_t", "ec_c", "ec_p", "ec_t", "m_c-dec", "m_c-inc", "m_p", "m_t")
CODES: tuple[str, ...] = tuple("_".join(parts) for parts in product("cs", "cs", ENDINGS))

# The ten geons with names, in the order of appendix A.
NAMES: dict[str, str] = {
    "arch": "c_s_c_na",
    "barrel": "s_c_ec_t",
    "cone": "s_c_m_p",
    "cuboid": "s_s_c_na",
    "cylinder": "s_c_c_na",
    "truncated_cone": "s_c_m_t",
    "handle": "c_c_c_na",
    "expanded_handle": "c_c_m_t",
    "horn": "c_c_m_p",
    "truncated_pyramid": "s_s_m_t",
}


class Geon(NamedTuple):
    """The four latent features of a geon, each as the letters of its code."""

    axis: str
    section: str
    sweep: str
    termination: str


FEATURES: dict[str, dict[str, tuple[str, str]]] = dict(zip(Geon._fields, (AXES, SECTIONS, SWEEPS, TERMINATIONS)))


def code_of(name: str) -> str:
    """The code of a geon given by paper name in snake case or by the code itself.

    Raises:
        ValueError: if there is no such geon.
    """
    code = NAMES.get(name, name)
    if code not in CODES:
        names = ", ".join(NAMES)
        raise ValueError(f"unknown geon class {name!r}: use one of {names}, or a code of Figure 8 such as {CODES[1]!r}")
    return code


def parse(name: str) -> Geon:
    """The features of a geon given by name or code."""
    return Geon(*code_of(name).split("_"))


def features(name: str) -> Geon:
    """The features as section 3 compares them: a constant sweep's ``na`` counts as truncated."""
    geon = parse(name)
    return geon._replace(termination="t") if geon.termination == "na" else geon


def differences(first: str, second: str) -> tuple[str, ...]:
    """Names of the features in which two geons differ."""
    return tuple(field for field, a, b in zip(Geon._fields, features(first), features(second)) if a != b)


def one_feature_pairs(names: Iterable[str]) -> list[tuple[str, str, str]]:
    """All pairs of geons that differ in exactly one feature, as (first, second, feature)."""
    pairs = []
    for first, second in combinations(names, 2):
        different = differences(first, second)
        if len(different) == 1:
            pairs.append((first, second, different[0]))
    return pairs
