import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import yaml
from project import Project

QUICK = (
    "--workflow-profile", "profiles/slurm", "--latency-wait", "10",
    "--slurm-init-seconds-before-status-checks", "2", "--max-status-checks-per-second", "2",
)  # fmt: skip
CLUSTER = {"partition": "cpu", "gpu_partition": "gpu", "gpu_model": "toy", "render_cpus": 2, "max_runtime_min": 30}


def describe_cluster(project: Project, **changes: Any) -> None:
    """Write the project's cluster.yaml."""
    (project.folder / "cluster.yaml").write_text(yaml.safe_dump(CLUSTER | changes))


def reuse(finished: Project, project: Project, *stages: str) -> None:
    """Copy what the local run has made of some stages."""
    for stage in stages:
        subprocess.run(
            ["cp", "-a", "--parents", f"results/{stage}", str(project.folder)], cwd=finished.folder, check=True
        )


class Head:
    """A running `snakemake` that submits to the test cluster."""

    running: ClassVar[list["Head"]] = []

    def __init__(self, project: Project, *arguments: str) -> None:
        self.log = project.folder / f"head-{time.monotonic_ns()}.log"
        with self.log.open("w") as file:
            self.process = subprocess.Popen(
                ["snakemake", *QUICK, *arguments], cwd=project.folder, env=project.environment,
                stdout=file, stderr=file, start_new_session=True, preexec_fn=_hear_interrupts,
            )  # fmt: skip
        self.lasting = False  # beyond the test that has started it
        self.running.append(self)

    @property
    def told(self) -> str:
        return self.log.read_text()

    @property
    def name(self) -> str:
        """The name of all its jobs in SLURM."""
        self.wait_for(lambda: "SLURM run ID: " in self.told, 300)
        return re.search(r"SLURM run ID: (\S+)", self.told)[1]

    def jobs(self, states: str = "all") -> list[str]:
        """SLURM's own list of its jobs."""
        command = ["squeue", "-h", "-o", "%i", "--states", states, "--name", self.name]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

    def wait(self, timeout_s: float) -> int:
        """Its exit code."""
        return self.process.wait(timeout_s)

    def wait_for(self, true: Callable[[], bool], timeout_s: float) -> None:
        """Until something holds; fails when the time is up or when the head ends before."""
        until = time.monotonic() + timeout_s
        while not true():
            assert time.monotonic() < until, self.told[-4000:]
            assert self.process.poll() is None or true(), self.told[-4000:]
            time.sleep(0.1)

    def wait_for_an_empty_queue(self) -> None:
        """Some 5 s on an idle machine, a minute on a busy one; then none of its jobs has run until its limit."""
        begun = time.monotonic()
        while self.jobs("pending,running,completing,suspended"):
            assert time.monotonic() - begun < 120
            time.sleep(0.2)
        assert not self.jobs("timeout")

    def interrupt(self) -> None:
        """What Ctrl-C does."""
        os.killpg(self.process.pid, signal.SIGINT)

    def kill(self) -> None:
        """Only the head: what runs in SLURM lives on."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def _hear_interrupts() -> None:
    """A shell's background processes, and all that they start, are deaf to Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def logs(project: Project, rule: str) -> list[Path]:
    """SLURM's logs of a rule's attempts, in order."""
    return sorted((project.folder / "logs" / f"rule_{rule}").rglob("*.log"), key=lambda path: int(path.stem))
