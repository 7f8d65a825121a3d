"""The process that renders: takes instances from its parent's pipe, sends back their frames one by one.

Started as ``python -m robust3d.rendering.worker FD FOLDER``; ends when the other side of the pipe is closed.
"""

import os
import resource
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from robust3d.rendering.params import RenderParams, light_of
from robust3d.rendering.system import check_system_libraries
from robust3d.seeds import seed_of
from robust3d.shapes.mesh import Mesh


@dataclass(frozen=True)
class Setup:
    """Parameters of a worker."""

    params: RenderParams
    intrinsics: np.ndarray
    seed: int
    class_name: str


@dataclass(frozen=True)
class Request:
    """One instance to render."""

    instance: str
    mesh: Mesh
    views: tuple[int, ...]
    poses: np.ndarray  # (len(views), 4, 4) world_to_camera


def frame_seed(seed: int, class_name: str, instance: str, view: int) -> int:
    """Seed of one frame's noise: it depends on what is shown, never on when or where it is rendered."""
    return seed_of(seed, "frame", class_name, instance, view)


def resident_mib() -> int:
    """Memory of this process, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() >> 20


@contextmanager
def on_one_core() -> Iterator[None]:
    """Bind this process to the core it is on while Blender is imported, so that it starts no threads for further ones.

    Cycles is set to one thread, but Blender's scheduler keeps a thread for every core that it sees, and idle ones
    wait by yielding without end: the second of two workers on two cores then adds 0.4 to 0.8 of the first's speed
    instead of 0.9.
    """
    allowed = os.sched_getaffinity(0)
    here = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[36])  # the scheduler spreads workers
    os.sched_setaffinity(0, {here})
    try:
        yield
    finally:
        for thread in os.listdir("/proc/self/task"):
            with suppress(ProcessLookupError):  # ended meanwhile
                os.sched_setaffinity(int(thread), allowed)


def serve(connection: Connection, folder: Path) -> None:
    """Render requested frames until the parent closes the connection; raw frames pass through `folder`."""
    check_system_libraries()  # and load them: Blender does not look into a conda environment
    with on_one_core():
        from robust3d.rendering.scene import Scene

    setup: Setup = connection.recv()
    scene = Scene(setup.params, setup.intrinsics, folder)
    while True:
        request: Request = connection.recv()
        scene.show(request.mesh)
        for view, pose in zip(request.views, request.poses, strict=True):
            seed = frame_seed(setup.seed, setup.class_name, request.instance, view)
            light = None
            if setup.params.light is not None:
                drawn = (setup.seed, setup.class_name, request.instance, view, pose)
                light = light_of(setup.params.light, *drawn)
            connection.send(scene.render(request.instance, view, pose, seed, light))
        connection.send(resident_mib())


if __name__ == "__main__":
    scratch = Path(sys.argv[2])
    try:
        serve(Connection(int(sys.argv[1])), scratch)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        shutil.rmtree(scratch, ignore_errors=True)  # the parent needs no more, or is dead
