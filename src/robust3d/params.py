"""Base of every parameter class: immutable, strict about types, closed to unknown keys; and paths in parameters."""

import os
import re
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Values = TypeVar("Values", bound=tuple[Any, ...] | None)


class Params(BaseModel):
    """A block of parameters; a library package owns its own and `robust3d.study` composes them.

    Fields carry a type, a default where one makes sense, bounds, and a comment with unit and source.
    A sequence is a tuple. Parameter modules import neither torch nor bpy: a dry run loads them all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def distinct(values: Values) -> Values:
    """The values, if each stands there once; none are.

    Raises:
        ValueError: one stands there twice.
    """
    if values is not None and len(set(values)) != len(values):
        raise ValueError(f"each may stand here once, got {', '.join(map(str, values))}")
    return values


def expanded(path: str) -> str:
    """A path with ``~`` and ``$VARIABLE`` written out.

    Done once, where the configuration is read: specs hold the path written out, so that a job means the same file on
    every node, whatever is set there. So users with other homes have other digests; a path from the project's root,
    such as ``resources/nmr``, keeps them the same.

    Raises:
        ValueError: an unknown user or a variable that is not set.
    """
    full = os.path.expandvars(os.path.expanduser(path))
    if full.startswith("~"):
        raise ValueError(f"{path}: there is no user {full.split('/')[0][1:]!r}; write the folder out")
    if unset := re.search(r"\$(\w+|\{[^}]*\}?)", full):
        raise ValueError(f"{path}: {unset[0]} is not set; set it, or write the folder out")
    return full


PathText = Annotated[str, AfterValidator(expanded)]
"""A file or folder in the configuration."""
FilePath = Annotated[Path, Field(strict=False), AfterValidator(lambda path: Path(expanded(str(path))))]
"""The same as a `Path`."""
