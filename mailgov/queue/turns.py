"""Whose turn it is: the urgent before the rest, then destinations and agencies one after another."""

import unicodedata

from mailgov_policies import facts

RANKS = range(5)
"""0 goes first, 4 last. One lane of a rank never waits for another lane of a later rank."""

_LEAST_PRIORITIES = (6, 4, 1, 0)
"""The least priority (RFC 6710) of each rank but the last: flash, immediate, urgent, normal."""

_PRIORITIES = {"hoa toc": 6, "thuong khan": 4, "khan": 2}
"""Priority of a document by its mark of urgency."""


def priority_of(said: int | None, document: facts.Document | None) -> int:
    """The priority of a message, -9 to 9: what was said in MT-PRIORITY, else what its mark says."""
    if said is not None:
        return max(-9, min(said, 9))
    return _PRIORITIES.get(_plain(document.urgency), 0) if document else 0


def rank_of(priority: int) -> int:
    """The rank in the queue of a priority."""
    return next((rank for rank, least in enumerate(_LEAST_PRIORITIES) if priority >= least), 4)


def lane_of(destination: str, agency_code: str) -> str:
    """The lane of an agency's mail to a destination."""
    return f"{destination} {agency_code}"


def destination_of(lane: str) -> str:
    """The destination of a lane."""
    return lane.partition(" ")[0]


def _plain(mark: str) -> str:
    """A mark without accents and case; `ả` and `oả`, two ways to write it, fall together."""
    letters = unicodedata.normalize("NFD", mark.lower()).replace("đ", "d")
    return " ".join("".join(c for c in letters if not unicodedata.combining(c)).split())
