"""Who may read mail now: the directory as the mail store needs it, and Dovecot's files of it.

The directory is in the database, Dovecot reads passwd-files. A cheap question, asked every second,
tells whether anything changed; only then are the files written anew, whole, by rename.
"""

import os
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

import sqlalchemy
from sqlalchemy import bindparam
from sqlalchemy.orm import Mapped, aliased
from sqlmodel import Session, and_, col, func, or_, select

from mailgov.addresses import Address
from mailgov.clock import Clock, local_date, utc_now
from mailgov.db import Database
from mailgov.db.models import Credential, Delegation, EventRow, Mailbox, SecondFactor
from mailgov.ledger.events import DirectoryChanged
from mailgov.mailstore import layout

# PostgreSQL numbers events when they are written and shows them when their transaction ends: one
# with a lower number may show up after its successors, but not after so many.
LATE_EVENTS = 1000
# Signs that mean something in Dovecot's file or in the name of a master login.
_UNFIT = re.compile(r"[:*%\"\\\s]")
# A digest of nothing that anybody could type.
_CLOSED = "{SHA256}" + "A" * 43 + "="

Programs = Literal["password", "until-second-factor", "app-password"]


@dataclass(frozen=True, slots=True)
class User:
    """A mailbox that something opens.

    `password_hash` is an argon2id PHC string, empty where the password does not open IMAP; `apps`
    are the app passwords that do: digest, and number of the credential. `home` is the address whose
    folder holds the mail, empty for its own. `read_only`: it was recalled, and may still be read; or
    it is suspended, and only the webmail opens it, to be read.
    `shared_with`: who may read it besides, and whether they may also work in it.
    """

    address: str
    password_hash: str
    quota_mb: int
    apps: frozenset[tuple[str, int]] = frozenset()
    home: str = ""
    is_open: bool = True
    read_only: bool = False
    shared_with: frozenset[tuple[str, bool]] = frozenset()


@dataclass(frozen=True, slots=True)
class Change:
    """The users as they are now, and the addresses whose open sessions must end.

    Sessions end when the mailbox is no longer open, when its password was changed (whoever knew the
    old one is out), and when the right to another's mailbox ended. `closed` are mailboxes that take
    mail and that nobody signs in to, such as those of offices.
    """

    users: tuple[User, ...]
    ended: frozenset[str] = frozenset()
    closed: tuple[User, ...] = ()


class Users:
    """Follows the directory. Every change of it leaves an event in the same transaction."""

    def __init__(
        self, database: Database, programs: Programs = "password", clock: Clock = utc_now
    ) -> None:
        self._database = database
        self._programs = programs
        self._clock = clock
        self._day: date | None = None  # rights end with days
        self._known: dict[str, User] | None = None
        self._after = 0  # events up to this one need no further look
        self._seen: frozenset[int] = frozenset()  # changes after it that were taken in

    async def refresh(self) -> Change | None:
        """What changed since the last call; None when nothing did. The first call tells all.

        Raises Unavailable `database-unavailable`.
        """
        after, today = self._after, local_date(self._clock())
        newest, changes = await self._database.query(lambda s: _changes(s, after))
        change = None
        if self._known is None or today != self._day or not changes <= self._seen:
            # The users are read after the events: what comes between shows next time.
            users = await self._database.query(lambda s: all_users(s, today, self._programs))
            now = {user.address: user for user in users}
            change = _change(self._known or {}, now)
            self._known = now
        self._after, self._seen, self._day = max(0, newest - LATE_EVENTS), changes, today
        return change


def _changes(session: Session, after: int) -> tuple[int, frozenset[int]]:
    """The newest event, and the changes of the directory after one. Looks at the newest rows only."""
    newest = session.exec(select(func.max(EventRow.id))).one() or 0
    found = session.exec(
        select(EventRow.id).where(col(EventRow.id) > after, EventRow.kind == DirectoryChanged.kind)
    )
    return newest, frozenset(id_ for id_ in found if id_ is not None)


def _change(was: dict[str, User], now: dict[str, User]) -> Change:
    nobody = User("", "", 0, is_open=False)
    ended = {
        address
        for address, user in was.items()
        if user.is_open and _is_out(user, now.get(address, nobody))
    }
    for address, user in was.items():
        ended |= {holder for holder, _ in user.shared_with - now.get(address, nobody).shared_with}
    return Change(
        tuple(user for user in now.values() if user.is_open),
        frozenset(ended),
        tuple(user for user in now.values() if not user.is_open),
    )


def _is_out(was: User, now: User) -> bool:
    return (
        not now.is_open
        or now.password_hash != was.password_hash
        or not was.apps <= now.apps
        or (now.read_only and not was.read_only)
    )


