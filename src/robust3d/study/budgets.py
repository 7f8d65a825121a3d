"""Norms and budgets of attacks, as the configuration writes them."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

NORMS = ("Linf", "L2")  # the order of rows


def parse_epsilon(value: Any) -> Any:
    """`8/255` as written in papers, or a plain number."""
    if isinstance(value, str):
        above, slash, below = value.partition("/")
        try:
            number = float(above) / float(below) if slash else float(above)
        except (ValueError, ZeroDivisionError):
            number = float("nan")
        if not abs(number) < float("inf"):
            raise ValueError(f"{value!r} is no budget; write a number such as 1.0 or a fraction such as 8/255")
        return number
    return value


Epsilon = Annotated[float, BeforeValidator(parse_epsilon), Field(ge=0)]
