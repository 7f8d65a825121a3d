import time

from robust3d.study import watchdog


def test_gives_up_after_a_silence_only(tmp_path):
    """A command that fails for 0.4 s, answers for 0.6 s and then fails for ever; the patience is 0.6 s."""
    began = time.monotonic()
    script = f"import sys, time; sys.exit(not {began + 0.4} < time.monotonic() < {began + 1.0})"
    messages = []
    watchdog.watch(["python3", "-c", script], 0.01, messages.append, every_s=0.05)
    assert time.monotonic() - began > 1.4
    assert len(messages) == 1 and "0.01 minutes" in messages[0] and "start snakemake again" in messages[0]


def test_a_command_that_hangs_or_is_not_there_is_no_answer():
    assert not watchdog.answers(["sleep", "60"], timeout_s=0.1)
    assert not watchdog.answers(["/nonexistent/squeue"])
    assert watchdog.answers(["true"])
