"""Runs the benchmarks and writes one JSON per class of machine: `python tests/benchmarks/run.py`, or `make benchmark`.

Every row compares with a peer, or with a literal reference in `reference/`, on identical work. `--toy` runs
everything at sizes that say nothing but whether it still works.
"""

import argparse
import importlib
import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import torch
from harness import device, machine, machine_class, no_tf32, table

SECTIONS = (
    "rendering",
    "reconstruction",
    "training",
    "attacks",
    "corruptions",
    "ablation",
    "voxels",
    "introspection",
    "workflow",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], help="all by default")
    parser.add_argument("--toy", action="store_true", help="tiny sizes: does it run?")
    parser.add_argument("--repeats", type=int, default=5, help="of each variant, interleaved")
    parser.add_argument("--output", type=Path, default=Path("results/benchmarks"))
    arguments = parser.parse_args()
    if device() == "cpu":
        torch.set_num_threads(1)  # as the workflow's jobs
    no_tf32()
    hardware = machine()
    path = arguments.output / f"{machine_class(hardware)}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    done = []
    for name in arguments.sections or SECTIONS:
        print(f"benchmark: {name}", file=sys.stderr, flush=True)
        section = importlib.import_module(name).measure(toy=arguments.toy, repeats=arguments.repeats)
        done.append(section)
        found = json.loads(path.read_text()) if path.exists() else {"sections": {}}
        content = {**asdict(section), "measured": datetime.now(UTC).isoformat(timespec="seconds"), "toy": arguments.toy}
        for row, values in zip(section.rows, content["rows"], strict=True):
            values["met"] = row.met
        found["machine"] = hardware
        found["sections"][name] = content
        path.write_text(json.dumps(found, indent=1) + "\n")
    print(table(done))
    print(f"\n{path}", file=sys.stderr)


if __name__ == "__main__":
    main()
