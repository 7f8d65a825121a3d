"""The progress line of a training run: step, speed, time left and losses on stderr."""

import sys
import time

TERMINAL_S, LOG_S = 2.0, 60.0  # between two lines on a terminal, and in a log file


class ProgressLine:
    """Overwrites one line on a terminal; writes a line a minute elsewhere."""

    def __init__(self, name: str, first: int, steps: int) -> None:
        self.name, self.first, self.steps = name, first, steps
        self.terminal = sys.stderr.isatty()
        self.started = self.shown = time.monotonic()

    def due(self) -> bool:
        """Whether enough time has passed for another line."""
        return time.monotonic() - self.shown >= (TERMINAL_S if self.terminal else LOG_S)

    def show(self, done: int, metrics: dict[str, float]) -> None:
        """Print the state after `done` steps."""
        self.shown = time.monotonic()
        speed = (done - self.first) / max(self.shown - self.started, 1e-9)
        left = _clock((self.steps - done) / speed) if speed else "?"
        text = f"{self.name}: step {done}/{self.steps}, {speed:.3g} steps/s, {left} left"
        text += "".join(f", {key} {value:.4g}" for key, value in metrics.items())
        print(
            f"\r\x1b[K{text}" if self.terminal else text,
            end="" if self.terminal else "\n",
            file=sys.stderr,
            flush=True,
        )

    def say(self, text: str) -> None:
        """A line of its own that stays."""
        print(
            f"{chr(13) + chr(27) + '[K' if self.terminal else ''}{self.name}: {text}",
            file=sys.stderr,
            flush=True,
        )


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
