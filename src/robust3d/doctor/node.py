"""The part of `robust3d doctor` that runs where jobs run: ``python -m robust3d.doctor.node --token FILE [--gpu]``.

Prints one line of JSON; judges nothing. Failures are listed under "errors".
"""

import argparse
import fcntl
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MARK = "robust3d-doctor:"  # marks our line in the output of a node


def main() -> None:
    """Look and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--token", type=Path, required=True, help="a file that the head has written and keeps locked")
    parser.add_argument("--gpu", action="store_true")
    arguments = parser.parse_args()
    seen: dict[str, Any] = {"host": platform.node(), "python": sys.executable, "errors": {}}
    looks: dict[str, Callable[[], Any]] = {
        "token": lambda: arguments.token.read_text(encoding="utf-8"),
        "lock_is_free": lambda: lock_is_free(arguments.token),
        "checkout": lambda: str(Path(__file__).parent),
    }
    looks |= {"gpu": look_at_gpu} if arguments.gpu else {"missing": missing_libraries, "render": render_cube}
    for name, look in looks.items():
        try:
            seen[name] = look()
        except Exception as error:  # any error is reported by the head process
            seen["errors"][name] = f"{type(error).__name__}: {error}"
    seen["time"] = time.time()
    print(f"{MARK}{json.dumps(seen)}", flush=True)


def lock_is_free(path: Path) -> bool:
    """Whether the head's lock is not felt here."""
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def missing_libraries() -> list[str]:
    """Debian names of the libraries that Blender needs and that are not here."""
    from robust3d.rendering.system import missing_packages

    return missing_packages()


def render_cube() -> dict[str, Any]:
    """One small frame of a red cube, by the way that every frame is made."""
    import numpy as np
    import trimesh

    from robust3d import cameras
    from robust3d.cameras import CameraParams
    from robust3d.rendering.params import RenderParams
    from robust3d.rendering.pool import render_instances
    from robust3d.shapes.mesh import Mesh

    started = time.time()
    box = trimesh.creation.box((0.5, 0.5, 0.5))
    red = np.tile(np.array([0.8, 0.1, 0.1], dtype=np.float32), (len(box.faces), 1))
    mesh = Mesh(np.array(box.vertices), np.array(box.faces, dtype=np.int32), red)
    camera = CameraParams(protocol="nmr", views=1)
    request = ("cube", mesh, cameras.poses(camera, 0, "cube"))
    params = RenderParams(resolution_px=16, samples=1)
    (frame,) = render_instances([request], cameras.intrinsics(camera, 16), params, 0, "doctor")
    inside = frame.rgba[frame.mask][:, :3].mean(axis=0) if frame.mask.any() else np.zeros(3)
    return {
        "pixels": int(frame.mask.sum()),
        "mean_rgb": [round(float(value)) for value in inside],
        "seconds": round(time.time() - started, 1),
    }


def look_at_gpu() -> dict[str, Any]:
    """What torch sees of the GPUs that the job was given, and whether one of them computes."""
    import torch

    seen: dict[str, Any] = {
        "torch": torch.__version__,
        "built_for_cuda": torch.version.cuda,
        "visible": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "driver": driver_version(),
        "devices": [],
        "product_is_right": None,
    }
    if torch.cuda.is_available():
        seen["devices"] = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        a = torch.arange(64 * 64, dtype=torch.float32).reshape(64, 64) % 7
        seen["product_is_right"] = bool(torch.equal((a.cuda() @ a.cuda()).cpu(), a @ a))  # small integers: exact
    return seen


def driver_version() -> str | None:
    """The driver's version; None without one."""
    if shutil.which("nvidia-smi") is None:
        return None
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    lines = subprocess.run(query, capture_output=True, text=True, timeout=30).stdout.split()
    return lines[0] if lines else None


if __name__ == "__main__":
    main()
