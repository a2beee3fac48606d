"""The door of programs: a bearer token, shown over TLS or on this machine (RFC 6750).

A token has 256 random bits, so the right one is never held off; whoever shows wrong ones is, by
network. Nothing here sets or reads a cookie, so no other site can make a browser knock.
"""

from collections import OrderedDict, deque
from datetime import datetime, timedelta
from ipaddress import ip_address

from sqlmodel import Session

from mailgov import ledger
from mailgov.clock import Clock
from mailgov.config import Config
from mailgov.db import Database
from mailgov.directory.api_tokens import Bearer, ended, find_bearer, note_use
from mailgov.directory.guard import Guard, Try, network_of
from mailgov.errors import NotAllowed, Unavailable
from mailgov.ledger.events import SignIn

_MINUTE = timedelta(minutes=1)
_MOST_TOKENS = 10_000  # whose calls are counted; the longest unused goes first


class BearerDoor:
    """Who calls, and how often."""

    def __init__(self, database: Database, clock: Clock, config: Config) -> None:
        self._database = database
        self._clock = clock
        self._calls_per_minute = config.api.calls_per_minute
        self._guard = Guard(config.limits)
        self._calls: OrderedDict[int, deque[datetime]] = OrderedDict()

    async def open(self, authorization: str, ip: str, *, encrypted: bool) -> Bearer:
        """Whose token it is.

        Raises NotAllowed `token-not-encrypted`, `token-missing`, `token-refused`, `token-expired`,
        `sign-in-later`; Unavailable `calls-too-many` with the seconds to wait.
        """
        if not encrypted and not _is_loopback(ip):
            raise NotAllowed("token-not-encrypted")
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise NotAllowed("token-missing")
        token, now = token.strip(), self._clock()
        bearer = await self._database.query(lambda session: find_bearer(session, token, now))
        if bearer is None:
            await self._refuse(token, ip, now)
            raise NotAllowed("token-refused")
        self._count(bearer, now)
        if not bearer.noted:
            await self._database.submit(lambda session: note_use(session, bearer, ip, now))
        return bearer

    async def _refuse(self, token: str, ip: str, now: datetime) -> None:
        """Count a wrong token, and write it down. Raises NotAllowed."""
        if await self._database.query(lambda session: ended(session, token, now)):
            raise NotAllowed("token-expired")
        network = network_of(ip)
        if self._guard.begin(Try("token", network), now):
            raise NotAllowed("sign-in-later")

        def write(session: Session) -> None:
            ledger.record(session, SignIn(at=now, channel="api", success=False, ip=ip))

        await self._database.submit(write)

    def _count(self, bearer: Bearer, now: datetime) -> None:
        calls = self._calls.setdefault(bearer.token_id, deque())
        self._calls.move_to_end(bearer.token_id)
        while len(self._calls) > _MOST_TOKENS:
            self._calls.popitem(last=False)
        while calls and calls[0] <= now - _MINUTE:
            calls.popleft()
        if len(calls) >= self._calls_per_minute:
            seconds = (calls[0] + _MINUTE - now).total_seconds()
            raise Unavailable("calls-too-many", seconds=max(1, round(seconds)))
        calls.append(now)


def _is_loopback(ip: str) -> bool:
    try:
        return ip_address(ip).is_loopback
    except ValueError:
        return False
