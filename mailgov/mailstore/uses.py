"""What people do to their mail, gathered for a while and written into the ledger: acts of use.

Asking for counts, waiting, and fetching without marking as read are what programs do by themselves;
none of it comes here. Nor does what the webmail does, which it writes itself.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date, datetime

from sqlmodel import Session, col, select

from mailgov.clock import Clock, local_date
from mailgov.db import Database
from mailgov.db.models import Agency, Mailbox
from mailgov.errors import Unavailable
from mailgov.ledger import record
from mailgov.ledger.events import MailUsed
from mailgov.logs import logger
from mailgov.mailstore.acts import Act

DRAFTS, JUNK = "Drafts", "Junk"

log = logger("mailstore")

Told = Callable[[Act], None]


def counted_as(act: Act) -> str:
    """The field of MailUsed that an act counts in; empty for none.

    A copy that a program puts into another folder is no writing, a flag no reading; what goes to the
    folder for junk may be a filter's doing.
    """
    match act.kind:
        case "read" | "answered" | "removed":
            return act.kind
        case "filed" if act.folder != JUNK:
            return "filed"
        case "saved" if act.folder == DRAFTS:
            return "drafted"
    return ""


class Uses:
    """Acts of people since they were written last. Lost with the process: at most one period."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._counts: dict[tuple[str, date], Counter[str]] = {}
        self._first: dict[tuple[str, date], datetime] = {}

    def note(self, act: Act) -> None:
        """Somebody did something just now."""
        if field := counted_as(act):
            now = self._clock()
            key = (act.address, local_date(now))
            self._first.setdefault(key, now)
            self._counts.setdefault(key, Counter())[field] += 1

    async def write(self) -> None:
        """One event for each mailbox and day; when the database can't serve, next time."""
        counts, self._counts = self._counts, {}
        first, self._first = self._first, {}
        if not counts:
            return
        try:
            await self._database.submit(lambda session: _write(session, counts, first))
        except Unavailable as exc:
            log.warning("uses.wait", cause=str(exc))
            for key, counter in counts.items():
                self._counts.setdefault(key, Counter()).update(counter)
                self._first[key] = min(first[key], self._first.get(key, first[key]))


def _write(
    session: Session,
    counts: Mapping[tuple[str, date], Counter[str]],
    first: Mapping[tuple[str, date], datetime],
) -> None:
    addresses = sorted({address for address, _ in counts})
    codes: dict[str, str] = {}
    for start in range(0, len(addresses), 500):
        rows = session.exec(
            select(Mailbox.address, Agency.code)
            .join(Agency, col(Agency.id) == col(Mailbox.agency_id))
            .where(col(Mailbox.address).in_(addresses[start : start + 500]))
        )
        codes |= dict(rows.all())
    record(
        session,
        *(
            MailUsed(
                at=first[key],
                mailbox=key[0],
                agency_code=codes[key[0]],
                actor=key[0],
                read=counter["read"],
                answered=counter["answered"],
                filed=counter["filed"],
                removed=counter["removed"],
                drafted=counter["drafted"],
            )
            for key, counter in sorted(counts.items())
            if key[0] in codes
        ),
    )
