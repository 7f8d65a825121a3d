"""Runs jobs as several users: ``python users.py LOG``, for root only; a line of its input is one run.

Python may lie where only root can read, so everything is imported before: by the first run, in this process.
The others are answered with a line {code, error} each; code 111: the user cannot read the project.
"""

import json
import os
import sys
import traceback
from pathlib import Path

from robust3d import cli


def call(arguments: list[str]) -> int:
    sys.argv = ["robust3d", *arguments]
    try:
        cli.main()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def become(told: dict) -> None:
    """The user that is told, without root's capabilities."""
    os.umask(told["umask"])
    if told["uid"]:
        os.setgroups(told["groups"])
        os.setresgid(*[told["uid"]] * 3)
        os.setresuid(*[told["uid"]] * 3)
    try:
        Path("envs/requirements.lock").read_bytes()
        Path(cli.__file__).read_bytes()
    except OSError:
        os._exit(111)


def run(told: dict, log: Path) -> dict:
    child = os.fork()
    if child == 0:
        os.chdir(told["folder"])
        with log.open("w") as file:
            os.dup2(file.fileno(), 2)
        become(told)
        code = call(told["arguments"])
        sys.stderr.flush()
        os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return {"code": code, "error": log.read_text()}


if __name__ == "__main__":
    log = Path(sys.argv[1])
    first = json.loads(sys.stdin.readline())
    os.chdir(first["folder"])
    assert call(first["arguments"]) == 0
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line), log)), flush=True)
