"""Ends a `snakemake` whose cluster has stopped answering, instead of letting it wait without end.

The plugin for SLURM loses its jobs once it has asked in vain a number of times, and then waits for them for ever. The
profile makes that number large, and this thread ends the wait. Jobs are not touched: they go on, and the next start
finds what they have made.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable

QUESTIONS = {
    "squeue": ["squeue", "--noheader", "--name", "none"],
    "sacct": ["sacct", "-X", "--noheader", "--name", "none"],
}


def answers(question: list[str], timeout_s: float = 60) -> bool:
    """Whether a command of SLURM's succeeds in time."""
    try:
        return subprocess.run(question, capture_output=True, timeout=timeout_s).returncode == 0
    except (subprocess.TimeoutExpired, OSError):
        return False


def watch(question: list[str], patience_min: float, give_up: Callable[[str], None], every_s: float) -> None:
    """Ask now and then; give up when there has been no answer for the patience. Returns only after that."""
    answered = time.monotonic()
    while time.monotonic() - answered < 60 * patience_min:
        time.sleep(every_s)
        if answers(question):
            answered = time.monotonic()
    give_up(
        f"`{' '.join(question)}` has failed for {patience_min:g} minutes (patience_min in cluster.yaml), so nothing is "
        "known of the jobs any more. Those in the queue go on; start snakemake again when SLURM answers."
    )


def watch_slurm(status_command: str, patience_min: float) -> None:
    """Watch from a thread of this process, which ends with exit code 1 when SLURM is silent for too long."""

    def give_up(message: str) -> None:
        print(f"robust3d: {message}", file=sys.stderr, flush=True)
        os._exit(1)  # an orderly end would wait for the same answer

    arguments = (QUESTIONS[status_command], patience_min, give_up, min(30.0, 15 * patience_min))
    threading.Thread(target=watch, args=arguments, daemon=True).start()
