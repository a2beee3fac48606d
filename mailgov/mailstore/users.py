"""Who may read mail now: the directory as the mail store needs it, and Dovecot's file of it.

The directory is in the database, Dovecot reads a passwd-file. A cheap question, asked every second,
tells whether anything changed; only then is the file written anew, whole, by rename.
"""

import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import Session, col, func, select

from mailgov.addresses import Address
from mailgov.db import Database
from mailgov.db.models import Credential, EventRow, Mailbox
from mailgov.ledger.events import DirectoryChanged
from mailgov.mailstore import layout

# Signs that mean something in Dovecot's file or in the name of a master login.
_UNFIT = re.compile(r"[:*%\"\\\s]")


@dataclass(frozen=True, slots=True)
class User:
    """An active mailbox with a password. `password_hash` is an argon2id PHC string."""

    address: str
    password_hash: str
    quota_mb: int


@dataclass(frozen=True, slots=True)
class Change:
    """The users as they are now, and the addresses whose open sessions must end.

    Sessions end when the mailbox is no longer active, and when its password was changed: whoever
    knew the old one is out.
    """

    users: tuple[User, ...]
    ended: frozenset[str] = frozenset()


class Users:
    """Follows the directory. Both methods raise Unavailable `database-unavailable`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._version: tuple[object, ...] | None = None
        self._known: dict[str, User] = {}

    async def refresh(self) -> Change | None:
        """What changed since the last call; None when nothing did. The first call tells all."""
        version = await self._database.query(directory_version)
        if version == self._version:
            return None
        # The version is older than the users read after it: what comes between shows next time.
        users = {user.address: user for user in await self._database.query(active_users)}
        ended = frozenset(
            address
            for address, was in self._known.items()
            if address not in users or users[address].password_hash != was.password_hash
        )
        self._version, self._known = version, users
        return Change(tuple(users.values()), ended)


def directory_version(session: Session) -> tuple[object, ...]:
    """A value that differs whenever somebody's right to read mail may differ."""
    newest = (
        select(EventRow.id)
        .where(EventRow.kind == DirectoryChanged.kind)
        .order_by(col(EventRow.at).desc(), col(EventRow.id).desc())
        .limit(1)
    )
    credentials = select(
        func.count(col(Credential.id)),
        func.max(Credential.created_at),
        func.max(Credential.revoked_at),
    )
    return session.exec(newest).first(), *session.exec(credentials).one()


def active_users(session: Session) -> list[User]:
    """Every active mailbox with its password in force, in the order of addresses."""
    rows = session.exec(
        select(Mailbox.address, Credential.hash, Mailbox.quota_mb)
        .join(Credential, col(Credential.mailbox_id) == Mailbox.id)
        .where(
            Mailbox.state == "active",
            Credential.kind == "password",
            col(Credential.revoked_at).is_(None),
        )
        .order_by(Mailbox.address, col(Credential.id))
    )
    # Of several passwords the newest counts.
    newest = {address: User(address, phc, quota) for address, phc, quota in rows}
    return list(newest.values())


def passwd_file(users: tuple[User, ...], data: Path) -> str:
    """The users as a passwd-file of Dovecot 2.3: passwords, homes and quotas.

    Addresses with signs that the format or the master login can't carry are left out.
    """
    return "".join(_line(user, data) for user in users if not _UNFIT.search(user.address))


def _line(user: User, data: Path) -> str:
    name = user.address.replace("'", r"\'")  # Dovecot looks names up with quotes escaped
    home = layout.home(data, Address.parse(user.address))
    quota = f"userdb_quota_rule=*:storage={user.quota_mb}M"
    return f"{name}:{{ARGON2ID}}{user.password_hash}::::{home}::{quota}\n"


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
