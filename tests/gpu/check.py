"""Checks and measures on a GPU in under nine minutes: `python3 tests/gpu/check.py [--output FOLDER]`.

Wants Python 3.12 with torch, torchvision, h5py, pandas and pyarrow. Other packages lie beside it as wheels, and so does
the data: `tests/gpu/prepare.py` packs both. Sections run one after the other, the most valuable first, each in a
process of its own with its own time limit, so that one that fails or hangs costs the others nothing. `FOLDER/gpu.json`
is written anew after each. Exit code 1 if a section did not end well or a result is not the CPU's; a bar of speed that
is missed shows in the table only.
"""

import argparse
import json
import multiprocessing
import os
import signal
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent.resolve()
ROOT = HERE.parents[1]
TOTAL_S = 520.0  # of all sections; the rest of nine minutes is for what is around them
LIMITS_S = {  # the most valuable first
    "machine": 45.0,
    "stages": 150.0,
    "attack": 60.0,
    "training": 110.0,
    "reconstruction": 60.0,
    "synthesis": 100.0,
    "triplane": 120.0,
    "sweep in bf16": 180.0,
    "plain loop": 45.0,
    "sweep in fp32": 300.0,
}
SHORTEST_S = 10.0  # a section that would have less is not started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", choices=[*LIMITS_S, []], help="all by default")
    parser.add_argument("--output", type=Path, default=Path(os.environ.get("OUT", "results/gpu")))
    parser.add_argument("--data", type=Path, default=ROOT / "data", help="jobs of the tests' scale")
    parser.add_argument("--wheels", type=Path, default=ROOT / "wheels", help="packages that may be missing here")
    parser.add_argument("--seconds", type=float, default=TOTAL_S, help="for all sections together")
    parser.add_argument("--toy", action="store_true", help="tiny sizes, for a machine without a GPU")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the running section ends too
    output, data = arguments.output.resolve(), arguments.data.resolve()
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as packages:
        unpack(arguments.wheels, Path(packages))
        sys.path[:0] = [packages, *map(str, (HERE, HERE.parent / "benchmarks", ROOT / "src"))]
        import sections  # once, as it takes seconds; the processes of the sections are forks

        def job(name: str, part: Path) -> None:
            sections.run(name, part, arguments.toy, data)

        limits = {} if arguments.toy else LIMITS_S  # a machine without a GPU may be a busy one
        found = run_all(arguments.sections or LIMITS_S, job, output, arguments.seconds, limits)
    print(summary(found))
    sys.exit(0 if all(is_good(section) for section in found.values()) else 1)


def unpack(wheels: Path, folder: Path) -> None:
    """Unpack all wheels into a folder, as `pip install --target` does."""
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)


def run_all(
    names: Iterable[str],
    job: Callable[[str, Path], None],
    output: Path,
    seconds: float,
    limits_s: Mapping[str, float],
) -> dict[str, dict[str, Any]]:
    """Run sections, one after the other, and write all that came out to `gpu.json` after each.

    Args:
        names: of sections.
        job: given a name and a file, does the section and writes its rows and facts to the file as they come.
        output: folder.
        seconds: for all together.
        limits_s: for single sections.
    """
    begun = time.monotonic()
    found: dict[str, dict[str, Any]] = {}
    part = output / "section.json"  # stays if all of this is cut off
    for name in names:
        part.unlink(missing_ok=True)
        limit = min(limits_s.get(name, seconds), seconds - (time.monotonic() - begun))
        print(f"gpu checks: {name}, {limit:.0f} s at most", file=sys.stderr, flush=True)
        ended = run(lambda name=name: job(name, part), limit)
        found[name] = {"rows": [], "facts": {}} | (json.loads(part.read_text()) if part.exists() else {}) | ended
        temporary = output / "gpu.tmp"
        temporary.write_text(json.dumps(found, indent=1) + "\n")
        os.replace(temporary, output / "gpu.json")
    part.unlink(missing_ok=True)
    return found


def run(job: Callable[[], None], limit_s: float) -> dict[str, Any]:
    """Run in a forked process; how it ended, after how long, and its last words if not well."""
    if limit_s < SHORTEST_S:
        return {"status": "no time left", "seconds": 0.0}
    begun = time.monotonic()
    with tempfile.TemporaryFile() as log:

        def quietly() -> None:
            for stream in (1, 2):  # of libraries, and Python's own
                os.dup2(log.fileno(), stream)
            sys.stdout = sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
            job()

        process = multiprocessing.get_context("fork").Process(target=quietly, daemon=True)
        process.start()
        process.join(limit_s)
        if process.exitcode is None:
            process.kill()
            process.join()
            status = f"stopped after {limit_s:.3g} s"
        else:
            status = "done" if process.exitcode == 0 else f"failed with exit code {process.exitcode}"
        ended = {"status": status, "seconds": round(time.monotonic() - begun, 1)}
        log.seek(0)
        return ended if status == "done" else ended | {"words": log.read().decode(errors="replace")[-3000:]}


def is_good(section: dict[str, Any]) -> bool:
    """Whether a section came to its end and every agreement in it is as it should be."""
    return section["status"] == "done" and all(row["met"] for row in section["rows"] if "agreement" in row["what"])


def summary(found: dict[str, dict[str, Any]]) -> str:
    """A line for each row, those that miss a bar marked, and the facts and last words of what did not end."""
    lines = []
    for name, section in found.items():
        lines.append(f"{name}: {section['status']}, {section['seconds']:.0f} s")
        for row in section["rows"]:
            bar = "" if row["bar"] is None else f", at least {row['bar']:.5g}: {'yes' if row['met'] else 'NO'}"
            ratio = f", {row['ratio']['median']:.2f} times {row['peer']}" if row["ratio"] else ""
            note = f" ({row['note']})" if row["note"] else ""
            lines.append(f"  {row['what']}: {row['ours']['median']:.5g} {row['unit']}{ratio}{bar}{note}")
        if section["status"] != "done":
            lines += [f"  {fact}: {value}" for fact, value in section["facts"].items()]
            lines += [f"  | {line}" for line in section.get("words", "").splitlines()[-8:]]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
