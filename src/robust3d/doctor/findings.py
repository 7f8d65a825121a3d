"""What a check found: one line each, and the remedy."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

State = Literal["OK", "WARNING", "PROBLEM", "NOT CHECKED"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        state: OK; WARNING: works, perhaps not as meant; PROBLEM: jobs will fail or wait for ever; NOT CHECKED.
        check: short name of what was looked at.
        text: what was seen, or why nothing was.
        mend: what to do about it; empty where there is nothing to do.
    """

    state: State
    check: str
    text: str
    mend: str = ""


def ok(check: str, text: str) -> Finding:
    """All is well."""
    return Finding("OK", check, text)


def warning(check: str, text: str, mend: str) -> Finding:
    """Works, perhaps not as meant."""
    return Finding("WARNING", check, text, mend)


def problem(check: str, text: str, mend: str) -> Finding:
    """Jobs will fail or wait for ever."""
    return Finding("PROBLEM", check, text, mend)


def not_checked(check: str, reason: str, mend: str = "") -> Finding:
    """Nothing is known, and why."""
    return Finding("NOT CHECKED", check, reason, mend)


def one_line(text: str, limit: int = 300) -> str:
    """Foreign output, such as an error of SLURM's, on one line of bounded length: its end says most."""
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else "… " + flat[-limit:]


def tell(findings: Sequence[Finding]) -> str:
    """For people: a line a finding, then how many of each kind."""
    lines = [f"{f.state:<12} {f.check}: {one_line(f.text, 600)}" + (f" → {f.mend}" if f.mend else "") for f in findings]
    counts = {state: sum(f.state == state for f in findings) for state in ("PROBLEM", "WARNING", "NOT CHECKED", "OK")}
    return "\n".join([*lines, ", ".join(f"{count} {state}" for state, count in counts.items())])


def as_json(findings: Sequence[Finding]) -> list[dict[str, str]]:
    """For programs."""
    return [dataclasses.asdict(finding) for finding in findings]
