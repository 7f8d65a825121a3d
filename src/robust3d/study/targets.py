"""Targets of users: the tables and figures of each paper, under stable names.

A target of the main paper or of the comparison is called `table4` with the file ``results/table4.csv``, one of another
paper `shapebias/table1` with ``results/shapebias/table1.csv``.
"""

import difflib
import functools
import importlib
import pkgutil
from collections.abc import Sequence
from pathlib import Path

from robust3d.errors import UserError
from robust3d.registry import MAIN, PACKAGES, TOP_LEVEL
from robust3d.study.stages import STAGES

RESULTS = "results"
_LISTS = {"TABLES": "table", "PLOTS": "plot", "PICTURES": "picture"}  # of a paper's package, and how they are shown


@functools.cache
def papers() -> tuple[str, ...]:
    """All papers, the main one first."""
    paths = importlib.import_module(PACKAGES["paper"]).__path__
    return tuple(sorted((module.name for module in pkgutil.iter_modules(paths)), key=lambda name: (name != MAIN, name)))


def paper_files() -> dict[str, Path]:
    """The configuration files of papers that have one of their own, `config.yaml` in the paper's package."""
    folders = [Path(path) for path in importlib.import_module(PACKAGES["paper"]).__path__]
    files = [(paper, folder / paper / "config.yaml") for paper in papers() for folder in folders]
    return {paper: path for paper, path in files if path.is_file()}


@functools.cache
def targets(paper: str) -> dict[str, str]:
    """The stage that makes each target of a paper: tables first, then figures by number."""
    package = importlib.import_module(f"{PACKAGES['paper']}.{paper}")
    stages = {declared.shown.as_a: stage for stage, declared in STAGES.items() if declared.shown}
    prefix = "" if paper in TOP_LEVEL else f"{paper}/"
    found = {f"{prefix}{name}": stages[shown] for key, shown in _LISTS.items() for name in getattr(package, key, ())}
    return dict(sorted(found.items(), key=lambda entry: (entry[1] != stages["table"], len(entry[0]), entry[0])))


def of_paper(paper: str) -> list[str]:
    """The targets that the name of a paper stands for: all but its `BY_NAME`, each made when asked for itself."""
    package = importlib.import_module(f"{PACKAGES['paper']}.{paper}")
    return [name for name in targets(paper) if name.rpartition("/")[2] not in getattr(package, "BY_NAME", ())]


def every_target() -> dict[str, str]:
    """The same for all papers."""
    return {name: stage for paper in papers() for name, stage in targets(paper).items()}


def target_stage(name: str) -> str:
    """The stage that makes a table or a figure.

    Raises:
        UserError: there is none of that name.
    """
    try:
        return every_target()[name]
    except KeyError:
        raise UserError(no_target(name)) from None


def output_path(stage: str, output: str, job: str) -> str:
    """The path of one output of a job."""
    return STAGES[stage].outputs[output].format(results=RESULTS, stage=stage, job=job)


def output_paths(stage: str, job: str) -> dict[str, str]:
    """The paths of all outputs of a job, the record last."""
    return {output: output_path(stage, output, job) for output in STAGES[stage].outputs}


def published_paths(name: str) -> dict[str, str]:
    """The stable paths of a table or a figure by output, the record last."""
    patterns = STAGES[target_stage(name)].published
    return {output: pattern.format(results=RESULTS, label=name) for output, pattern in patterns.items()}


def target_path(name: str) -> str:
    """The file that a user requests: a table's CSV, a figure's picture."""
    return next(iter(published_paths(name).values()))


def target_name(path: str) -> str:
    """The table or figure of a stable path: `table4` of ``results/table4.csv``.

    Raises:
        UserError: there is none; the message names the closest ones.
    """
    name = _stem(path) if Path(path).parts[:1] == (RESULTS,) else None
    if name not in every_target():
        raise UserError(no_target(path))
    return name


def _stem(path: str) -> str:
    """A path without suffix and without the results folder."""
    folder, name = Path(path).parent, Path(path).name.partition(".")[0]
    parts = folder.parts[1:] if folder.parts[:1] == (RESULTS,) else folder.parts
    return "/".join((*parts, name))


def no_target(name: str, others: Sequence[str] = ()) -> str:
    """Message about a name that is not a target.

    Args:
        name: as requested.
        others: further names that may be requested.
    """
    known = every_target()
    asked_for = [target_path(target) for target in known]
    files = [path for target in known for path in published_paths(target).values()]
    same = next((stem for stem in (_stem(name), Path(name).name.partition(".")[0]) if stem in known), None)
    close = [target_path(same)] if same else difflib.get_close_matches(name, [*files, *others], n=3, cutoff=0.75)
    if close:
        return f"{name}: no such target; did you mean {' or '.join(close)}?"
    return f"{name}: no such target; there are {', '.join([*asked_for, *others])}"
