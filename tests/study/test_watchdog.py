import os
import time

from robust3d.study import watchdog


def test_gives_up_after_a_silence_only():
    """No life for 0.4 s, then for 0.6 s some, then none for ever; the patience is 0.6 s."""
    began = time.monotonic()
    messages = []
    watchdog.watch(lambda: 0.4 < time.monotonic() - began < 1.0, 0.01, messages.append, every_s=0.05)
    assert time.monotonic() - began > 1.5
    assert len(messages) == 1 and "0.01 minutes" in messages[0] and "start snakemake again" in messages[0]


def test_a_run_is_alive_while_squeue_names_its_jobs(tmp_path, monkeypatch):
    squeue = tmp_path / "squeue"
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for script, alive in (
        ('[ "$3" = mine ] && echo 17', True),
        ('[ "$3" = other ] && echo 17', False),
        ("exit 0", False),  # answers, but has no job
        ("echo 17; exit 1", False),
        ("sleep 2; echo 17", False),
    ):
        squeue.write_text(f"#!/bin/sh\n{script}\n")
        squeue.chmod(0o755)
        assert watchdog.in_queue("mine", timeout_s=1) == alive, script
    squeue.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not watchdog.in_queue("mine")
