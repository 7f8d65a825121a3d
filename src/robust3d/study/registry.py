"""Finds the module behind a name in the configuration: a shape family, a pre-training, a table, a figure.

This is the only place that imports by name. Whatever it can reach for a job stands in that job's code digest
(see `robust3d.study.closure`), so a plug-in is tracked like any other code.
"""

import importlib
import importlib.util
import pkgutil
from types import ModuleType

from robust3d.errors import UserError

PACKAGES = {
    "family": "robust3d.shapes",
    "pretraining": "robust3d.pretraining",
    "table": "robust3d.tables",
    "figure": "robust3d.figures",
    "stage": "robust3d.stages",
}


def module_name(kind: str, name: str) -> str:
    """The dotted name of the module that implements `name`."""
    return f"{PACKAGES[kind]}.{name}"


def load(kind: str, name: str) -> ModuleType:
    """Import the module that implements `name`.

    Raises:
        UserError: no such module; the message lists those that exist.
    """
    if not name.isidentifier() or importlib.util.find_spec(module_name(kind, name)) is None:
        package = importlib.import_module(PACKAGES[kind])
        known = sorted(m.name for m in pkgutil.iter_modules(package.__path__))
        raise UserError(f"there is no {kind} called {name!r}: {PACKAGES[kind]} has {', '.join(known)}")
    return importlib.import_module(module_name(kind, name))
