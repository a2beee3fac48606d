"""Removing the mail of a recalled mailbox for good, with a receipt.

The intent is written down first, with the receipt's number and what there was; then the files go, then
the rest. What a crash leaves in between is finished by asking again: the receipt stays the same.
"""

import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy import delete
from sqlalchemy import select as plain_select
from sqlmodel import Session, col, func, select

from mailgov import ledger
from mailgov.addresses import Address
from mailgov.clock import local_date
from mailgov.db import Database
from mailgov.db.models import (
    Absence,
    AbsenceAnswer,
    Activation,
    Agency,
    Alias,
    Credential,
    Delegation,
    Draft,
    DraftFile,
    Forward,
    GroupMember,
    KnownPlace,
    Mailbox,
    RecoveryCode,
    SecondFactor,
    Told,
    WebSession,
)
from mailgov.directory.change import Act
from mailgov.directory.provisioning import get_mailbox
from mailgov.errors import Conflict
from mailgov.ledger.events import MailboxRemoved
from mailgov.mailstore import layout

_OWN = (
    Absence,
    AbsenceAnswer,
    Activation,
    Alias,
    Credential,
    Forward,
    KnownPlace,
    RecoveryCode,
    SecondFactor,
    Told,
    WebSession,
)
"""Tables whose rows go with the mailbox they name."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was removed, for the file. `done`: it had been removed before."""

    number: str
    address: str
    name: str
    files: int
    size_bytes: int
    done: bool = False

    def as_record(self) -> dict[str, Any]:
        """For people and programs."""
        return {
            "receipt": self.number,
            "address": self.address,
            "name": self.name,
            "files": self.files,
            "bytes": self.size_bytes,
        }


def require_removable(mailbox: Mailbox, today: date) -> None:
    """Only what was recalled, and is kept no longer. Raises Conflict `mailbox-not-recalled`, `mailbox-kept`."""
    if mailbox.state != "recalled":
        raise Conflict("mailbox-not-recalled", address=mailbox.address)
    until = mailbox.kept_until or mailbox.readable_until
    if until is not None and until >= today:
        raise Conflict("mailbox-kept", address=mailbox.address, until=until.strftime("%d/%m/%Y"))


def preview(session: Session, act: Act, data: Path, address: str) -> Receipt:
    """What would be removed. Raises what `remove` raises."""
    mailbox = get_mailbox(session, address)
    require_removable(mailbox, local_date(act.at))
    files, size_bytes = _measure(_home(data, mailbox))
    done = mailbox.removed_at is not None
    return Receipt(mailbox.receipt, mailbox.address, mailbox.display_name, files, size_bytes, done)


def remove(database: Database, act: Act, data: Path, address: str) -> Receipt:
    """Remove the mail and everything that belonged to the mailbox but its name and its history.

    The address stays taken: what was sent to somebody must not reach somebody else. Blocks on the
    disk. Raises NotFound `mailbox-unknown`; Conflict `mailbox-not-recalled`, `mailbox-kept`.
    """
    with database.write() as session:
        mailbox = get_mailbox(session, address)
        require_removable(mailbox, local_date(act.at))
        home = _home(data, mailbox)
        files, size_bytes = _measure(home)
        if mailbox.removed_at is not None:
            return Receipt(mailbox.receipt, mailbox.address, mailbox.display_name, 0, 0, done=True)
        if not mailbox.receipt:
            mailbox.receipt = _next_receipt(session, local_date(act.at))
            session.add(mailbox)
            _record(session, act, mailbox, "begun", files, size_bytes)
        receipt = Receipt(mailbox.receipt, mailbox.address, mailbox.display_name, files, size_bytes)
    _delete_files(home)
    with database.write() as session:
        mailbox = get_mailbox(session, address)
        _delete_rows(session, mailbox)
        mailbox.removed_at = act.at
        session.add(mailbox)
        _record(session, act, mailbox, "done", receipt.files, receipt.size_bytes)
    return receipt


def _home(data: Path, mailbox: Mailbox) -> Path:
    return layout.home(data, Address.parse(mailbox.home or mailbox.address))


def _measure(home: Path) -> tuple[int, int]:
    sizes = [path.lstat().st_size for path in home.rglob("*") if path.is_file()]
    return len(sizes), sum(sizes)


def _delete_files(home: Path) -> None:
    """Under another name first: nothing may be delivered there meanwhile, nor half of it be found."""
    gone = home.with_name(f".removed-{home.name}")
    if home.exists():
        home.rename(gone)
    if gone.exists():
        shutil.rmtree(gone)


def _next_receipt(session: Session, today: date) -> str:
    """Numbered within the day, such as `xoa-2026-12-31-1`."""
    day = f"xoa-{today.isoformat()}-"
    count = select(func.count(col(Mailbox.id))).where(col(Mailbox.receipt).startswith(day))
    return f"{day}{session.exec(count).one() + 1}"


def _delete_rows(session: Session, mailbox: Mailbox) -> None:
    connection = session.connection()
    drafts = plain_select(col(Draft.id)).where(col(Draft.mailbox_id) == mailbox.id)
    connection.execute(delete(DraftFile).where(col(DraftFile.draft_id).in_(drafts)))
    connection.execute(delete(Draft).where(col(Draft.mailbox_id) == mailbox.id))
    for table in _OWN:
        connection.execute(delete(table).where(col(table.mailbox_id) == mailbox.id))
    connection.execute(
        delete(Delegation).where(
            (col(Delegation.mailbox_id) == mailbox.id) | (col(Delegation.holder_id) == mailbox.id)
        )
    )
    connection.execute(delete(GroupMember).where(col(GroupMember.member_id) == mailbox.id))


def _record(
    session: Session, act: Act, mailbox: Mailbox, step: str, files: int, size_bytes: int
) -> None:
    ledger.record(
        session,
        MailboxRemoved(
            at=act.at,
            actor=act.actor,
            mailbox=mailbox.address,
            agency_code=session.get_one(Agency, mailbox.agency_id).code,
            receipt=mailbox.receipt,
            step=step,
            files=files,
            size_bytes=size_bytes,
            reason=act.reason,
        ),
    )


def unfinished(session: Session) -> list[str]:
    """Mailboxes whose removal has begun and not ended."""
    query = (
        select(Mailbox.address)
        .where(Mailbox.receipt != "", col(Mailbox.removed_at).is_(None))
        .order_by(Mailbox.address)
    )
    return list(session.exec(query))
