"""Code changes that a user has declared harmless for existing artifacts (`robust3d accept`).

``workflow/accepted.json`` lists them and is committed: code of one digest counts as code of an earlier one, so the
names of finished artifacts do not change. `robust3d why` and `verify` show every acceptance that a result depends on.
"""

import functools
import json
from pathlib import Path
from typing import Any

from robust3d.errors import UserError
from robust3d.study.places import own_file


def accepted_file() -> Path:
    """Path of the file of acceptances, which may not exist."""
    found = own_file("workflow/accepted.json")
    return found if found.exists() else own_file("workflow") / "accepted.json"


@functools.cache
def acceptances() -> tuple[dict[str, Any], ...]:
    """Every acceptance: rule, modules, code (current digest), counts_as (digest of existing artifacts), reason, by, on.

    Raises:
        UserError: the file is damaged.
    """
    try:
        entries = json.loads(accepted_file().read_text(encoding="utf-8"))
        return tuple({**entry, "modules": tuple(entry["modules"])} for entry in entries)
    except FileNotFoundError:
        return ()
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{accepted_file()}: damaged: {error}; restore it from version control or delete it") from None


def acceptance(roots: tuple[str, ...], code: str) -> dict[str, Any] | None:
    """The acceptance under which code of this digest counts as earlier code."""
    return next((e for e in acceptances() if e["modules"] == roots and e["code"] == code), None)


def accepted_digest(roots: tuple[str, ...], code: str) -> str:
    """The code digest for specs: of the code itself, or of the earlier code that it counts as."""
    found = acceptance(roots, code)
    return str(found["counts_as"]) if found else code


def acceptances_of(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """Every acceptance under which later code counts as the code of this spec."""
    same = (tuple(spec["modules"]), spec["code"])
    return [dict(entry) for entry in acceptances() if (entry["modules"], entry["counts_as"]) == same]
