"""Budgets of attacks: a number with a name, such as `8/255` or `1.5`.

Only this module converts between the two. Tables, metrics and outcomes refer to a budget by its name, so floats are
never compared.
"""

import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Self

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

NORMS = ("Linf", "L2")  # the order of rows
SAME = 1e-5  # relative; budgets that are closer are equal
_PART = re.compile(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*")


class Budget(float):
    """The radius of a ball of perturbations, pixels in [0, 1], with its name.

    `str(budget)` is the name, and `Budget(name)` is the same budget again. The name is what the user wrote, in a
    standard spelling: 1, 1.0 and 2/2 have the name `1.0`. A number with more than four decimals that is a multiple of
    1/255 takes the name and the value of the fraction: 0.0627451 is `16/255`, and 0.19999999 is 0.2.
    """

    name: str

    def __new__(cls, written: str | float) -> Self:
        """Parse a budget.

        Raises:
            ValueError: not a number or fraction, negative or not finite.
        """
        if isinstance(written, cls):
            return written
        value, name = _fraction(written) if isinstance(written, str) and "/" in written else _number(written)
        budget = super().__new__(cls, value)
        budget.name = name
        return budget

    def __str__(self) -> str:
        return self.name

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return super().__format__(spec) if spec else self.name

    def __getnewargs__(self) -> tuple[str]:  # type: ignore[override]
        return (self.name,)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        # JSON as a user would write it: a fraction as text, a number as a number.
        written = core_schema.plain_serializer_function_ser_schema(
            lambda budget: str(budget) if "/" in str(budget) else float(budget), when_used="json"
        )
        return core_schema.no_info_plain_validator_function(cls, serialization=written)


def _fraction(written: str) -> tuple[float, str]:
    """Value and name of `8/255`: 255ths stay; other fractions become decimals where these are exact."""
    parts = [_PART.fullmatch(part) for part in written.split("/")]
    if len(parts) != 2 or not parts[0] or not parts[1] or not (below := Fraction(parts[1][1])):
        raise ValueError(_refusal(written))
    above = Fraction(parts[0][1])
    value = float(above / below)
    if below != 255 and Fraction(repr(value)) == above / below:
        return _number(value)
    return value, f"{_plain(above)}/{_plain(below)}"


def _plain(part: Fraction) -> str:
    return str(part.numerator) if part.denominator == 1 else repr(float(part))


def _number(written: Any) -> tuple[float, str]:
    try:
        value = math.nan if isinstance(written, bool) or written is None else float(written)
    except (TypeError, ValueError):
        value = math.nan
    if not 0 <= value < math.inf:
        raise ValueError(_refusal(written))
    value = abs(value)  # no negative zero
    steps = round(255 * value)
    if round(value, 4) != value and math.isclose(255 * value, steps, rel_tol=SAME):
        nearest = steps / 255
        return nearest, repr(nearest) if round(nearest, 4) == nearest else f"{steps}/255"
    return value, repr(value)


def _refusal(written: Any) -> str:
    return f"{str(written)[:40]!r} is no budget; write a number such as 1.0 or a fraction such as 8/255"


def no_attack(norm: str) -> Budget:
    """The budget 0 (clean images), written like the budgets of a norm."""
    return Budget("0/255" if norm == "Linf" else 0)


def label(norm: str, budget: str | float) -> str:
    """`Linf 8/255`, `L2 1.0`: the row of a budget."""
    return f"{norm} {Budget(budget)}"


def check_among(key: str, budget: Budget, place: str, grid: Sequence[Budget]) -> None:
    """Check that a budget is one of those that are attacked, with the same name.

    Args:
        key: configuration key of the budget.
        budget: the budget.
        place: configuration key of the attacked budgets.
        grid: the attacked budgets.

    Raises:
        ValueError: it is not; the message gives the name of an equal one, or all attacked budgets.
    """
    names = [str(other) for other in grid]
    if str(budget) in names:
        return
    equal = next((name for name, other in zip(names, grid) if math.isclose(budget, other, rel_tol=SAME)), None)
    if equal:
        raise ValueError(f"{key}: {budget} is called {equal} in {place}; write it so here too")
    raise ValueError(f"{key}: {budget} is not among {place} ({', '.join(names)}); add it there")


def check_spelling(grids: Mapping[str, Iterable[Budget]]) -> None:
    """Check that equal budgets have the same name.

    Args:
        grids: the budgets of one norm, by configuration key.

    Raises:
        ValueError: two names for one budget; the message gives both and their keys.
    """
    every = sorted((budget, str(budget), key) for key, grid in grids.items() for budget in grid)
    for (budget, name, key), (other, other_name, other_key) in itertools.pairwise(every):
        if name != other_name and math.isclose(budget, other, rel_tol=SAME):
            raise ValueError(
                f"{other_key}: {other_name} and {name} ({key}) are one budget; write it the same way twice"
            )
