"""Kill trainers, Blender workers, heads or everything at random moments and look whether a wrong file ever appears.

As a program, for as many kills as you have time for: ``python tests/workflow/kills.py FOLDER --kills 100 --seed 0``.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from robust3d.files import sha256

sys.path.insert(0, str(Path(__file__).parent))

from project import Project

VICTIMS = ("job", "worker", "head", "all")


def kill_at_random(project: Project, targets: tuple[str, ...], kills: int, seed: int) -> Counter[str]:
    """Run `targets` to the end under so many kills; who was killed how often.

    Between two kills every file that has a record is compared with it, so a partial or wrong one is seen at once.
    When the targets are finished before the last kill, random finished jobs are taken away and the run goes on.
    """
    draw = random.Random(seed)
    done: Counter[str] = Counter()
    head = _start(project, targets)
    while sum(done.values()) < kills:
        victim, moment = draw.choice(VICTIMS), time.monotonic() + draw.uniform(1, 12)
        while head.poll() is None and time.monotonic() < moment:
            time.sleep(0.1)
        if head.poll() is None and _kill(project, head, victim):
            done[victim] += 1
            print(time.strftime("%X"), dict(done), flush=True)
        check(project)
        if head.poll() is not None:  # killed, or ended after a job of it was killed, or all is made
            if head.returncode == 0:
                _take_away(project, draw)
            head = _start(project, targets)
    if head.wait() != 0:  # jobs of it were killed
        assert _start(project, targets).wait() == 0, (project.folder / "head.log").read_text()[-3000:]
    check(project)
    return done


def check(project: Project) -> None:
    """Every recorded file is whole, whatever was killed; what is not recorded yet is not there or is whole."""
    for folder, _, names in os.walk(project.folder / "results"):  # which passes over what vanishes meanwhile
        for name in names:
            if name.endswith("record.json") and not name.startswith("."):
                _check_record(project, Path(folder, name))


def _check_record(project: Project, path: Path) -> None:
    try:
        outputs = json.loads(path.read_text())["outputs"].values()
        found = {output["path"]: sha256(project.folder / output["path"]) for output in outputs}
    except FileNotFoundError:
        return  # a new head deletes the outputs of a job that it starts again
    for output in outputs:
        wrong = found[output["path"]] != output["sha256"] and path.exists()
        assert not wrong, f"{output['path']} is not what {path} says"


def _start(project: Project, targets: tuple[str, ...]) -> subprocess.Popen[bytes]:
    with (project.folder / "head.log").open("wb") as log:
        return subprocess.Popen(
            ["snakemake", "--cores", "2", *targets], cwd=project.folder, env=project.environment,
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip


def _kill(project: Project, head: subprocess.Popen[bytes], victim: str) -> bool:
    """Kill -9; whether there was such a thing to kill."""
    if victim == "all":
        os.killpg(head.pid, signal.SIGKILL)
        head.wait()
        return True
    if victim == "head":  # its jobs live on
        head.kill()
        head.wait()
        return True
    pattern = "robust3d.rendering.worker" if victim == "worker" else " run "
    found = [pid for pid in _descendants(head.pid) if pattern in _command(pid) and "snakemake" not in _command(pid)]
    for pid in found[:1]:
        os.kill(pid, signal.SIGKILL)
        return True
    return False


def _descendants(pid: int) -> list[int]:
    told = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True).stdout
    children: dict[int, list[int]] = {}
    for line in told.splitlines():
        child, parent = map(int, line.split())
        children.setdefault(parent, []).append(child)
    found, pending = [], [pid]
    while pending:
        found.append(pending.pop())
        pending += children.get(found[-1], [])
    return found[1:]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _take_away(project: Project, draw: random.Random) -> None:
    """Remove some finished jobs and the tables, so that there is work again."""
    results = project.folder / "results"
    folders = sorted(path.parent for path in results.glob("*/*/record.json"))
    for folder in draw.sample(folders, k=min(8, len(folders))):
        for file in folder.iterdir():
            file.unlink()
    for table in results.glob("table*"):
        table.unlink()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    reference = Project(told.folder / "whole")
    reference.make("results/table3.csv", "results/table4.csv")
    killed = Project(told.folder / "killed")
    started = time.monotonic()
    print(kill_at_random(killed, ("results/table3.csv", "results/table4.csv"), told.kills, told.seed))
    names = ("table3.csv", "table4.csv", "table3.cells.json", "table4.cells.json")
    same = reference.bytes_of(*names) == killed.bytes_of(*names)
    left = list((killed.folder / "results").rglob(".partial*"))
    print(f"{time.monotonic() - started:.0f} s; tables byte-identical: {same}; partial files left: {len(left)}")
    sys.exit(not same or bool(left))
