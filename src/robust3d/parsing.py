"""Checks plain values against a parameter class and says in a person's words what is wrong."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError


def parse(model: type[Any], values: Mapping[str, Any], key: str = "") -> Any:
    """`values` checked against `model`; messages begin with `key`, under which they stand.

    YAML has no tuples, so the check runs in JSON mode, in which a list is one. The order of keys means nothing.

    Raises:
        ValueError: with one line for each mistake: the key's path, what is wrong, what is allowed.
    """
    try:
        return model.model_validate_json(json.dumps(values, sort_keys=True))
    except ValidationError as error:
        raise ValueError("\n".join(_explain(item, key) for item in error.errors())) from None


def _explain(item: Any, key: str) -> str:
    path = ".".join(str(part) for part in ((key, *item["loc"]) if key else item["loc"]))
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        return f"{path}: unknown key"
    if item["type"] == "missing":
        return f"{path}: missing"
    if item["type"] == "string_type" and item["input"] is None:
        return f"{path}: empty, ~ or null, which YAML reads as no value; write a text in quotes"
    if item["type"] == "string_type" and isinstance(item["input"], bool | int | float):
        read_as = "true or false" if isinstance(item["input"], bool) else "a number"
        return f"{path}: put it in quotes; YAML reads it as {read_as}"  # not as which: nobody has written 787351
    shown = "" if isinstance(item["input"], (dict, list)) else f" (found {item['input']!r})"
    if item["type"] in ("int_type", "float_type") and _means_number(item["input"]):
        shown = f" (found the text {item['input']!r}: leave out the quotes, and write 1e-3 as 1.0e-3, as YAML requires)"
    if item["type"] != "value_error":
        return f"{path}: {message}{shown}"
    # A message of ours that begins with a key's path goes on from the path so far.
    nested = (f"{path}.{line}" if re.match(r"[\w.]+: ", line) else f"{path}: {line}" for line in message.splitlines())
    return ("\n".join(nested) if path else message) + shown


def _means_number(value: Any) -> bool:
    try:
        return isinstance(value, str) and math.isfinite(float(value))
    except ValueError:
        return False
