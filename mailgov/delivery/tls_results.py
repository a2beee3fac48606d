"""How sessions with other servers were secured, for the daily reports (TLS-RPT, RFC 8460)."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import cast

from sqlalchemy import Table, insert, inspect
from sqlmodel import Session

from mailgov.clock import Clock
from mailgov.db import Database
from mailgov.db.models import TlsResult
from mailgov.errors import Unavailable
from mailgov.logs import logger

WRITE_SECONDS = 30.0
"""Results are counted in memory and written down so often; a crash loses no more than these."""

MAX_COUNTED = 10_000

_TABLE = cast("Table", inspect(TlsResult).local_table)

log = logger("delivery")


@dataclass(frozen=True, slots=True)
class AppliedPolicy:
    """Which policy of the recipients' domain was in force (RFC 8460, 4.2)."""

    domain: str
    type: str = "no-policy-found"  # or tlsa, sts
    strings: tuple[str, ...] = ()
    mx: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Observed:
    """One kind of result."""

    policy: AppliedPolicy
    result: str = ""  # empty: success; else a result type of RFC 8460, 4.3
    host: str = ""
    address: str = ""
    reason: str = ""
    local_address: str = ""  # from which we called; empty: nobody was called


class TlsResults:
    """Counts results and writes the counts down from time to time."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._counts: Counter[Observed] = Counter()
        self._written = float("-inf")

    def note(self, observed: Observed) -> None:
        """One session, or one policy that could not be had."""
        if observed in self._counts or len(self._counts) < MAX_COUNTED:
            self._counts[observed] += 1

    async def tend(self) -> None:
        """Write down what was counted, if it is time."""
        now = asyncio.get_running_loop().time()
        if self._counts and now - self._written >= WRITE_SECONDS:
            self._written = now
            await self.write()

    async def write(self) -> None:
        """Write down what was counted. Mail does not wait for that: trouble costs a few counts."""
        counts, self._counts = self._counts, Counter()
        if not counts:
            return
        at = self._clock()
        rows = [
            {
                "at": at,
                "policy_domain": observed.policy.domain,
                "policy_type": observed.policy.type,
                "policy_strings": list(observed.policy.strings),
                "mx_hosts": list(observed.policy.mx),
                "result": observed.result,
                "sending_ip": observed.local_address,
                "receiving_host": observed.host,
                "receiving_ip": observed.address,
                "reason": observed.reason,
                "sessions": sessions,
            }
            for observed, sessions in counts.items()
        ]

        def work(session: Session) -> None:
            session.connection().execute(insert(_TABLE), rows)

        try:
            await self._database.submit(work)
        except Unavailable as exc:
            log.warning("tls-results.lost", results=len(rows), why=str(exc))
