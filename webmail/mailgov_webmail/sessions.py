"""Sign-ins: a random token in a cookie, its hash in a row, limits on idle and whole time.

Rule D08: 15 minutes without use, 5 for administrators. Typing counts as use, polling does not.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import update
from sqlmodel import Session, col, select

from mailgov.clock import Clock
from mailgov.config import Web
from mailgov.db import Database
from mailgov.db.models import Mailbox, WebSession
from mailgov.directory import Account, Directory
from mailgov_webmail.security import new_token

MOST_PER_MAILBOX = 10  # sign-ins at once; an eleventh ends the oldest
_NOTED_EVERY = timedelta(seconds=30)  # use is written this often, not at every request
_ADMINISTRATORS = frozenset({"it", "security-officer"})


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A sign-in that holds. `token_hash` names it; `csrf` must be in every form."""

    account: Account
    token_hash: str
    csrf: str
    until: datetime  # ends without further use


@dataclass(frozen=True, slots=True)
class Device:
    """A sign-in as its owner sees it."""

    token_hash: str
    agent: str
    ip: str
    created_at: datetime
    used_at: datetime


class Sessions:
    """All sign-ins. Every method raises Unavailable `database-unavailable`."""

    def __init__(
        self, database: Database, directory: Directory, clock: Clock, settings: Web
    ) -> None:
        self._database = database
        self._directory = directory
        self._clock = clock
        self._settings = settings

    async def start(self, account: Account, *, agent: str, ip: str, replaces: str = "") -> str:
        """A new token for the account; the sign-in under the token `replaces` ends."""
        token = new_token()
        now = self._clock()
        row = WebSession(
            token_hash=_hash(token),
            mailbox_id=account.mailbox_id,
            csrf=new_token(),
            agent=agent[:200],
            ip=ip,
            created_at=now,
            used_at=now,
        )

        def work(session: Session) -> None:
            if replaces:
                _end(session, now, col(WebSession.token_hash) == _hash(replaces))
            for old in _open(session, account.mailbox_id)[MOST_PER_MAILBOX - 1 :]:
                old.ended_at = now
            session.add(row)

        await self._database.submit(work)
        return token

    async def find(self, token: str, *, using: bool = True) -> SignedIn | None:
        """The sign-in of a token; None when it is unknown, ended or over its limits.

        `using` False looks without counting as use.
        """
        token_hash = _hash(token)
        found = await self._database.query(lambda session: _read(session, token_hash))
        if found is None:
            return None
        row, address = found
        account = await self._directory.account(address)
        now = self._clock()
        if account is None or now >= self._until(row, account):
            return None
        if account.state != "active" and not account.only_reads:
            return None
        if using and now - row.used_at >= _NOTED_EVERY:
            await self._note_use(token_hash, now)
            row.used_at = now
        return SignedIn(account, token_hash, row.csrf, self._until(row, account))

    def _until(self, row: WebSession, account: Account) -> datetime:
        administers = any(role.role in _ADMINISTRATORS for role in account.roles)
        minutes = self._settings.admin_idle_minutes if administers else self._settings.idle_minutes
        return min(
            row.used_at + timedelta(minutes=minutes),
            row.created_at + timedelta(hours=self._settings.absolute_hours),
        )

    async def _note_use(self, token_hash: str, now: datetime) -> None:
        await self._database.submit(
            lambda session: session.connection().execute(
                update(WebSession)
                .where(col(WebSession.token_hash) == token_hash)
                .values(used_at=now)
            )
        )

    async def end(self, token: str) -> None:
        """Sign out."""
        now, token_hash = self._clock(), _hash(token)
        await self._database.submit(
            lambda session: _end(session, now, col(WebSession.token_hash) == token_hash)
        )

    async def end_others(self, signed_in: SignedIn) -> None:
        """Sign out everywhere but here."""
        now = self._clock()
        mine = col(WebSession.mailbox_id) == signed_in.account.mailbox_id
        here = col(WebSession.token_hash) == signed_in.token_hash
        await self._database.submit(lambda session: _end(session, now, mine & ~here))

    async def devices(self, signed_in: SignedIn) -> list[Device]:
        """Sign-ins of the mailbox that may still hold, newest use first."""
        oldest = self._clock() - timedelta(minutes=self._settings.idle_minutes)

        def work(session: Session) -> list[Device]:
            return [
                Device(row.token_hash, row.agent, row.ip, row.created_at, row.used_at)
                for row in _open(session, signed_in.account.mailbox_id)
                if row.used_at > oldest
            ]

        return await self._database.query(work)


def _hash(token: str) -> str:
    # 192 random bits need no slow hash.
    return hashlib.sha256(token.encode()).hexdigest()


def _read(session: Session, token_hash: str) -> tuple[WebSession, str] | None:
    row = session.exec(
        select(WebSession, Mailbox.address)
        .join(Mailbox, col(Mailbox.id) == WebSession.mailbox_id)
        .where(WebSession.token_hash == token_hash, col(WebSession.ended_at).is_(None))
    ).first()
    if row is None:
        return None
    found, address = row
    session.expunge(found)
    return found, address


def _open(session: Session, mailbox_id: int) -> list[WebSession]:
    return list(
        session.exec(
            select(WebSession)
            .where(WebSession.mailbox_id == mailbox_id, col(WebSession.ended_at).is_(None))
            .order_by(col(WebSession.used_at).desc())
        )
    )


def _end(session: Session, now: datetime, which: object) -> None:
    session.connection().execute(
        update(WebSession)
        .where(col(WebSession.ended_at).is_(None), which)  # type: ignore[arg-type]  # a column expression
        .values(ended_at=now)
    )
