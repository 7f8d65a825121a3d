"""Digests of the tests' scale under `numerics: portable`, kept with the processors that gave them (portable.json).

The test compares this machine's bytes with the file. A change of code that rightly changes results is followed by
`python tests/workflow/portable.py`, which writes new digests and starts the list of processors anew; on another
processor the same command adds that processor's name if its bytes are those of the file, and refuses if they are not.
"""

import hashlib
import json
import sys
import tempfile
from pathlib import Path

from project import ROOT, Project

from robust3d.provenance.machine import processor

FILE = Path(__file__).with_name("portable.json")
TARGETS = ("results/table3.csv", "results/table4.csv")
DATA = ("*.npz", "*.h5", "*.safetensors", "*.parquet")
WORDS = (
    "sha256 over the data files of each stage, and over the tables, of the tests' scale (with two pre-trainings) under "
    "numerics: portable. Every processor named here gave these bytes. tests/workflow/portable.py makes and checks it."
)


def measure(folder: Path) -> dict[str, str]:
    """Run the tests' scale in a new folder; the digest of each stage's data and of each table."""
    project = Project(folder)
    project.change({"numerics": "portable"})
    project.make(*TARGETS)
    found = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in TARGETS}
    for stage in sorted(path for path in (folder / "results").iterdir() if path.is_dir() and path.name[0] != "."):
        files = [(path.parent.name.rpartition("-")[0], path) for kind in DATA for path in stage.glob(f"*/{kind}")]
        lines = [f"{label} {path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}" for label, path in files]
        if lines:
            found[stage.name] = hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder) / "project")
    kept = json.loads(FILE.read_text()) if FILE.exists() else {"digests": None, "processors": []}
    here = processor()
    others = [name for name in kept["processors"] if name != here]
    if kept["digests"] != found and others and "--new" not in sys.argv:
        sys.exit(f"other bytes than on {', '.join(others)}; --new if the code has changed since")
    processors = sorted({*others, here}) if kept["digests"] == found else [here]
    FILE.write_text(json.dumps({"what": WORDS, "processors": processors, "digests": found}, indent=1) + "\n")
    print(f"{FILE.relative_to(ROOT)}: {', '.join(processors)}")


if __name__ == "__main__":
    main()
