"""Tables 1 and 2 against what the paper prints."""

from robust3d.papers.geon3d import table1, table2
from robust3d.shapes.codes import NAMES

PRINTED = [
    ("Cone vs. Horn", "Axis"),
    ("Handle vs. Arch", "Cross-section"),
    ("Cuboid vs. Cyllinder", "Cross-section"),
    ("T. Pyramid vs. T. Cone", "Cross-section"),
    ("Cuboid vs. Pyramid", "Sweep function"),
    ("Barrel vs. T. Cone", "Sweep function"),
    ("Horn vs. E. Handle", "Termination"),
]
NOT_PRINTED = {
    "arch cuboid": "Axis",
    "cylinder handle": "Axis",
    "truncated_cone expanded_handle": "Axis",
    "barrel cylinder": "Sweep function",
    "cylinder truncated_cone": "Sweep function",
    "handle expanded_handle": "Sweep function",
    "cone truncated_cone": "Termination",
}


def test_table1_lists_the_values_as_printed() -> None:
    rows = table1.rows()
    assert rows["Values"].to_dict() == {
        "Axis": "S, C",
        "Cross-section": "S, C",
        "Sweep function": "Co, M, EC, CE",
        "Termination": "T, P, CS",
    }
    assert rows.loc["Termination", "Codes"] == "t/na, p, c/c-inc/c-dec"
    assert rows["Geons"].to_dict() == {
        "Axis": "20, 20",
        "Cross-section": "20, 20",
        "Sweep function": "4, 16, 12, 8",
        "Termination": "16, 8, 16",
    }


def test_table2_has_the_printed_pairs_with_the_printed_differences() -> None:
    rows = table2.rows()
    printed = rows[rows["Printed"]]
    assert list(zip(printed["As printed"], printed["Difference"])) == PRINTED


def test_table2_adds_the_seven_pairs_that_the_paper_leaves_out() -> None:
    rows = table2.rows()
    rest = rows[~rows["Printed"]]
    found = {frozenset(codes.split()): feature for codes, feature in zip(rest["Codes"], rest["Difference"])}
    expected = {frozenset(NAMES[n] for n in pair.split()): feature for pair, feature in NOT_PRINTED.items()}
    assert found == expected
    assert len(rows) == 14 and (rest["As printed"] == "").all()


def test_the_pyramid_row_is_explained_and_no_other_needs_it() -> None:
    notes = table2.rows()["note"]
    assert list(notes[notes != ""].index) == ["Cuboid vs. T. Pyramid"]
    assert "sweep function and termination" in notes["Cuboid vs. T. Pyramid"]
