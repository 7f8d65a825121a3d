"""Table 2 of the Geon3D paper: all pairs of the ten named geons that differ in one feature."""

from typing import TYPE_CHECKING

from robust3d.papers.geon3d.table1 import LABELS, sources
from robust3d.shapes.codes import NAMES, differences, one_feature_pairs
from robust3d.tables.cells import text_cells, write_table

if TYPE_CHECKING:
    import pandas as pd

    from robust3d.provenance.runner import Context

__all__ = ["rows", "sources", "write"]

# The pairs as printed, in the paper's order: class names here, then the paper's words.
PRINTED: dict[tuple[str, str], str] = {
    ("cone", "horn"): "Cone vs. Horn",
    ("handle", "arch"): "Handle vs. Arch",
    ("cuboid", "cylinder"): "Cuboid vs. Cyllinder",
    ("truncated_pyramid", "truncated_cone"): "T. Pyramid vs. T. Cone",
    ("cuboid", "truncated_pyramid"): "Cuboid vs. Pyramid",
    ("barrel", "truncated_cone"): "Barrel vs. T. Cone",
    ("horn", "expanded_handle"): "Horn vs. E. Handle",
}


def _short(name: str) -> str:
    """A class name as Table 2 abbreviates it."""
    return name.replace("truncated_", "T. ").replace("expanded_", "E. ").title()


def _pyramid_note() -> str:
    """Explains why the printed row means the truncated pyramid."""
    features = " and ".join(LABELS[feature].lower() for feature in differences("cuboid", "s_s_m_p"))
    return (
        "Printed with 'Pyramid', which is none of the ten classes: a pyramid that ends in a point (s_s_m_p) "
        f"differs from the cuboid in {features}. Read as the truncated pyramid, it differs in one feature if "
        "the code 'na' of the cuboid's constant sweep counts as truncated, as section 3 does with the arch."
    )


def rows() -> "pd.DataFrame":
    """One row a pair: the feature that differs, both codes, and the paper's printed row, if any.

    The printed pairs come first, in the paper's order, then the others in the order of the classes.
    """
    found = {frozenset(pair[:2]): pair for pair in one_feature_pairs(NAMES)}
    printed = {frozenset(pair): pair for pair in PRINTED}
    table = []
    for key in [pair for pair in printed if pair in found] + [pair for pair in found if pair not in printed]:
        first, second = printed.get(key, found[key][:2])
        table.append(
            {
                "Geon Category": f"{_short(first)} vs. {_short(second)}",
                "Difference": LABELS[found[key][2]],
                "Codes": f"{NAMES[first]} {NAMES[second]}",
                "Printed": key in printed,
                "As printed": PRINTED.get((first, second), ""),
                "note": _pyramid_note() if key == frozenset(("cuboid", "truncated_pyramid")) else "",
            }
        )
    import pandas as pd

    return pd.DataFrame(table).set_index("Geon Category")


def write(job: "Context") -> None:
    """Write the table and its cells."""
    table = rows()
    caption = "Pairs of the ten named geons that differ in one latent feature."
    write_table(job, table, caption, text_cells(table, "differences of the two codes, `na` counted as truncated"))
