import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml
from configuration import at_test_scale

from robust3d.study.like import merge

ROOT = Path(__file__).parents[2]
SMALL = {"ae", "dvr"}  # enough for every stage of tables 3 and 4


class Project:
    """A throw-away copy of the workflow at the tests' scale, with results of its own."""

    def __init__(self, folder: Path, pretrainings: set[str] = SMALL) -> None:
        self.folder = folder
        folder.mkdir()
        for name in ("Snakefile", "workflow", "envs"):
            (folder / name).symlink_to(ROOT / name)
        shutil.copytree(ROOT / "profiles", folder / "profiles")
        # Tests see by Snakemake's own print-out which jobs start.
        for profile in folder.glob("profiles/*/profile.yaml"):
            lines = profile.read_text().splitlines(keepends=True)
            profile.write_text("".join(line for line in lines if not line.startswith("logger:")))
        values = at_test_scale()
        values["pretraining"] = {  # and those that are no column, from which others start
            name: entry
            for name, entry in values["pretraining"].items()
            if name in pretrainings or entry.get("experiments") == [] or "like" in entry
        }
        for name in ("figure4", "figure5", "figure7", "figure9"):
            curves = values["papers"]["geon3d"][name]
            curves["pretraining"] = curves["pretraining"] and sorted(pretrainings.intersection(curves["pretraining"]))
        self.configure(values)
        self.environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def take_source(self) -> Path:
        """Give the project a copy of the code that a test may edit; its folder."""
        source = self.folder / "src"
        shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        self.environment["PYTHONPATH"] = str(source)
        (self.folder / "workflow").unlink()
        shutil.copytree(ROOT / "workflow", self.folder / "workflow")
        return source / "robust3d"

    def robust3d(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["robust3d", *arguments], cwd=self.folder, env=self.environment, capture_output=True, text=True
        )

    def path(self, ask: str) -> str:
        """A path of the plan under the project's own code: `ask` is an expression over `plan`."""
        code = (
            "import pathlib; from robust3d.study.reading import read_study; from robust3d.study.plan import Plan;"
            f"plan = Plan(read_study([pathlib.Path('config.yaml')])); study = plan.study; print({ask})"
        )
        command = [sys.executable, "-c", code]
        told = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)
        assert told.returncode == 0, told.stderr
        return told.stdout.strip()

    def records(self, stage: str) -> dict[str, dict[str, Any]]:
        """The records of a stage by job."""
        found = (json.loads(path.read_text()) for path in (self.folder / "results" / stage).glob("*/record.json"))
        return {record["job"]: record for record in found}

    def configure(self, values: dict[str, Any]) -> None:
        self.values = values
        (self.folder / "config.yaml").unlink(missing_ok=True)  # a copy of the project may share the file
        (self.folder / "config.yaml").write_text(yaml.safe_dump(values, sort_keys=False))

    def change(self, overlay: dict[str, Any]) -> None:
        self.configure(merge(self.values, overlay))

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["snakemake", *arguments], cwd=self.folder, env=self.environment, capture_output=True, text=True
        )

    def make(self, *arguments: str) -> str:
        told = self.snakemake(*arguments)
        assert told.returncode == 0, told.stderr[-4000:]
        return told.stderr + told.stdout

    def run_with_kills(self, rules: set[str], *arguments: str, after_s: float) -> set[str]:
        """Run to the end, killing everything with -9 some time after each of the rules begins for the first time.

        Returns the rules after whose beginning there was something to kill.
        """
        killed: set[str] = set()
        log = self.folder / "killed.log"
        while True:
            with log.open("w") as file:
                process = subprocess.Popen(
                    ["snakemake", *arguments], cwd=self.folder, env=self.environment, stdout=file, stderr=file,
                    start_new_session=True,
                )  # fmt: skip
            seen: str | None = None
            while process.poll() is None and seen is None:
                time.sleep(0.1)
                text = log.read_text()
                begun = {rule: text.rfind(f"rule {rule}:") for rule in rules - killed}
                seen = max((rule for rule in begun if begun[rule] >= 0), key=begun.__getitem__, default=None)
            time.sleep(after_s if seen else 0)
            if process.poll() is not None:
                assert process.returncode == 0, log.read_text()[-4000:]
                return killed
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            killed.add(str(seen))

    def bytes_of(self, *names: str) -> dict[str, bytes]:
        return {name: (self.folder / "results" / name).read_bytes() for name in names}
