"""Are the system libraries there that Blender's Python module loads? Needs no Blender."""

import ctypes
import sys

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
    missing = []
    for library, package in LIBRARIES.items():
        try:
            ctypes.CDLL(library)
        except OSError:
            missing.append(package)
    return missing


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
