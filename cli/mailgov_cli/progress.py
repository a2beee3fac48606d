"""A bar for work that takes its time: after a second, on a terminal alone, with count and time left."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from mailgov_cli.runtime import Runtime

SHOWN_AFTER_SECONDS = 1.0
_REDRAWN_SECONDS = 0.2
_WIDTH = 24

Told = Callable[[int], None]


class Bar:
    """Draws itself anew on its line; nothing before the first second is over."""

    def __init__(self, total: int, stream: TextIO, clock: Callable[[], float]) -> None:
        self.total = total
        self.done = 0
        self._stream = stream
        self._clock = clock
        self._began = clock()
        self._drawn: float | None = None

    def update(self, more: int) -> None:
        """So much more is done."""
        self.done += more
        now = self._clock()
        due = self._began + SHOWN_AFTER_SECONDS if self._drawn is None else self._drawn
        if now < due:
            return
        self._drawn = now + _REDRAWN_SECONDS
        self._stream.write(f"\r{self._line(now)}\x1b[K")
        self._stream.flush()

    def close(self) -> None:
        """Leave the line as if nothing had been there."""
        if self._drawn is not None:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _line(self, now: float) -> str:
        share = min(self.done / self.total, 1.0) if self.total else 0.0
        full = int(share * _WIDTH)
        left = (now - self._began) * (1 - share) / share if share else 0.0
        minutes, seconds = divmod(int(left + 0.5), 60)
        counted = f"{self.done}/{self.total}" if self.total else str(self.done)
        rest = f"  -{minutes:02}:{seconds:02}" if share else ""
        return f"[{'#' * full}{'.' * (_WIDTH - full)}]  {counted}{rest}"


@contextmanager
def progress(
    run: Runtime,
    total: int,
    *,
    stream: TextIO | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Told]:
    """What is called with each bit that is done; shows nothing to programs, to pipes, and with `-q`.

    A caller from elsewhere is told numbers instead.
    """
    if run.told is not None:
        yield _numbers(run.told, total)
        return
    stream = stream or sys.stderr
    if run.quiet or run.as_json or not stream.isatty():
        yield lambda _more: None
        return
    bar = Bar(total, stream, clock)
    try:
        yield bar.update
    finally:
        bar.close()


def _numbers(told: Callable[[int, int], None], total: int) -> Told:
    done = 0

    def tell(more: int) -> None:
        nonlocal done
        done += more
        told(done, total)

    return tell
