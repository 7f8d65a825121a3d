"""What all benchmarks share: interleaved repeats, medians with their spread, the machine, the JSON and the table."""

import math
import os
import platform
import re
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch.autograd import DeviceType

PACKAGES = ("torch", "torchvision", "numpy", "bpy", "h5py", "trimesh", "pyautoattack", "snakemake")


@dataclass
class Spread:
    """Median and range of repeats."""

    median: float
    low: float
    high: float
    repeats: int


@dataclass
class Row:
    """One comparison.

    Attributes:
        what: in words.
        unit: of ours and theirs.
        ours: ours.
        theirs: the peer's or the literal reference's, None where there is none.
        ratio: how many times better ours is, pair by pair of repeats; None without peer.
        bar: what the ratio, or ours if there is no ratio, must reach at least; None: no bar.
        peer: what theirs is.
        note: sizes and conditions that belong to the row alone.
    """

    what: str
    unit: str
    ours: Spread
    theirs: Spread | None = None
    ratio: Spread | None = None
    bar: float | None = None
    peer: str = ""
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the bar is reached; None without one."""
        return None if self.bar is None else (self.ratio or self.ours).median >= self.bar


@dataclass
class Section:
    """The rows of one benchmark and the sizes they hold for; `facts` are numbers that no bar is set on."""

    name: str
    sizes: dict[str, Any]
    rows: list[Row] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass
class Sample:
    """One repeat of one variant."""

    wall_s: float
    cpu_s: float
    result: Any

    @property
    def seconds(self) -> float:
        """Wall time, or CPU time of this process where ROBUST3D_BENCHMARK_CLOCK=cpu: for a busy machine."""
        return self.cpu_s if os.environ.get("ROBUST3D_BENCHMARK_CLOCK") == "cpu" else self.wall_s


def interleaved(variants: dict[str, Callable[[], Any]], repeats: int, warm_up: int = 1) -> dict[str, list[Sample]]:
    """Run the variants in turn, starting with another one in each round, so that drift hits all alike."""
    names = list(variants)
    samples: dict[str, list[Sample]] = {name: [] for name in names}
    for number in range(-warm_up, repeats):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            sample = timed(variants[name])
            if number >= 0:
                samples[name].append(sample)
    return samples


def timed(job: Callable[[], Any]) -> Sample:
    """Run once."""
    settle()
    wall, cpu = time.perf_counter(), time.process_time()
    result = job()
    settle()
    return Sample(time.perf_counter() - wall, time.process_time() - cpu, result)


def settle() -> None:
    """Wait for the accelerator, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


@dataclass
class GpuWork:
    """What the GPU did while something ran."""

    busy_s: float  # in which at least one kernel or copy ran
    kernels: int  # how many kernels and copies


def gpu_work(job: Callable[[], Any]) -> GpuWork | None:
    """Run once under the profiler, which slows the host down and the kernels not; None where it saw no kernel."""
    with torch.profiler.profile() as profile:
        timed(job)
    events = (event for event in profile.events() if event.device_type == DeviceType.CUDA)
    kernels = [(e.time_range.start, e.time_range.end) for e in events if not e.is_user_annotation]
    return GpuWork(1e-6 * covered(kernels), len(kernels)) if kernels else None


def covered(intervals: list[tuple[float, float]]) -> float:
    """Length of the union of intervals (start, end)."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(intervals):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def busy_row(what: str, job: Callable[[], Any], runs: int, seconds_a_run: float, bar: float | None = None) -> Row:
    """A row of the share of time in which the GPU computes.

    Kernels take as long under the profiler as without it and the host does not, so their time in the profiled job is
    set against the time that the same work takes unprofiled.

    Args:
        what: is done.
        job: what is profiled.
        runs: how many units of work the job is.
        seconds_a_run: that a unit takes without the profiler.
        bar: for the share.
    """
    work = gpu_work(job)
    if work is None:
        return Row(what, "", Spread(math.nan, math.nan, math.nan, 1), bar=bar, note="the profiler saw no kernel")
    kernels = work.kernels / runs
    note = f"{kernels:.0f} kernels of {1e6 * work.busy_s / work.kernels:.0f} us each in {1e3 * seconds_a_run:.3g} ms"
    return Row(what, "", spread([work.busy_s / runs / seconds_a_run]), bar=bar, note=note)


def spread(values: list[float]) -> Spread:
    """Median and range."""
    return Spread(statistics.median(values), min(values), max(values), len(values))


def rate_row(
    what: str, unit: str, count: float, ours: list[Sample], theirs: list[Sample], peer: str, **rest: Any
) -> Row:
    """A row of rates, `count` things per run; the ratio is taken repeat by repeat."""
    rates = [spread([count / sample.seconds for sample in samples]) for samples in (ours, theirs)]
    ratio = spread([b.seconds / a.seconds for a, b in zip(ours, theirs, strict=True)])
    return Row(what, unit, *rates, ratio=ratio, peer=peer, **rest)


def no_tf32() -> None:
    """Compute fp32 in fp32, as the workflow's training and attacks do; torch convolves in TF32 by itself."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False


def device() -> str:
    """Where models go."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def machine() -> dict[str, Any]:
    """Hardware and versions."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "load_at_start": os.getloadavg()[0],
        "python": platform.python_version(),
        "versions": versions,
    }


def machine_class(machine: dict[str, Any]) -> str:
    """File name for machines like this one."""
    name = machine["gpu"] or f"{machine['cpu']} {machine['cores']} cores"
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def peak_mib() -> float:
    """Largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def table(sections: list[Section]) -> str:
    """The README's table."""
    lines = ["| what | ours | peer | ratio (range) | bar |", "|---|---|---|---|---|"]
    for section in sections:
        for row in section.rows:
            theirs = f"{row.theirs.median:.3g} ({row.peer})" if row.theirs else "–"
            ratio = f"{row.ratio.median:.2f} ({row.ratio.low:.2f}–{row.ratio.high:.2f})" if row.ratio else "–"
            bar = "–" if row.bar is None else f"≥ {row.bar:g} {'✓' if row.met else '✗'}"
            what = f"{section.name}: {row.what}" + (f" ({row.note})" if row.note else "")
            lines.append(f"| {what} | {row.ours.median:.3g} {row.unit} | {theirs} | {ratio} | {bar} |")
    return "\n".join(lines)
