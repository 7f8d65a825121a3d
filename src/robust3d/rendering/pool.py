"""Renders instances in worker processes; frames come back in the requested order, with any number of workers.

Blender is imported in the workers only, each a fresh interpreter (never forked), and each has one thread: for
images as small as these, two processes are nearly twice as fast as one process with two threads.
"""

import os
import queue
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Container, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import numpy as np

from robust3d.data.frame import Frame
from robust3d.errors import UserError
from robust3d.progress import ProgressLine
from robust3d.rendering.params import RenderParams
from robust3d.rendering.system import check_system_libraries
from robust3d.rendering.worker import Request, Setup
from robust3d.scratch import scratch, variables
from robust3d.shapes.mesh import Mesh

FRAME_TIMEOUT_S = 300.0  # a frame takes milliseconds to seconds, the first one waits for Blender's start
MEMORY = Path("/dev/shm")  # raw frames pass through it, if it is there
GROWTH_MIB = 500  # a worker that has grown by so much is replaced: Blender's memory must not grow for ever


def render_instances(
    requests: Iterable[tuple[str, Mesh, np.ndarray]],
    intrinsics: np.ndarray,
    params: RenderParams,
    seed: int,
    class_name: str,
    workers: int = 1,
    held: Container[tuple[str, int]] = (),
) -> Iterator[Frame]:
    """Render every view of every instance but those held already.

    A pixel depends on (seed, class, instance, view) and on the parameters only.

    Args:
        requests: (instance id, mesh, world-to-camera matrices (V, 4, 4)) each; objects of several classes have ids
            `class/instance`, and `class_name` is empty.
        intrinsics: (3, 3) px.
        params: how to render.
        seed: of the noise.
        class_name: of all instances.
        workers: processes.
        held: (instance, view) of frames that need not be rendered.

    Yields:
        Frames, instances in the order of the requests, views ascending.

    Raises:
        UserError: system libraries are missing, or a worker died or hung.
    """
    check_system_libraries()
    setup = Setup(params, np.asarray(intrinsics, dtype=np.float64), seed, class_name)
    crew = [_Worker(setup) for _ in range(workers)]
    idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
    for worker in crew:
        idle.put(worker)

    def render(request: Request) -> list[Frame]:
        worker = idle.get()
        try:
            return worker.render(request)
        finally:
            idle.put(worker)

    pending: deque[Future[list[Frame]]] = deque()
    threads = ThreadPoolExecutor(workers)

    def frames() -> Iterator[Frame]:
        for instance, mesh, poses in requests:
            views = tuple(view for view in range(len(poses)) if (instance, view) not in held)
            if not views:
                continue
            pending.append(threads.submit(render, Request(instance, mesh, views, poses[list(views)])))
            if len(pending) > 2 * workers:  # so many instances at most are held in memory
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()

    try:
        yield from ProgressLine(f"render {class_name}".rstrip(), unit="frames").count(frames())
    finally:  # also when the caller stops asking or a worker failed: nothing of ours goes on rendering
        for future in pending:
            future.cancel()
        for worker in crew:
            worker.kill()
        threads.shutdown()
        for worker in crew:
            worker.close()


class _Worker:
    """One Blender process, started when it is first needed and again when it has grown."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.process: subprocess.Popen[bytes] | None = None
        self.open = ExitStack()  # what goes with the process
        self.killed = False
        self.first_mib = 0

    def render(self, request: Request) -> list[Frame]:
        """All views of one instance."""
        try:
            if self.process is None:
                self._start()
            self.connection.send(request)
            frames = [self._receive(request.instance) for _ in request.poses]
            resident_mib = self._receive(request.instance)
        except (EOFError, OSError) as error:
            raise UserError(self._last_words(request.instance)) from error
        self.first_mib = self.first_mib or resident_mib
        if resident_mib > self.first_mib + GROWTH_MIB:
            self.close()
        return frames

    def _receive(self, instance: str) -> Any:
        if not self.connection.poll(FRAME_TIMEOUT_S):
            raise UserError(
                f"rendering {instance}: Blender has not responded for {FRAME_TIMEOUT_S:g} s; "
                "run the shard again, with fewer samples if its frames really take that long"
            )
        return self.connection.recv()

    def _start(self) -> None:
        folder = self.open.enter_context(scratch(MEMORY if os.access(MEMORY, os.W_OK | os.X_OK) else None))
        self.log = self.open.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        near, far = Pipe()
        self.connection = self.open.enter_context(near)
        self.first_mib = 0
        self.process = subprocess.Popen(
            [sys.executable, "-m", "robust3d.rendering.worker", str(far.fileno()), str(folder)],
            pass_fds=[far.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # Blender prints a line a frame
            stderr=self.log,
            env={**os.environ, "OMP_NUM_THREADS": "1", **variables(folder)},  # Blender leaves a folder there
        )
        far.close()
        if self.killed:  # while it was being started
            self.process.kill()
        self.connection.send(self.setup)

    def _last_words(self, instance: str) -> str:
        if self.process is None:
            return f"rendering {instance}: Blender's process could not be started"
        status = self.process.wait(timeout=30)
        self.log.seek(0)
        text = self.log.read().decode(errors="replace").strip()
        return f"rendering {instance}: Blender's process ended with status {status}\n{text[-2000:]}".rstrip()

    def kill(self) -> None:
        """End the process, whatever it is doing; another thread may be waiting for it."""
        self.killed = True
        if self.process is not None:
            self.process.kill()

    def close(self) -> None:
        """End the process and free what it used."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.open.close()
        self.process = None
