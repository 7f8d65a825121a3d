import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from robust3d.study.config import merge, read_yaml

ROOT = Path(__file__).parents[2]
SMALL = {"ae", "dvr"}  # enough for every stage of tables 3 and 4


class Project:
    """A throw-away copy of the workflow at the tests' scale, with results of its own."""

    def __init__(self, folder: Path, pretrainings: set[str] = SMALL) -> None:
        self.folder = folder
        folder.mkdir()
        for name in ("Snakefile", "workflow", "envs", "profiles"):
            (folder / name).symlink_to(ROOT / name)
        values = merge(read_yaml(ROOT / "config.yaml"), read_yaml(ROOT / "workflow/scales/test.yaml"))
        values["pretraining"] = {
            name: values["pretraining"][name] for name in values["pretraining"] if name in pretrainings
        }
        self.configure(values)
        self.environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def configure(self, values: dict[str, Any]) -> None:
        self.values = values
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

    def run_with_kills(self, messages: set[str], *arguments: str, after_s: float) -> set[str]:
        """Run to the end, killing everything with -9 some time after each of the messages is seen for the first time.

        Returns the messages after which there was something to kill.
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
                seen = next((message for message in sorted(messages - killed) if f": {message}" in text), None)
            time.sleep(after_s if seen else 0)
            if process.poll() is not None:
                assert process.returncode == 0, log.read_text()[-4000:]
                return killed
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            killed.add(str(seen))

    def bytes_of(self, *names: str) -> dict[str, bytes]:
        return {name: (self.folder / "results" / name).read_bytes() for name in names}
