import os

# One thread, as the jobs run: sums come out the same and two test processes do not fight over the cores.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")
