"""Which names users may ask for, and the closest ones to a name that is none."""

import difflib
from collections.abc import Sequence
from pathlib import Path

from robust3d.errors import UserError
from robust3d.study.plan import FIGURES, RESULTS, TABLES, published_paths, target_path


def target_name(path: str) -> str:
    """The table or figure behind a stable path: `table4` of ``results/table4.csv``.

    Raises:
        UserError: there is none; the message names those closest to it.
    """
    stem = Path(path).name.partition(".")[0]
    if stem not in (*TABLES, *FIGURES) or Path(path).parent != Path(RESULTS):
        raise UserError(no_target(path))
    return stem


def no_target(name: str, others: Sequence[str] = ()) -> str:
    """What to tell of a name that is no target.

    Args:
        name: as asked for.
        others: names that may be asked for besides tables and figures.
    """
    asked_for = [target_path(target) for target in (*TABLES, *FIGURES)]
    files = [path for target in (*TABLES, *FIGURES) for path in published_paths(target).values()]
    stem = Path(name).name.partition(".")[0]
    known = stem in (*TABLES, *FIGURES)
    close = [target_path(stem)] if known else difflib.get_close_matches(name, [*files, *others], n=3, cutoff=0.75)
    if close:
        return f"{name}: no such target; did you mean {' or '.join(close)}?"
    return f"{name}: no such target; there are {', '.join([*asked_for, *others])}"
