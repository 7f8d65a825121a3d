"""Table 1 of the Geon3D paper: the latent features of geons and their values, read off the 40 codes."""

from typing import TYPE_CHECKING, Any

from robust3d.shapes.codes import CODES, FEATURES, parse
from robust3d.tables.cells import text_cells, write_table

if TYPE_CHECKING:
    import pandas as pd

    from robust3d.papers.geon3d.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

LABELS = {"axis": "Axis", "section": "Cross-section", "sweep": "Sweep function", "termination": "Termination"}


def rows() -> "pd.DataFrame":
    """One row a feature: the paper's letters, the letters of the codes, their meanings, and counts.

    The four columns are parallel lists with one entry per value. Only values that occur in a code are
    listed; ``Geons`` counts the codes that have it.
    """
    geons = [parse(code) for code in CODES]
    table = []
    for feature, values in FEATURES.items():
        used = [getattr(geon, feature) for geon in geons]
        letters: dict[str, list[str]] = {}
        for letter in values:
            if letter in used:
                letters.setdefault(values[letter][0], []).append(letter)
        table.append(
            {
                "Feature": LABELS[feature],
                "Values": ", ".join(letters),
                "Codes": ", ".join("/".join(group) for group in letters.values()),
                "Meaning": ", ".join(values[group[0]][1] for group in letters.values()),
                "Geons": ", ".join(str(sum(used.count(letter) for letter in group)) for group in letters.values()),
            }
        )
    import pandas as pd

    return pd.DataFrame(table).set_index("Feature")


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """No inputs: the table follows from definitions."""
    return {"study": plan.study.study}, {}, {}


def write(job: "Context") -> None:
    """Write the table and its cells."""
    table = rows()
    write_table(job, table, "Latent features of geons.", text_cells(table, "counted over the 40 codes of Figure 8"))
