"""Sends `robust3d.doctor.node` to where jobs run and judges what it saw."""

import contextlib
import fcntl
import getpass
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robust3d.doctor.commands import ask
from robust3d.doctor.findings import Finding, not_checked, ok, one_line, problem, warning
from robust3d.doctor.node import MARK
from robust3d.doctor.slurm import job_options
from robust3d.study.cluster import Cluster

RUN_S = 300  # a node's look takes seconds; Blender and torch from a cold shared disk take minutes
SKEW_S = 5.0
FULL = ("immediate", "nodes are busy", "queued and waiting", "resources not available", "not available now")
SHARED = "put the checkout, its environment and results/ on a file system that all nodes share"


@dataclass(frozen=True)
class Look:
    """What a node saw, and between which two times of the head."""

    seen: dict[str, Any]
    before: float
    after: float


def check_node(cluster: Cluster | None, gpu: bool, results: Path, wait_s: int, gpus: int = 1) -> Iterator[Finding]:
    """Run the node's part and judge it.

    Args:
        cluster: where to go by srun; None: here.
        gpu: look at a GPU; else at the renderer.
        results: where to leave the token.
        wait_s: how long to wait in the queue.
        gpus: how many to ask for, as a training of the study does.
    """
    place = "this machine" if cluster is None else f"a node {'with a GPU' if gpu else 'for renders'}"
    try:
        with token(results) as (path, secret):
            look = send(cluster, gpus if gpu else 0, path, wait_s, place)
    except OSError as error:
        yield not_checked(place, f"results/ cannot take a token: {error}")
        return
    if isinstance(look, Finding):
        yield look
        return
    if cluster is not None:
        yield from judge_sharing(look, secret, place)
    yield from judge_gpu(look.seen, place, None if cluster is None else gpus) if gpu else judge_render(look.seen, place)


@contextlib.contextmanager
def token(results: Path) -> Iterator[tuple[Path, str]]:
    """A file with a secret in `results`, locked by this process."""
    results.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=results, prefix=".doctor-", encoding="utf-8") as file:
        secret = secrets.token_hex(16)
        file.write(secret)
        file.flush()
        os.fsync(file.fileno())
        with contextlib.suppress(OSError):  # `check_locks` has reported it
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield Path(file.name).absolute(), secret


def send(cluster: Cluster | None, gpus: int, path: Path, wait_s: int, place: str) -> Look | Finding:
    """What the node saw, or why it saw nothing."""
    command = [sys.executable, "-m", "robust3d.doctor.node", "--token", str(path), *(["--gpu"] if gpus else [])]
    name = f"robust3d-doctor-{os.getpid()}"
    patience = RUN_S
    if cluster is not None:
        options = job_options(cluster, gpus, 5, 1)
        command = [
            "srun",
            f"--job-name={name}",
            f"--immediate={wait_s}",
            f"--mem={4000 if gpus else 2000}",
            *options,
            *command,
        ]
        patience += wait_s
    repeat = f"robust3d doctor --wait {max(3600, 10 * wait_s)}"
    before = time.time()
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=patience, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        return not_checked(place, f"{command[0]}: no such program")
    except subprocess.TimeoutExpired:
        if cluster is not None:
            ask(["scancel", f"--user={getpass.getuser()}", f"--name={name}"])
        return not_checked(place, f"no answer within {patience:g} s", repeat)
    after = time.time()
    lines = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
    if lines:
        return Look(json.loads(lines[-1].removeprefix(MARK)), before, after)
    if cluster is not None and any(words in done.stderr.lower() for words in FULL):
        return not_checked(place, f"none was free within {wait_s} s", repeat)
    said = one_line(done.stderr or f"status {done.returncode} and no output")
    mend = SHARED if cluster is not None else "run `make environment`"
    return problem(place, f"the project does not run there: {said}", mend)


