"""A cluster of shell scripts: the only programs on PATH, each says what a test wants."""

from pathlib import Path

import pytest

SINFO = """\
cpu*|up|1-00:00:00|32|(null)|idle|c1
cpu*|up|1-00:00:00|64|(null)|mixed|c2
gpu|up|2:00:00|16|gpu:h100:4(S:0-1)|allocated|g1
old|down|infinite|8|gpu:2|down*|g0
"""
CONFIG = """\
Configuration data as of now
AccountingStorageType   = accounting_storage/slurmdbd
MinJobAge               = 600 sec
"""


class Cluster:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("sbatch", "srun", "squeue", "scancel", "sacct"):
            self.script(name, "exit 0")
        self.says("sinfo", SINFO)
        self.says("scontrol", CONFIG)
        self.says("sacctmgr", "lab|normal,long\n")

    def script(self, name: str, body: str) -> None:
        file = self.folder / name
        file.write_text(f"#!/bin/sh\n{body}\n")
        file.chmod(0o755)

    def says(self, name: str, text: str) -> None:
        (self.folder / f"{name}.txt").write_text(text)
        self.script(name, f"/bin/cat {self.folder}/{name}.txt")

    def fails(self, name: str, text: str) -> None:
        self.script(name, f"echo '{text}' >&2; exit 1")

    def loses(self, name: str) -> None:
        (self.folder / name).unlink()


@pytest.fixture
def fake(tmp_path, monkeypatch) -> Cluster:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("TMUX", "yes")
    for name in ("SLURM_JOB_ID", "SLURM_CONF"):
        monkeypatch.delenv(name, raising=False)
    return Cluster(folder)