@cache
def _all() -> Any:
    """The statement for every mailbox, built once; `today` is bound."""
    signs_in = and_(col(Mailbox.state) == "active", col(Mailbox.locked_at).is_(None))
    reads_on = and_(
        col(Mailbox.state) == "recalled",
        col(Mailbox.holder_reads),
        col(Mailbox.readable_until) >= bindparam("today"),
    )
    reads_in_web = col(Mailbox.state) == "suspended"
    return (
        sqlalchemy.select(
            col(Mailbox.address),
            col(Mailbox.quota_mb),
            col(Mailbox.home),
            signs_in,
            reads_on,
            reads_in_web,
            cast("Mapped[str | None]", col(Credential.kind)),
            col(Credential.hash),
            col(Credential.scopes),
            cast("Mapped[int]", col(Credential.id)),  # none where there is no credential
            col(SecondFactor.confirmed_at),
        )
        .join(
            Credential,
            and_(
                col(Credential.mailbox_id) == col(Mailbox.id),
                col(Credential.revoked_at).is_(None),
            ),
            isouter=True,
        )
        .join(SecondFactor, col(SecondFactor.mailbox_id) == col(Mailbox.id), isouter=True)
        .where(col(Mailbox.kind) != "group", col(Mailbox.removed_at).is_(None))
        .order_by(col(Mailbox.address), col(Credential.id))
    )


def all_users(session: Session, today: date, programs: Programs = "password") -> list[User]:
    """Every mailbox, in the order of addresses; who may open it, and how.

    `programs` is the setting of that name in `[sign_in]`.
    """
    rows = session.connection().execute(_all(), {"today": today})
    shared = _shared(session, today)
    users: dict[str, User] = {}
    for row in rows:
        address, quota_mb, home, opens, reads, in_web, kind, stored, scopes, number, second = row
        user = users.get(address) or User(
            address, "", quota_mb, home=home, is_open=False,
            shared_with=shared.get(address, frozenset()),
        )  # fmt: skip
        if kind is not None and (opens or reads or in_web):
            # Also one whose password opens no program: the webmail opens the mailbox in its own name.
            user = replace(user, is_open=True, read_only=not opens)
            if in_web:
                pass  # no program gets in
            elif kind == "app":
                if "imap" in scopes.split():
                    user = replace(user, apps=user.apps | {(stored, number)})
            elif programs == "password" or (programs == "until-second-factor" and second is None):
                user = replace(user, password_hash=stored)  # of several the newest counts
        users[address] = user
    return list(users.values())


@cache
def _shares() -> Any:
    """The statement for rights to others' mailboxes, built once; `today` is bound."""
    holder = aliased(Mailbox)
    return (
        sqlalchemy.select(col(Mailbox.address), col(holder.address), col(Delegation.rights))
        .join(Delegation, col(Delegation.mailbox_id) == col(Mailbox.id))
        .join(holder, col(holder.id) == col(Delegation.holder_id))
        .where(
            or_(col(Delegation.until).is_(None), col(Delegation.until) >= bindparam("today")),
            col(holder.state) == "active",
            col(Mailbox.state) == "active",
        )
    )


def _shared(session: Session, today: date) -> dict[str, frozenset[tuple[str, bool]]]:
    """Who may read which mailbox besides its holder, and whether they may write in its name."""
    rows = session.connection().execute(_shares(), {"today": today})
    rights: dict[tuple[str, str], set[str]] = {}
    for address, user, right in rows:
        rights.setdefault((address, user), set()).add(right)
    shared: dict[str, frozenset[tuple[str, bool]]] = {}
    for (address, user), given in rights.items():
        if "read" in given:
            shared[address] = shared.get(address, frozenset()) | {(user, len(given) > 1)}
    return shared


def passwd_file(users: tuple[User, ...]) -> str:
    """The users as a passwd-file of Dovecot: who signs in, with which password.

    Addresses with signs that the format or the master login can't carry are left out.
    """
    return "".join(
        f"{_escaped(user.address)}:{_stored(user)}\n"
        for user in users
        if not _UNFIT.search(user.address)
    )


def homes_file(users: Iterable[User], data: Path) -> str:
    """All mailboxes as a passwd-file: where their mail lies, and their quota."""
    return "".join(_home(user, data) for user in users if not _UNFIT.search(user.address))


def _escaped(address: str) -> str:
    return address.replace("'", r"\'")  # Dovecot looks names up with quotes escaped


def _stored(user: User) -> str:
    return f"{{ARGON2ID}}{user.password_hash}" if user.password_hash else _CLOSED


def _home(user: User, data: Path) -> str:
    home = layout.home(data, Address.parse(user.home or user.address))
    space = f"{user.quota_mb}M"
    # Each version of Dovecot takes its own field of these and passes over the other.
    quota = f"userdb_quota_rule=*:storage={space} userdb_quota_storage_size={space}"
    return f"{_escaped(user.address)}:::::{home}::{quota}\n"


def apps_file(users: tuple[User, ...]) -> str:
    """The app passwords as a second passwd-file, in which address and digest are the name."""
    return "".join(
        f"{_escaped(user.address)}/{digest}:::::::nopassword=y app={number}\n"
        for user in users
        if not _UNFIT.search(user.address)
        for digest, number in sorted(user.apps)
    )


def write_whole(file: Path, text: str) -> None:
    """Replace a file that others may be reading; only its owner may read it. Blocks on the disk.

    Dovecot notices a change by size and by the second of the modification time, so the time always
    moves on by a second at least.
    """
    draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    if file.exists():
        then = int(file.stat().st_mtime)
        if draft.stat().st_mtime < then + 1:
            os.utime(draft, (then + 1, then + 1))
    draft.replace(file)