def judge_sharing(look: Look, secret: str, place: str) -> Iterator[Finding]:
    """Does the node see our files, feel our locks, and agree about the time?"""
    seen, host = look.seen, look.seen["host"]
    if seen.get("token") != secret:
        reason = one_line(seen["errors"].get("token", "it reads other content there"))
        yield problem(f"{place}: files", f"{host} does not see this results folder: {reason}", SHARED)
    elif seen.get("checkout") != str(Path(__file__).parent):
        text = f"{host} runs the code of {seen.get('checkout')}, the head that of {Path(__file__).parent}"
        yield problem(f"{place}: files", text, SHARED)
    elif seen.get("lock_is_free"):
        text = f"a lock held on the head is free on {host}: two jobs could write the same files"
        mend = "mount results/ with locks that reach across nodes (NFS: not `local_lock`; Lustre: `-o flock`)"
        yield problem(f"{place}: files", text, mend)
    else:
        yield ok(f"{place}: files", f"{host} sees the checkout and the results folder, and respects its locks")
    skew = max(look.before - seen["time"], seen["time"] - look.after, 0.0)
    if skew > SKEW_S:
        text = f"the clock of {host} is at least {skew:.0f} s off the head's"
        yield warning(f"{place}: clock", text, "ask the administrators for NTP; times in records will not agree")
    else:
        yield ok(f"{place}: clock", f"no skew seen, to within {look.after - look.before:.0f} s")


def judge_render(seen: dict[str, Any], place: str) -> Iterator[Finding]:
    """System libraries and the frame of a red cube."""
    host, check = seen["host"], f"{place}: Blender"
    missing = seen.get("missing")
    if missing:
        mend = f"apt-get install {' '.join(missing)}; without root: envs/robust3d.yaml (conda) or envs/robust3d.def"
        yield problem(check, f"{host} lacks {', '.join(missing)}", mend)
        return
    frame = seen.get("render")
    if frame is None:
        reason = one_line(seen["errors"].get("render") or seen["errors"].get("missing", "no frame"))
        mend = "run `robust3d doctor` there; use envs/robust3d.yaml or envs/robust3d.def where the system lacks a part"
        yield problem(check, f"{host} cannot render: {reason}", mend)
        return
    red, green, blue = frame["mean_rgb"]
    if red <= max(green, blue):  # also black, where nothing was hit
        text = f"{host} rendered a red cube as {frame['pixels']} pixels of colour {frame['mean_rgb']}"
        yield problem(check, text, "reinstall bpy: `make environment`")
    else:
        yield ok(check, f"{host} rendered a frame in {frame['seconds']} s")


def judge_gpu(seen: dict[str, Any], place: str, asked: int | None) -> Iterator[Finding]:
    """Compares what torch sees with the request."""
    host, check, gpu = seen["host"], f"{place}: torch", seen.get("gpu")
    if gpu is None:
        reason = one_line(seen["errors"].get("gpu", "torch gave no output"))
        yield problem(check, f"torch fails on {host}: {reason}", "run `make environment`")
        return
    devices, version = gpu["devices"], f"torch {gpu['torch']}, driver {gpu['driver'] or 'none'}"
    if not devices:
        if asked is None and gpu["driver"] is None:
            yield ok(check, f"{version}: no GPU here, jobs compute on the processor")
        elif gpu["built_for_cuda"] is None:
            mend = "install the wheel that the lock names: `make environment`"
            yield problem(check, f"{host}: {version} is built without CUDA", mend)
        else:
            text = f"{host}: torch sees no GPU ({version}, built for CUDA {gpu['built_for_cuda']}, "
            text += f"CUDA_VISIBLE_DEVICES={gpu['visible']})"
            mend = f"ask for a driver that knows CUDA {gpu['built_for_cuda']}, or for nodes that have one (constraint:)"
            yield problem(check, text, mend)
        return
    if not gpu["product_is_right"]:
        reason = "; ".join(seen["errors"].values()) or "a small matrix product is wrong"
        yield problem(check, f"{host}: {devices[0]} ({version}): {reason}", "tell the administrators which node it is")
        return
    wanted = len(devices) if asked is None else asked
    if len(devices) != wanted:
        text = f"{host}: a job that asks for {wanted} GPU sees {len(devices)} (CUDA_VISIBLE_DEVICES={gpu['visible']})"
        yield warning(check, text, "ask the administrators to confine jobs to their GPUs (gres.conf)")
        return
    yield ok(check, f"{host}: {version}, {', '.join(devices)}: a matrix product is right")
