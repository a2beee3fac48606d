"""Who may read mail now: the directory as the mail store needs it, and Dovecot's file of it.

The directory is in the database, Dovecot reads a passwd-file. A cheap question, asked every second,
tells whether anything changed; only then is the file written anew, whole, by rename.
"""

import os
import re
import secrets
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

import sqlalchemy
from sqlalchemy.orm import Mapped
from sqlmodel import Session, col, func, select

from mailgov.addresses import Address
from mailgov.db import Database
from mailgov.db.models import Credential, EventRow, Mailbox, SecondFactor
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
    """An active mailbox that something opens.

    `password_hash` is an argon2id PHC string, empty where the password does not open IMAP; `apps`
    are the app passwords that do: digest, and number of the credential. `home` is the address whose
    folder holds the mail, empty for its own.
    """

    address: str
    password_hash: str
    quota_mb: int
    apps: frozenset[tuple[str, int]] = frozenset()
    home: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """The users as they are now, and the addresses whose open sessions must end.

    Sessions end when the mailbox is no longer active, and when its password was changed: whoever
    knew the old one is out.
    """

    users: tuple[User, ...]
    ended: frozenset[str] = frozenset()


class Users:
    """Follows the directory. Every change of it leaves an event in the same transaction."""

    def __init__(self, database: Database, programs: Programs = "password") -> None:
        self._database = database
        self._programs = programs
        self._known: dict[str, User] | None = None
        self._after = 0  # events up to this one need no further look
        self._seen: frozenset[int] = frozenset()  # changes after it that were taken in

    async def refresh(self) -> Change | None:
        """What changed since the last call; None when nothing did. The first call tells all.

        Raises Unavailable `database-unavailable`.
        """
        after = self._after
        newest, changes = await self._database.query(lambda s: _changes(s, after))
        change = None
        if self._known is None or not changes <= self._seen:
            # The users are read after the events: what comes between shows next time.
            users = await self._database.query(lambda s: active_users(s, self._programs))
            now = {user.address: user for user in users}
            change = _change(self._known or {}, now)
            self._known = now
        self._after, self._seen = max(0, newest - LATE_EVENTS), changes
        return change


def _changes(session: Session, after: int) -> tuple[int, frozenset[int]]:
    """The newest event, and the changes of the directory after one. Looks at the newest rows only."""
    newest = session.exec(select(func.max(EventRow.id))).one() or 0
    found = session.exec(
        select(EventRow.id).where(col(EventRow.id) > after, EventRow.kind == DirectoryChanged.kind)
    )
    return newest, frozenset(id_ for id_ in found if id_ is not None)


def _change(was: dict[str, User], now: dict[str, User]) -> Change:
    ended = frozenset(
        address
        for address, user in was.items()
        if address not in now
        or now[address].password_hash != user.password_hash
        or not user.apps <= now[address].apps
    )
    return Change(tuple(now.values()), ended)


def active_users(session: Session, programs: Programs = "password") -> list[User]:
    """Every active mailbox that a password opens for IMAP, in the order of addresses.

    `programs` is the setting of that name in `[sign_in]`.
    """
    rows = session.connection().execute(
        sqlalchemy.select(
            col(Mailbox.address),
            col(Mailbox.quota_mb),
            col(Mailbox.home),
            col(Credential.kind),
            col(Credential.hash),
            col(Credential.scopes),
            cast("Mapped[int]", col(Credential.id)),  # no stored row is without
            col(SecondFactor.confirmed_at),
        )
        .join(Credential, col(Credential.mailbox_id) == col(Mailbox.id))
        .join(SecondFactor, col(SecondFactor.mailbox_id) == col(Mailbox.id), isouter=True)
        .where(col(Mailbox.state) == "active", col(Credential.revoked_at).is_(None))
        .order_by(col(Mailbox.address), col(Credential.id))
    )
    users: dict[str, User] = {}
    for address, quota_mb, home, kind, stored, scopes, number, second_factor in rows:
        user = users.get(address, User(address, "", quota_mb, home=home))
        if kind == "app":
            if "imap" in scopes.split():
                user = replace(user, apps=user.apps | {(stored, number)})
        elif programs == "password" or (
            programs == "until-second-factor" and second_factor is None
        ):
            user = replace(user, password_hash=stored)  # of several the newest counts
        # Also one whose password opens no program: the webmail opens the mailbox in its own name.
        users[address] = user
    return list(users.values())


def passwd_file(users: tuple[User, ...], data: Path) -> str:
    """The users as a passwd-file of Dovecot 2.3: passwords, homes and quotas.

    Addresses with signs that the format or the master login can't carry are left out.
    """
    return "".join(_line(user, data) for user in users if not _UNFIT.search(user.address))


def _escaped(address: str) -> str:
    return address.replace("'", r"\'")  # Dovecot looks names up with quotes escaped


def _line(user: User, data: Path) -> str:
    name = _escaped(user.address)
    home = layout.home(data, Address.parse(user.home or user.address))
    quota = f"userdb_quota_rule=*:storage={user.quota_mb}M"
    stored = f"{{ARGON2ID}}{user.password_hash}" if user.password_hash else _CLOSED
    return f"{name}:{stored}::::{home}::{quota}\n"


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
