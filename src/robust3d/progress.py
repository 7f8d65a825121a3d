"""A line of progress on stderr: rewritten in place on a terminal, now and then in a log."""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

Item = TypeVar("Item")
TERMINAL_S, LOG_S = 2.0, 60.0  # between two lines on a terminal, and in a log


class ProgressLine:
    """Says what is done, how fast, and how long the rest will take.

    Args:
        name: of the work.
        first: units done before now, by an earlier process.
        total: units to do; None if unknown.
        unit: what is counted.
    """

    def __init__(self, name: str, first: int = 0, total: int | None = None, unit: str = "steps") -> None:
        self.name, self.first, self.total, self.unit = name, first, total, unit
        self.terminal = sys.stderr.isatty()
        self.started = self.shown = time.monotonic()

    def due(self) -> bool:
        """Whether enough time has passed for another line."""
        return time.monotonic() - self.shown >= (TERMINAL_S if self.terminal else LOG_S)

    def show(self, done: int, metrics: Mapping[str, float] | None = None) -> None:
        """Print the state after `done` units."""
        self.shown = time.monotonic()
        speed = (done - self.first) / max(self.shown - self.started, 1e-9)
        text = f"{self.name}: {done}"
        if self.total is not None:
            left = _clock((self.total - done) / speed) if speed else "?"
            text += f" of {self.total} {self.unit}, {speed:.3g}/s, {left} left"
        else:
            text += f" {self.unit}, {speed:.3g}/s"
        text += "".join(f", {key} {value:.4g}" for key, value in (metrics or {}).items())
        start, end = ("\r\x1b[K", "") if self.terminal else ("", "\n")
        print(start + text, end=end, file=sys.stderr, flush=True)

    def count(self, items: Iterable[Item]) -> Iterator[Item]:
        """Pass items on and show how many there were."""
        for done, item in enumerate(items, self.first + 1):
            if self.due():
                self.show(done)
            yield item

    def say(self, text: str) -> None:
        """A line of its own that stays."""
        print(("\r\x1b[K" if self.terminal else "") + f"{self.name}: {text}", file=sys.stderr, flush=True)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
