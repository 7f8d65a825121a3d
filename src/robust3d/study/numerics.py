"""Threads and processor instructions of a process: the processor's best instructions, or AVX2 only.

Both are set through the environment, before numpy or torch is loaded. `portable` gives a CPU job the same bytes on
every processor with AVX2. MKL has a reproducible AVX2 mode, but for Intel's processors only (on AMD's it is silently
ignored), so its `COMPATIBLE` mode is used. GPU computations are not pinned.
"""

import os
import sys
from pathlib import Path

from robust3d.errors import UserError

PORTABLE = {
    "ATEN_CPU_CAPABILITY": "avx2",  # torch's own kernels
    "ONEDNN_MAX_CPU_ISA": "AVX2",  # convolutions
    "MKL_CBWR": "COMPATIBLE",  # matrix products of torch
    "OPENBLAS_CORETYPE": "Haswell",  # matrix products of numpy and scipy
    "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL",
}
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def one_thread() -> None:
    """One computing thread: sums are the same on any number of cores, and no thread waits for another.

    The libraries' default, one thread per core, is many times slower if other processes use the cores too: at every
    small step the running threads spin until the others get a core.
    """
    os.environ.update(dict.fromkeys(THREADS, "1"))


def all_cores() -> None:
    """The libraries' or the user's number of threads, for a long process of big steps; waiting threads sleep."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def pin(variables: dict[str, str]) -> None:
    """Pin this process and its children to the instructions of a spec; empty: the processor's best.

    Raises:
        UserError: the processor has no AVX2, or numpy or torch is loaded already.
    """
    if not variables:
        return
    early = [name for name in ("numpy", "torch") if name in sys.modules]
    if early:
        raise UserError(f"numerics: portable: {early[0]} was loaded before its instructions could be pinned")
    flags = _flags()
    if flags and not {"avx2", "fma"} <= flags:
        raise UserError("numerics: portable needs a processor with AVX2 and FMA; use numerics: native here")
    os.environ.update(variables)


def _flags() -> set[str]:
    """Instruction sets of the processor by Linux' names; empty if unknown."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return set(next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), []))
