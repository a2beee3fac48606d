"""How much each destination can take: what grows with success, shrinks with trouble, and is left
alone for a while once it seems dead. Pure: the moment comes in as an argument, in seconds of a
timer that only goes forward.

The window of messages under way moves by 1/window with each success or trouble, so by one in a round
of all that is under way. A whole round of trouble in a row, and the destination is dead: its mail
hears so without an attempt, until one message goes ahead as a probe.
https://www.postfix.org/SCHEDULER_README.html
"""

from dataclasses import dataclass
from typing import TypeGuard

from mailgov.errors import DeliveryDeferred

MAX_IDLE = 20_000
"""Destinations remembered without anything under way; the oldest are forgotten."""

_TROUBLE = frozenset({"attempt-late", "connection-lost", "peer-unreachable", "peer-unsafe"})
"""Errors that speak of the destination, not of one message or recipient; nor of our own resolver."""


def is_trouble(answer: object) -> TypeGuard[DeliveryDeferred]:
    """Whether the answer says that the destination as a whole can't be reached."""
    return isinstance(answer, DeliveryDeferred) and answer.code in _TROUBLE


@dataclass(slots=True)
class _Destination:
    window: float
    under_way: int = 0
    failed: float = 0.0  # share of a round that met trouble, since the last success
    dead_until: float | None = None
    why: DeliveryDeferred | None = None


class Destinations:
    """What is known of all destinations, for one process."""

    def __init__(self, start: int, most: int, probe_seconds: float) -> None:
        self._start = float(min(start, most))
        self._most = most
        self._probe_seconds = probe_seconds
        self._known: dict[str, _Destination] = {}

    def room(self, name: str, now: float) -> int:
        """Messages that it may have under way besides those that it has."""
        known = self._known.get(name)
        if known is None:
            return int(self._start)
        # While it is dead its mail only hears so; that takes no time, and none of its window.
        window = self._most if self._is_dead(known, now) else int(known.window)
        return window - known.under_way

    def why_dead(self, name: str, now: float) -> DeliveryDeferred | None:
        """Why no attempt is made; None when one is."""
        known = self._known.get(name)
        return known.why if known is not None and self._is_dead(known, now) else None

    @staticmethod
    def _is_dead(known: _Destination, now: float) -> bool:
        return known.dead_until is not None and now < known.dead_until

    def begin(self, name: str) -> None:
        """A message is under way."""
        # Put behind the others: who comes first in the table was idle longest.
        known = self._known.pop(name, None) or _Destination(self._start)
        known.under_way += 1
        self._known[name] = known

    def end(self, name: str) -> None:
        """A message is under way no more."""
        self._known[name].under_way -= 1
        self._forget()

    def worked(self, name: str) -> None:
        """It answered, be it with a refusal."""
        known = self._known[name]
        known.window = min(known.window + 1 / known.window, self._most)
        known.failed = 0.0
        known.dead_until = known.why = None

    def failed(self, name: str, why: DeliveryDeferred, now: float) -> bool:
        """It could not be reached. Whether it is dead because of that, and was not before."""
        known = self._known[name]
        was_dead = self._is_dead(known, now)
        known.failed += 1 / known.window
        known.window = max(known.window - 1 / known.window, 1.0)
        if known.failed < 1 - 1e-9:
            return False
        known.window, known.failed = 1.0, 0.0
        known.why, known.dead_until = why, now + self._probe_seconds
        return not was_dead

    def _forget(self) -> None:
        """Memory is bounded: of a destination forgotten nothing is known, which harms nobody."""
        if len(self._known) <= MAX_IDLE:
            return
        idle = [name for name, known in self._known.items() if not known.under_way]
        for name in idle[: len(idle) // 2]:
            del self._known[name]
