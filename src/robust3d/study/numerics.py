"""How a process computes: on how many threads, and with the processor's best instructions or every AVX2 machine's.

Both are set through the environment, before numpy or torch is loaded. `portable` gives a CPU job the same bytes on
every processor with AVX2. MKL has a reproducible AVX2 mode, but for Intel's processors only (on AMD's it is ignored
without a word), so its `COMPATIBLE` mode is taken. Work on a GPU is not pinned.
"""

import os
import sys
from pathlib import Path

from robust3d.errors import UserError

PORTABLE = {
    "ATEN_CPU_CAPABILITY": "avx2",  # torch's own kernels
    "ONEDNN_MAX_CPU_ISA": "AVX2",  # convolutions
    "MKL_CBWR": "COMPATIBLE",  # matrix products of torch
    "OPENBLAS_CORETYPE": "Haswell",  # those of numpy and scipy
    "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL",
}
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def one_thread() -> None:
    """One computing thread: sums come out the same on any number of cores, and no thread waits for another.

    The libraries' own choice, a thread a core, costs many times the work where other processes want the cores too: at
    every small step the threads that have a core spin until the others had theirs.
    """
    os.environ.update(dict.fromkeys(THREADS, "1"))


def all_cores() -> None:
    """The libraries' choice of threads, or the user's, for a long process of big steps; a thread that waits sleeps."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def pin(variables: dict[str, str]) -> None:
    """Pin this process, and those it starts, to the instructions that a spec names; none: the processor's best.

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
    """What the processor can do, as Linux names it; nothing where that is not known."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return set(next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), []))
