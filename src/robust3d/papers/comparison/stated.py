"""What the five papers claim: each claim as differences in cells of their tables, and the sign they should have."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

# Patterns as of file names, any of which fits; or a condition.
Wanted = str | tuple[str, ...] | Callable[[Any], bool]


@dataclass(frozen=True)
class Claim:
    """One claim.

    Attributes:
        paper: its package.
        section: where the paper makes it.
        words: the claim, in ours.
        target: the table or figure whose cells speak of it.
        where: which of them: values of `row`, `column`, or another entry of a cell; `paper row` and `paper column` are
            those of the paper that it stands for.
        sign: that the mean of its differences should have.
        difference: the entry of a cell that holds it.
    """

    paper: str
    section: str
    words: str
    target: str
    where: Mapping[str, Wanted]
    sign: int = 1
    difference: str = "difference"

    def speaks_of(self, cell: Mapping[str, Any]) -> bool:
        """Whether a cell of the target holds one of its differences."""
        return bool(cell.get(self.difference)) and all(_fits(cell, name, wanted) for name, wanted in self.where.items())


def _fits(cell: Mapping[str, Any], name: str, wanted: Wanted) -> bool:
    of_paper = name.removeprefix("paper ")
    value = cell.get(name) if of_paper == name else cell.get("stands_for", {}).get(of_paper)
    if callable(wanted):
        return value is not None and wanted(value)
    return any(fnmatchcase(str(value), one) for one in ([wanted] if isinstance(wanted, str) else wanted))


_TO_AT, _TO_BASELINE = "difference_to_AT", "difference_to_baseline"
_ROBUST = ("*-R", "*-L2")  # networks of the shape-bias paper that are trained on attacked images alone
_ATTACKED: dict[str, Wanted] = {"epsilon": lambda epsilon: epsilon > 0}

CLAIMS = (
    Claim(
        "geon3d",
        "5.1",
        "On geons before textures, adversarial training against Linf is more robust from a 3D reconstruction (DVR) "
        "than from scratch, over all budgets",
        "figure6",
        {"row": "Linf", "column": "textured"},
        difference=_TO_AT,
    ),
    Claim(
        "geon3d",
        "5.1",
        "On geons before black and before textures, adversarial training against L2 is more robust from scratch than "
        "from a 3D reconstruction (DVR), on average over all budgets",
        "figure6",
        {"row": "L2", "column": ("black", "textured")},
        -1,
        _TO_AT,
    ),
    Claim(
        "geon3d",
        "5.2",
        "Adversarial training against L2 makes networks rely more on backgrounds that went with the classes than "
        "training against Linf",
        "table3",
        {"column": "*-L2"},
        -1,
        "difference_to_Linf",
    ),
    Claim(
        "geon3d",
        "5.2",
        "A network that starts from a 3D reconstruction (DVR) relies less on backgrounds that went with the "
        "classes in training",
        "table3",
        {"column": "DVR+AT-*"},
        difference=_TO_AT,
    ),
    Claim(
        "geon3d",
        "6",
        "Novel view synthesis (pixelNeRF) makes adversarial training on many categories more robust, over all budgets",
        "figure7",
        {"column": "PxN+AT", **_ATTACKED},
        difference=_TO_AT,
    ),
    Claim(
        "geon3d",
        "6",
        "A 3D reconstruction without 3D supervision (DVR) makes adversarial training on many categories more robust",
        "table4",
        {"column": "DVR+AT"},
        difference=_TO_AT,
    ),
    Claim(
        "geon3d",
        "7",
        "Starting from a 3D reconstruction (DVR, pixelNeRF) is more robust than from reconstructing the image "
        "(AE, VAE)",
        "table4",
        {"column": ("DVR+AT", "PxN+AT")},
        difference="difference_to_2D",
    ),
    Claim(
        "shapebias",
        "3.1",
        "Networks trained on attacked images decide by the shape more often than their standard partners",
        "shapebias/table2",
        {"row": _ROBUST, "column": "Shape"},
    ),
    Claim(
        "shapebias",
        "3.1",
        "Networks trained on clean and attacked images (AdvProp) decide by the shape more often than standard ones",
        "shapebias/table2",
        {"row": "*AdvProp PGD*", "column": "Shape"},
    ),
    Claim(
        "shapebias",
        "3.2.1",
        "Without the shape (scrambled tiles) robust networks lose more than standard ones",
        "shapebias/table3",
        {"row": _ROBUST, "column": "Scrambled"},
        -1,
    ),
    Claim(
        "shapebias",
        "3.2.2",
        "Without the texture (another style, black and white, silhouettes) robust networks are better",
        "shapebias/table3",
        {"row": _ROBUST, "column": ("Stylised", "B&W", "Silhouette")},
    ),
    Claim(
        "shapebias",
        "3.3.1",
        "Filters of robust networks are smoother",
        "shapebias/table4",
        {"row": _ROBUST, "column": "Mean TV"},
        -1,
    ),
    Claim(
        "shapebias",
        "3.3.2",
        "Fewer units of a robust network detect objects",
        "shapebias/figure6",
        {"row": _ROBUST, "column": "object"},
        -1,
    ),
    Claim(
        "prior3d",
        "4.1",
        "The 3D task makes frozen features more accurate on images whose texture or size is unusual",
        "prior3d/table1",
        {"row": "*+ 3D-Prior", "paper column": ("PUG-Texture", "PUG-Size")},
    ),
    Claim(
        "prior3d",
        "4.1",
        "The 3D task makes frozen features more accurate under a far focus and motion blur",
        "prior3d/table2",
        {"row": "*+ 3D-Prior", "paper column": ("far focus", "xy motion blur", "z motion blur")},
    ),
    Claim(
        "prior3d",
        "4.2",
        "The 3D task makes depth easier to read from frozen features",
        "prior3d/table3",
        {"row": "*+ 3D-Prior", "paper column": "NYU *"},
        -1,
    ),
    Claim(
        "prior3d",
        "4.3",
        "The 3D task makes decisions go with the shape more often",
        "prior3d/figure4",
        {"row": "*+ 3D-Prior"},
    ),
    Claim(
        "prior3d",
        "4.4",
        "A decoder without 3D helps less than the triplane",
        "prior3d/table4",
        {"paper row": "Ours w/o triplane"},
        -1,
    ),
    Claim(
        "prior3d",
        "4.4",
        "Without the distance to the start the representation is lost",
        "prior3d/table4",
        {"paper row": "Ours w/o L_dist"},
        -1,
    ),
    Claim(
        "winn3d",
        "3D Object Generation",
        "Shapes synthesised by introspection look like their class to another network, more "
        "than the noise that they start from",
        "winn3d/table4",
        {"row": "3DWINN-separate-multi", "column": "mean"},
        difference="difference_to_noise",
    ),
    Claim(
        "winn3d",
        "3D Object Classification",
        "Training on synthesised negatives classifies test shapes better",
        "winn3d/table5",
        {"row": "3DWINN", "column": "Test accuracy"},
        difference=_TO_BASELINE,
    ),
    Claim(
        "winn3d",
        "3D Object Classification",
        "Introspection without labels learns features that classify",
        "winn3d/table6",
        {"row": "3DWINN*", "column": "Test accuracy"},
        difference="difference_to_untrained",
    ),
    Claim(
        "winn3d",
        "Adversarial Examples",
        "Training on synthesised negatives withstands gradient attacks better",
        "winn3d/table7",
        {"row": "Adversarial error of 3DWINN", "column": ("FGSM", "I-FGSM *")},
        -1,
        _TO_BASELINE,
    ),
    Claim(
        "flatland",
        "4.2",
        "Pre-training on 3D objects transfers better than on fractals",
        "flatland/hypotheses",
        {"row": "3D is better than 2D at transfer*", "column": "difference"},
    ),
    Claim(
        "flatland",
        "4.3",
        "Pre-training on 3D objects predicts late visual areas better than on fractals",
        "flatland/hypotheses",
        {"row": "3D predicts * better than 2D*", "column": "difference"},
    ),
    Claim(
        "flatland",
        "4.3",
        "Pre-training on fractals predicts early visual areas better than on 3D objects",
        "flatland/hypotheses",
        {"row": "2D predicts * better than 3D*", "column": "difference"},
    ),
    Claim(
        "flatland",
        "4.4",
        "Without pose and light 3D objects transfer worse",
        "flatland/hypotheses",
        {"row": "* is better than * (section 4.4)", "column": "difference", "unit": "points"},
    ),
)
