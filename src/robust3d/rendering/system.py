"""Are the system libraries there that Blender's Python module loads? Needs no Blender."""

import ctypes
import sys
from pathlib import Path

from robust3d.errors import UserError

# library -> Debian package
LIBRARIES = {
    "libX11.so.6": "libx11-6",
    "libXrender.so.1": "libxrender1",
    "libXfixes.so.3": "libxfixes3",
    "libXi.so.6": "libxi6",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libSM.so.6": "libsm6",
    "libICE.so.6": "libice6",
    "libGL.so.1": "libgl1",
}


def missing_packages() -> list[str]:
    """Debian packages of the libraries that cannot be loaded."""
    return [package for library, package in LIBRARIES.items() if not _load(library)]


def _load(library: str) -> bool:
    """Load a library into this process, from the system or from the environment (conda).

    Blender's module looks in its own folder and in the system only, but takes what the process holds already.
    """
    for place in (library, str(Path(sys.prefix, "lib", library))):
        try:
            ctypes.CDLL(place)
            return True
        except OSError:
            continue
    return False


def check_system_libraries() -> None:
    """Refuse early and in one message.

    Raises:
        UserError: naming the packages to install.
    """
    if missing := missing_packages():
        raise UserError(f"Blender needs system libraries that are missing here: apt-get install {' '.join(missing)}")


if __name__ == "__main__":
    try:
        check_system_libraries()
    except UserError as error:
        sys.exit(f"robust3d: {error}")
