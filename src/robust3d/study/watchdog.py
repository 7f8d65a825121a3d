"""Ends a `snakemake` that waits for jobs which SLURM does not have any more, and jobs whose `snakemake` has ended.

When SLURM or its accounting has not answered a number of times, or has forgotten a finished job, Snakemake's plugin
waits for that job for ever. This thread ends the wait. It touches no job: those in the queue go on, and the next start
finds what they have made.
"""

import atexit
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable


def in_queue(run: str, timeout_s: float = 60) -> bool:
    """Whether SLURM answers and has jobs of this run, waiting or running; all of them bear its name."""
    try:
        asked = ["squeue", "--noheader", "--name", run]
        result = subprocess.run(asked, capture_output=True, timeout=timeout_s)
    except (subprocess.TimeoutExpired, OSError):
        return False
    return result.returncode == 0 and bool(result.stdout.strip())


def watch(is_alive: Callable[[], bool], patience_min: float, give_up: Callable[[str], None], every_s: float) -> None:
    """Look now and then; give up when there has been no life for the patience. Returns only after that."""
    alive = time.monotonic()
    while time.monotonic() - alive < 60 * patience_min:
        time.sleep(every_s)
        if is_alive():
            alive = time.monotonic()
    give_up(
        f"for {patience_min:g} minutes (patience_min in cluster.yaml) SLURM has not answered or has listed no job of "
        "this run, but it has not reported their end either. Finished jobs are kept and running jobs continue: "
        "start snakemake again."
    )


def watch_slurm(run: str, patience_min: float) -> None:
    """Watch from a thread of this process, which ends with exit code 1 when there is nothing to wait for.

    When the process ends in another way, jobs that were being submitted meanwhile are cancelled.
    """

    def give_up(message: str) -> None:
        print(f"robust3d: {message}", file=sys.stderr, flush=True)
        os._exit(1)  # an orderly end would wait for the same jobs

    arguments = (lambda: in_queue(run), patience_min, give_up, min(30.0, 15 * patience_min))
    threading.Thread(target=watch, args=arguments, daemon=True).start()
    atexit.register(subprocess.run, ["scancel", "--name", run], capture_output=True, timeout=60)
