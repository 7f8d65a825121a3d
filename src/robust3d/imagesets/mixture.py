"""Classes of several sets in one: the mixtures of "Beyond Flatland", Table 2.

Which classes enter is drawn from the study's seed and stands in the table. A class keeps its name behind that of its
set, `fractals-00012`. Names of two sets that agree up to the first `-`, such as `p0007` and `p0007-m3`, stand for one
object: it enters from one set only.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, PositiveInt, field_validator, model_validator

from robust3d.params import Params as Base
from robust3d.params import distinct

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from robust3d.data.images import ImageData


class Params(Base):
    """The sets, and how many classes of each."""

    kind: str = "mixture"
    parts: Annotated[tuple[str, ...], Field(min_length=2)]  # keys of `sets`, of one resolution
    classes: tuple[PositiveInt, ...] | None = None  # of each part; none: equal shares of the smallest part's number
    # (paper: of 1,000 classes 500 of each of two parts, 333 of each of three)
    needs_textures: bool = False  # of itself; its parts say it for themselves

    _parts = field_validator("parts")(distinct)

    @model_validator(mode="after")
    def _one_each(self) -> "Params":
        if self.classes is not None and len(self.classes) != len(self.parts):
            raise ValueError(f"classes: {len(self.classes)} numbers for {len(self.parts)} parts; give one each")
        return self


def draw(params: Mapping[str, Any], files: Mapping[str, Sequence[Path]], seed: int) -> "tuple[pd.DataFrame, list[str]]":
    """The table of the set: rows of the parts' tables, `part` and `row` saying which.

    Args:
        params: of the set; its `parts` are name, parameters and numbers of files of each part.
        files: `set`: the tables of the parts.
        seed: the study's seed.

    Raises:
        UserError: a part has too few classes, or too few are left because the others show their objects.
    """
    from robust3d.data.mixtures import mixed
    from robust3d.data.sets import read_noticed_set

    tables, notices = {}, []
    for part, path in zip(params["parts"], files["set"], strict=True):
        name = part["name"]
        tables[name], remarks = read_noticed_set(path)
        notices += [f"{name}: {remark}" for remark in remarks]
    return mixed(tables, params["classes"], seed), notices


def open_images(
    params: Mapping[str, Any], files: Mapping[str, Sequence[Path]], table: "pd.DataFrame", here: "np.ndarray"
) -> "ImageData":
    """Open rows of a mixture, each read as its part reads it.

    Args:
        params: of the set, as for `draw`.
        files: `set`: its table and those of the parts; `views`, `textures`, `images`: of one part after the other.
        table: the whole set.
        here: rows of it to open.
    """
    from robust3d.data.mixtures import open_mixture

    return open_mixture(params, files, table.iloc[here].reset_index(drop=True))
