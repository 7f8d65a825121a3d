"""Blender's libraries may lie in the environment (conda), where Blender's own module does not look."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from robust3d.rendering import system


def system_file(library: str) -> Path:
    """The file that the dynamic linker takes for a library."""
    lines = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True).stdout.splitlines()
    return Path(next(line.split(" => ")[1] for line in lines if line.strip().startswith(f"{library} "))).resolve()


def test_a_library_in_the_environment_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(system, "LIBRARIES", {"libelsewhere.so.1": "elsewhere"})
    assert system.missing_packages() == ["elsewhere"]
    (tmp_path / "lib").mkdir()
    shutil.copy(system_file("libXi.so.6"), tmp_path / "lib" / "libelsewhere.so.1")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert system.missing_packages() == []


@pytest.mark.slow
def test_blender_finds_a_library_that_only_the_environment_has(tmp_path):
    """The system's libXi is hidden in a mount namespace of this test's own; `lib/` of the prefix has a copy."""
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0:
        pytest.skip("mount namespaces are not allowed here")
    (tmp_path / "lib").mkdir()
    shutil.copy(system_file("libXi.so.6"), tmp_path / "lib" / "libXi.so.6")
    (tmp_path / "nothing").touch()
    hide = f'mount --bind {tmp_path}/nothing {system_file("libXi.so.6")} && exec "$@"'

    def run(code: str) -> subprocess.CompletedProcess[str]:
        call = ["unshare", "-m", "sh", "-c", hide, "sh", sys.executable, "-c", code]
        return subprocess.run(call, capture_output=True, text=True)

    assert "libXi.so.6" in run("import bpy").stderr
    there = f"import sys; sys.prefix = {str(tmp_path)!r}\n"
    served = (
        "import multiprocessing, pathlib\n"
        "from robust3d.rendering.worker import serve\n"
        "near, far = multiprocessing.Pipe()\n"
        "far.send('no setup')\n"
        "try:\n"
        "    serve(near, pathlib.Path('.'))\n"
        "except AttributeError:\n"  # the setup; by then Blender is imported
        "    print('imported' if 'bpy' in sys.modules else 'not imported')\n"
    )
    told = run(there + served)
    assert told.stdout.strip() == "imported", told.stderr
