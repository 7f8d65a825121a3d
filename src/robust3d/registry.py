"""Finds the module behind a name: a family, a set, an architecture, a pre-training, a training, a probe, a paper.

This is the only place that imports by name. Every module that it loads for a job is part of the job's code digest
(see `robust3d.study.closure`), so plug-ins are tracked like other code.
"""

import importlib
import importlib.util
import pkgutil
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from robust3d.errors import UserError

PACKAGES = {
    "family": "robust3d.shapes",
    "published": "robust3d.families",
    "set": "robust3d.imagesets",
    "pretraining": "robust3d.pretraining",
    "training": "robust3d.trainings",
    "probe": "robust3d.probes",
    "architecture": "robust3d.architectures",
    "paper": "robust3d.papers",
    "stage": "robust3d.stages",
}
MAIN = "geon3d"  # the main paper
TOP_LEVEL = (MAIN, "comparison")  # packages of papers whose targets need no prefix


def module_name(kind: str, name: str) -> str:
    """The dotted name of the module that implements `name`; a family is either built here or published.

    For a paper it is the module of its section of the configuration. A table or figure is called `table4` in the
    packages of `TOP_LEVEL`, `shapebias/table1` in others.
    """
    if kind == "target":
        return f"{PACKAGES['paper']}.{paper_of(name)}.{name.rpartition('/')[2]}"
    if kind == "paper":
        return f"{PACKAGES['paper']}.{name}.section"
    if kind == "family" and (Path(__file__).parent / "families" / f"{name}.py").exists():
        kind = "published"  # by its file: importing either package would add unrelated code to the job's closure
    return f"{PACKAGES[kind]}.{name}"


def paper_of(target: str) -> str:
    """The package of papers that a target belongs to, which it names unless it is one of `TOP_LEVEL`."""
    paper, _, name = target.rpartition("/")
    folder = Path(__file__).parent / "papers"  # by its file, as for families: a job imports its own package only
    return paper or next((one for one in TOP_LEVEL if (folder / one / f"{name}.py").exists()), MAIN)


def load(kind: str, name: str) -> ModuleType:
    """Import the module that implements `name`.

    Raises:
        UserError: no such module; the message lists those that exist.
    """
    if not all(part.isidentifier() for part in name.split("/")) or not _is_there(module_name(kind, name)):
        packages = [PACKAGES[kind], *([PACKAGES["published"]] if kind == "family" else [])]
        known = sorted(found for package in packages for found in _modules(package))
        raise UserError(f"there is no {kind} called {name!r}: {' and '.join(packages)} have {', '.join(known)}")
    return importlib.import_module(module_name(kind, name))


def packages(plugins: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The packages that modules, as (kind, name), need in addition to their stage's: their `PACKAGES`."""
    return tuple(name for plugin in plugins for name in getattr(load(*plugin), "PACKAGES", ()))


def probe_sets(name: str) -> tuple[str, ...]:
    """The names of the image sets that a probe reads."""
    return tuple(getattr(load("probe", name), "SETS", ("set",)))


def optional_sets(name: str, given: Iterable[str] = ()) -> tuple[str, ...]:
    """The names of further image sets that a probe reads where its entry names them: with "any" those `given`."""
    known = getattr(load("probe", name), "OPTIONAL_SETS", ())
    return tuple(one for one in given if one not in probe_sets(name)) if known == "any" else tuple(known)


def names(kind: str) -> list[str]:
    """Names of one kind that `load` accepts."""
    return sorted(_modules(PACKAGES[kind]))


def _modules(package: str) -> list[str]:
    return [module.name for module in pkgutil.iter_modules(importlib.import_module(package).__path__)]


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # its package does not exist either
        return False
