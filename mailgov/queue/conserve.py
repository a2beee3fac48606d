"""The balance of mail: accepted = delivered + bounced + queued + held + removed, for each message.

Two books that were written in the same transactions are compared: the ledger says how many
recipients were accepted and how each ended, the queue says where each is now.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

from sqlalchemy import func, select
from sqlmodel import Session

from mailgov.ledger.events import (
    MessageAccepted,
    RecipientBounced,
    RecipientDelivered,
    RecipientRemoved,
)
from mailgov.queue.tables import EVENT, MESSAGE, RECIPIENT

_ENDS = {
    RecipientDelivered.kind: "delivered",
    RecipientBounced.kind: "bounced",
    RecipientRemoved.kind: "removed",
}
STATES = ("delivered", "bounced", "queued", "held", "removed")


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """A message whose books do not agree."""

    queue_id: str
    accepted: int  # recipients, by the ledger
    states: dict[str, int]  # recipients, by the queue
    ends: dict[str, int]  # events that end a recipient


@dataclass(slots=True)
class Balance:
    """The sums over all messages, and every message that does not balance."""

    messages: int = 0
    accepted: int = 0
    states: Counter[str] = field(default_factory=Counter)
    discrepancies: list[Discrepancy] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether every message balances."""
        return not self.discrepancies


def conserve(session: Session) -> Balance:
    """Balance every message that ledger or queue know. Streams: memory does not grow with them."""
    balance = Balance()
    books = _merged(_ledger(session), _queue(session))
    for queue_id, (accepted, ends, states) in books:
        balance.messages += 1
        balance.accepted += accepted
        balance.states.update(states)
        ended = {state: states[state] for state in _ENDS.values() if states[state]}
        if sum(states.values()) != accepted or ended != dict(ends):
            balance.discrepancies.append(Discrepancy(queue_id, accepted, dict(states), dict(ends)))
    return balance


_LedgerPage = tuple[str, int, Counter[str]]
_QueuePage = tuple[str, Counter[str]]


def _ledger(session: Session) -> Iterator[_LedgerPage]:
    """Accepted recipients and ends of each message, by id."""
    query = (
        select(EVENT.c.message_id, EVENT.c.kind, EVENT.c.data)
        .where(EVENT.c.kind.in_([MessageAccepted.kind, *_ENDS]))
        .order_by(EVENT.c.message_id)
        .execution_options(yield_per=1000)
    )
    rows = session.connection().execute(query)
    for queue_id, events in groupby(rows, key=lambda row: str(row.message_id)):
        accepted, ends = 0, Counter[str]()
        for event in events:
            if event.kind == MessageAccepted.kind:
                accepted += event.data["recipients"]
            else:
                ends[_ENDS[event.kind]] += 1
        yield queue_id, accepted, ends


def _queue(session: Session) -> Iterator[_QueuePage]:
    """Recipients of each message by state, by id."""
    query = (
        select(MESSAGE.c.id, RECIPIENT.c.state, func.count())
        .join(RECIPIENT, RECIPIENT.c.message_id == MESSAGE.c.id, isouter=True)
        .group_by(MESSAGE.c.id, RECIPIENT.c.state)
        .order_by(MESSAGE.c.id)
        .execution_options(yield_per=1000)
    )
    rows = session.connection().execute(query)
    for queue_id, states in groupby(rows, key=lambda row: str(row[0])):
        yield queue_id, Counter({row[1]: row[2] for row in states if row[1] is not None})


def _merged(
    ledger: Iterator[_LedgerPage], queue: Iterator[_QueuePage]
) -> Iterator[tuple[str, tuple[int, Counter[str], Counter[str]]]]:
    """Both books page by page; a message missing in one has an empty page there."""
    left, right = next(ledger, None), next(queue, None)
    while left is not None or right is not None:
        queue_id = min(page[0] for page in (left, right) if page is not None)
        accepted, ends, states = 0, Counter[str](), Counter[str]()
        if left is not None and left[0] == queue_id:
            _, accepted, ends = left
            left = next(ledger, None)
        if right is not None and right[0] == queue_id:
            _, states = right
            right = next(queue, None)
        yield queue_id, (accepted, ends, states)
