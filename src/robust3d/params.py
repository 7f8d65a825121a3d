"""Base of every parameter class: immutable, strict about types, closed to unknown keys."""

from pydantic import BaseModel, ConfigDict


class Params(BaseModel):
    """A block of parameters; a library package owns its own and `robust3d.study` composes them.

    Fields carry a type, a default where one makes sense, bounds, and a comment with unit and source.
    A sequence is a tuple. Parameter modules import neither torch nor bpy: a dry run loads them all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
