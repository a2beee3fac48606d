"""One timer for a whole session, however often its deadline moves."""

import asyncio
from collections.abc import Callable


class Deadline:
    """Calls `late` when the loop's clock passes the moment last set."""

    def __init__(self, loop: asyncio.AbstractEventLoop, late: Callable[[], None]) -> None:
        self._loop = loop
        self._late = late
        self._moment = self._timer_at = loop.time()
        self._timer: asyncio.TimerHandle | None = None

    def set(self, moment: float) -> None:
        """The deadline from now on. A later one costs nothing: the timer finds out when it rings."""
        self._moment = moment
        if self._timer is None or moment < self._timer_at:
            self._wind()

    def cancel(self) -> None:
        """There is no deadline any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wind(self) -> None:
        self.cancel()
        self._timer_at = self._moment
        self._timer = self._loop.call_at(self._timer_at, self._rung)

    def _rung(self) -> None:
        if self._loop.time() < self._moment:
            self._wind()
        else:
            self._late()
