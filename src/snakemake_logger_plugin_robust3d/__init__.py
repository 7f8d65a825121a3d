"""What `snakemake` prints here while it runs: a line for each finished job, and how long the rest takes.

On a cluster there is a line for each submission as well. Snakemake's own print-out has ten lines a job; that is kept in
.snakemake/log, whose name stands at the end of a run. A dry run is printed as Snakemake does. `--logger` chooses this
plugin (profiles/), Snakemake finds it by its name.

Snakemake imports every plugin that it finds, for any workflow in the same environment, so little is imported here.
"""

import sys
import time
from collections.abc import Callable
from logging import INFO, Formatter, LogRecord
from typing import Any

from snakemake.logging import ColorizingTextHandler
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

_EVERY = 20.0  # seconds between two statements of the time left
_SHARE = 50  # times as long as finding the time left took, at least

# Of no interest to someone who waits for a table. A new line of a later Snakemake is shown until it stands here.
_LEFT_OUT = (
    "Assuming unrestricted shared filesystem",
    "Building DAG",
    "Conda environments: ignored",
    "Rules claiming more threads",
    "Select jobs to execute",
    "Singularity containers: ignored",
    "Using shell",
    "Using workflow specific profile",
)
_EVENTS_LEFT_OUT = (LogEvent.JOB_STARTED, LogEvent.SHELLCMD, LogEvent.RESOURCES_INFO, LogEvent.WORKFLOW_STARTED)


class LogHandler(LogHandlerBase):
    """Writes to the screen; see the module."""

    def __post_init__(self) -> None:
        stream = sys.stdout if self.common_settings.stdout else sys.stderr
        self.screen = ColorizingTextHandler(nocolor=self.common_settings.nocolor, stream=stream)
        self.names: dict[int, str] = {}  # of jobs, by Snakemake's number
        self.began: dict[int, float] = {}  # when they were started or submitted
        self.finished: list[str] = []  # names that wait for the count, which follows
        self.next_estimate = 0.0
        self.own: dict[Any, Callable[[Any], None]] = {
            LogEvent.JOB_INFO: self._note,
            LogEvent.JOB_FINISHED: self._finish,
            LogEvent.PROGRESS: self._count,
            LogEvent.JOB_ERROR: self._fail,
            LogEvent.ERROR: self._error,
        }

    writes_to_stream = True
    writes_to_file = False
    has_filter = False  # Snakemake's, which `--quiet` is for
    has_formatter = False
    needs_rulegraph = False

    def setFormatter(self, fmt: Formatter | None) -> None:
        """Use Snakemake's formatter for all that is not printed in another way here."""
        self.screen.setFormatter(fmt)

    def emit(self, record: LogRecord) -> None:
        """Print a record, or note what it says."""
        event = getattr(record, "event", None)
        if event in self.own and not self.common_settings.dryrun:
            self.own[event](record)
        elif self.common_settings.dryrun or self.common_settings.verbose or not _left_out(event, record):
            self.screen.emit(record)

    def _note(self, record: Any) -> None:
        self.names[record.jobid] = _name(record.rule_name, record.wildcards)
        self.began[record.jobid] = time.monotonic()

    def _finish(self, record: Any) -> None:
        from robust3d.provenance.status import duration

        began = self.began.pop(record.job_id, None)
        took = f" ({duration(time.monotonic() - began)})" if began is not None else ""
        self.finished.append(self.names.pop(record.job_id, f"job {record.job_id}") + took)

    def _count(self, record: Any) -> None:
        width = len(str(record.total))
        for name in self.finished:
            self._write(f"{record.done:{width}} of {record.total}  {name}{self._rest()}")
        self.finished = []

    def _fail(self, record: Any) -> None:
        lines = [f"FAILED  {self.names.get(record.jobid, record.rule_name)}"]
        lines += [f"    {key}: {value}" for key, value in record.aux.items() if value]
        lines += [f"    log: {path}" for path in record.log]
        self._write("\n".join(lines), record)

    def _error(self, record: Any) -> None:
        """Of a job's failure only the exit status: the shell line is long, and the job itself said what is wrong."""
        text = str(record.msg or "")
        if "CalledProcessError" in text and "returned non-zero" in text:
            self._write(f"a job {text[text.rindex('returned non-zero') :].strip()}", record)
        else:
            self.screen.emit(record)

    def _rest(self) -> str:
        """How long the rest takes, if it is time to say so; finding that out may take long for many records."""
        now = time.monotonic()
        if now < self.next_estimate:
            return ""
        from robust3d.provenance.status import time_left

        text = time_left(just_ended=len(self.finished))
        took = time.monotonic() - now
        self.next_estimate = now + took + max(_EVERY, _SHARE * took)
        return f"; {text}" if text else ""

    def _write(self, text: str, like: LogRecord | None = None) -> None:
        level = like.levelno if like is not None else INFO
        self.screen.emit(LogRecord("robust3d", level, "", 0, f"{time.strftime('%H:%M:%S')}  {text}", None, None))


def _name(rule: str, wildcards: dict[str, str]) -> str:
    """`probe painted-resnet18-s1`: the rule, and its job without the digest."""
    from robust3d.provenance.status import without_digest

    words = [without_digest(value) if key == "job" else value for key, value in wildcards.items()]
    return " ".join([rule.replace("_", " "), *words])


def _left_out(event: Any, record: LogRecord) -> bool:
    text = str(record.msg or "")
    if event in _EVENTS_LEFT_OUT:
        return True
    return event is None and record.levelno <= INFO and (text.startswith(_LEFT_OUT) or not text.strip())
