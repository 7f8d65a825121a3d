"""Published answers to the cue-conflict pictures, of people and of networks (Geirhos et al. 2019, `raw-data/`).

A trial is one answer of one observer to one picture. `…_00_cat7-bear1.png` is a cat in the texture of a bear.
"""

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from robust3d.data.cues import decisions
from robust3d.data.imagenet16 import CLASSES, cues_of
from robust3d.data.published.text import read_text
from robust3d.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("subj", "session", "trial", "object_response", "category", "imagename")
NO_ANSWER = "na"  # of a person, in time; a decision for neither cue
_LARGEST = 64 << 20


def read_trials(path: Path) -> "pd.DataFrame":
    """The trials of a file, or of all .csv files of a folder.

    Returns:
        One row per trial: `subject`, `session`, `trial`, `file` of the picture, `shape`, `texture`, `answer` and
        `decision` (shape, texture, neither, or "same cue"); `robust3d.data.cues.shares` counts the decisions.

    Raises:
        UserError: no such file, another kind of file, an unknown class, two files of one session; the message names
            file, line and value.
    """
    import pandas as pd

    files = sorted(path.glob("*.csv")) if path.is_dir() else [path]
    if not files:
        raise UserError(f"{path}: no .csv file of trials in it")
    table = pd.concat([_read_file(file) for file in files], ignore_index=True)
    if (twice := table.duplicated(["subject", "session", "trial"])).any():
        row = table[twice].iloc[0]
        raise UserError(f"{path}: two trials {row['trial']} in session {row['session']} of {row['subject']!r}")
    numbers = {name: number for number, name in enumerate((*CLASSES, NO_ANSWER))}
    found = (table[column].map(numbers).to_numpy(np.int64) for column in ("answer", "shape", "texture"))
    return table.assign(decision=decisions(*found))


def _read_file(path: Path) -> "pd.DataFrame":
    import pandas as pd

    try:
        rows = list(csv.DictReader(io.StringIO(read_text(path, _LARGEST)), restval="", strict=True))
    except csv.Error as error:
        raise UserError(f"{path}: not a table of comma-separated values ({error}); copy it again") from None
    if absent := [column for column in COLUMNS if not rows or column not in rows[0]]:
        raise UserError(f"{path}: no column {absent[0]!r}; tables of trials have {', '.join(COLUMNS)}")
    found = []
    for line, row in enumerate(rows, 2):
        at = f"{path}, line {line}"
        try:
            shape, texture = cues_of(file := row["imagename"].rpartition("_")[2])
        except UserError as error:
            raise UserError(f"{at}: imagename: {error}") from None
        if row["category"] != shape:
            raise UserError(f"{at}: category is {row['category']!r}, but {row['imagename']} shows the shape {shape}")
        if (answer := row["object_response"]) not in (*CLASSES, NO_ANSWER):
            known = ", ".join((*CLASSES, NO_ANSWER))
            raise UserError(f"{at}: object_response is {answer!r}, which is not among {known}")
        found.append((row["subj"], row["session"], row["trial"], file, shape, texture, answer))
    return pd.DataFrame(found, columns=["subject", "session", "trial", "file", "shape", "texture", "answer"])
