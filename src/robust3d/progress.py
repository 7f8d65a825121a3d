"""A line of progress on stderr: rewritten in place on a terminal, now and then in a log."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
TERMINAL_S, LOG_S = 0.5, 30.0


class Progress:
    """Counts things done and says how fast."""

    def __init__(self, what: str, unit: str, total: int | None = None) -> None:
        self.what, self.unit, self.total = what, unit, total
        self.done, self.started = 0, time.monotonic()
        self.shown = self.started
        self.every = TERMINAL_S if sys.stderr.isatty() else LOG_S

    def count(self, items: Iterable[Item]) -> Iterator[Item]:
        """Pass items on, counting them."""
        for item in items:
            self.done += 1
            if time.monotonic() - self.shown >= self.every:
                self.show()
            yield item

    def show(self) -> None:
        """Write the line now."""
        self.shown = time.monotonic()
        rate = self.done / max(self.shown - self.started, 1e-9)
        of = f" of {self.total}" if self.total else ""
        end = "\r" if sys.stderr.isatty() else "\n"
        print(f"{self.what}: {self.done}{of} {self.unit}, {rate:.1f}/s", end=end, file=sys.stderr, flush=True)
