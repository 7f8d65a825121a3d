"""Asks a program of the cluster, never for longer than it may take."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

PATIENCE_S = 20.0  # a healthy controller answers within a second


@dataclass(frozen=True)
class Answer:
    """What a program said.

    Attributes:
        ok: whether it ended by itself with status 0.
        out: its standard output.
        error: its standard error, or why there is none; never empty when `ok` is false.
    """

    ok: bool
    out: str
    error: str


def ask(command: Sequence[str], patience_s: float | None = None) -> Answer:
    """Run a program to its end, or until patience is lost."""
    patience_s = patience_s or PATIENCE_S
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=patience_s, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        return Answer(False, "", f"{command[0]}: no such program")
    except OSError as error:
        return Answer(False, "", f"{command[0]}: {error}")
    except subprocess.TimeoutExpired:
        return Answer(False, "", f"{command[0]} has not answered for {patience_s:g} s")
    said = done.stderr.strip() or ("" if done.returncode == 0 else f"{command[0]} ended with {done.returncode}")
    return Answer(done.returncode == 0, done.stdout, said)
