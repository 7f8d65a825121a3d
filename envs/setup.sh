#!/bin/sh
# Makes the environment: checks Python and Blender's system libraries, then installs exactly what the lock names.
set -eu
venv=$1
python=${PYTHON:-python3.11}

fail() {
    echo "robust3d: $1" >&2
    exit 1
}

command -v "$python" >/dev/null 2>&1 || fail "$python not found. Blender's Python module needs Python 3.11:
  apt-get install python3.11 python3.11-venv    (or: make PYTHON=/path/to/python3.11)"
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
[ "$version" = 3.11 ] || fail "$python is Python $version; Blender's Python module needs 3.11: make PYTHON=/path/to/python3.11"
[ "$(uname -sm)" = "Linux x86_64" ] || fail "the locked packages are for Linux on x86_64, this is $(uname -sm)"
"$python" -c 'import ensurepip, venv' 2>/dev/null || fail "$python cannot make environments: apt-get install python3.11-venv"
PYTHONPATH=src "$python" -m robust3d.rendering.system || exit 1

# A half-made environment is never taken for a whole one.
rm -rf "$venv"
"$python" -m venv "$venv"
"$venv/bin/pip" install --disable-pip-version-check -q --no-deps --require-hashes -r envs/requirements.lock
"$venv/bin/pip" install --disable-pip-version-check -q --no-deps --no-build-isolation -e .
