"""Working copies of letters, kept on the server: text and files survive whatever happens.

The form carries the version it was made from. A save from an older one is refused, so that two tabs
never overwrite each other unseen.
"""

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import delete, update
from sqlmodel import Session, col, select

from mailgov.clock import Clock, local_date
from mailgov.db import Database
from mailgov.db.models import Draft as DraftRow
from mailgov.db.models import DraftFile
from mailgov.directory import Account
from mailgov.errors import Conflict, NotFound
from mailgov.ledger import record
from mailgov.ledger.events import DraftWritten, MessageChecked
from mailgov_webmail.compose.letter import Letter

T = TypeVar("T")

# A sending that never came back (the process died) gives the draft free again.
SENDING_ENDS = timedelta(minutes=5)
_DISCARDED_KEPT = timedelta(days=7)
_RECENT = 40  # sent letters looked at for the writer's own document types
_MOST_RECENT = 4
_DRAFT_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class File:
    """A file kept with a draft."""

    id: int
    name: str
    media_type: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Undo:
    """One step back: the letter's text before a repair, a file taken out, or one that was added."""

    subject: str = ""
    body: str = ""
    file_id: int = 0
    added_id: int = 0


@dataclass(frozen=True, slots=True)
class Draft:
    """A letter with its files at one version."""

    id: str
    letter: Letter
    version: int = 0
    files: tuple[File, ...] = ()
    state: str = "open"
    saved_at: datetime | None = None  # None: never
    undo: Undo | None = None

    @property
    def size_bytes(self) -> int:
        """All files together."""
        return sum(file.size_bytes for file in self.files)


class DraftChanged(Conflict):
    """The draft was saved elsewhere since the form was made."""


def new_draft_id() -> str:
    """A name nobody guesses."""
    return secrets.token_hex(16)


def is_draft_id(text: str) -> bool:
    """Whether it looks like one of ours."""
    return _DRAFT_ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Drafts:
    """The drafts of one mailbox. Every method raises Unavailable `database-unavailable`."""

    database: Database
    clock: Clock
    account: Account

    async def find(self, draft_id: str) -> Draft | None:
        """The draft in any state; None when there is none, or it is someone else's."""
        return await self.database.query(lambda session: self._find(session, draft_id))

    async def open_ones(self) -> Sequence[Draft]:
        """Drafts being written, the last changed first."""

        def work(session: Session) -> list[Draft]:
            rows = session.exec(
                select(DraftRow)
                .where(DraftRow.mailbox_id == self.account.mailbox_id, DraftRow.state == "open")
                .order_by(col(DraftRow.updated_at).desc())
                .limit(200)
            )
            return [read_draft(session, row) for row in rows]

        return await self.database.query(work)

    async def recent_documents(self) -> tuple[str, ...]:
        """Document types of the writer's last letters, the latest first."""

        def work(session: Session) -> tuple[str, ...]:
            rows = session.exec(
                select(DraftRow.fields)
                .where(DraftRow.mailbox_id == self.account.mailbox_id, DraftRow.state == "sent")
                .order_by(col(DraftRow.updated_at).desc())
                .limit(_RECENT)
            )
            kinds = [str(fields.get("document", "")) for fields in rows]
            return tuple(dict.fromkeys(filter(None, kinds)))[:_MOST_RECENT]

        return await self.database.query(work)

    async def save(
        self, draft_id: str, letter: Letter, version: int, *, undo: Undo | None = None
    ) -> Draft:
        """Keep the letter. Raises DraftChanged `draft-changed`, NotFound `draft-missing`."""

        def change(fields: dict[str, Any]) -> None:
            fields["letter"] = letter.row()
            fields["undo"] = (
                [undo.subject, undo.body, undo.file_id, undo.added_id] if undo else None
            )

        return await self._change(draft_id, version, change)

    async def add_files(
        self,
        draft_id: str,
        version: int,
        files: Sequence[tuple[str, str, bytes]],
        *,
        as_repair: bool = False,
    ) -> Draft:
        """Keep files (name, media type, content) with a saved draft; a repair adds one."""
        now = self.clock()

        def work(session: Session) -> Draft:
            row = self._writable(session, draft_id, version)
            kept = [
                DraftFile(
                    draft_id=draft_id,
                    name=name,
                    media_type=media_type,
                    size_bytes=len(content),
                    content=content,
                    created_at=now,
                )
                for name, media_type, content in files
            ]
            session.add_all(kept)
            fields = dict(row.fields)
            if as_repair:
                session.flush()
                fields["undo"] = ["", "", 0, kept[0].id]
            return self._written(session, row, fields)

        return await self.database.submit(work)

    async def rename_file(self, draft_id: str, version: int, file_id: int, name: str) -> Draft:
        """Give a file another name."""

        def work(session: Session) -> Draft:
            row = self._writable(session, draft_id, version)
            session.connection().execute(
                update(DraftFile)
                .where(col(DraftFile.id) == file_id, col(DraftFile.draft_id) == draft_id)
                .values(name=name)
            )
            return self._written(session, row, dict(row.fields))

        return await self.database.submit(work)

    async def take_out(self, draft_id: str, version: int, file_id: int) -> Draft:
        """Take a file out of the letter; it stays until the draft is sent, for one step back."""

        def change(fields: dict[str, Any]) -> None:
            fields["out"] = sorted({*fields.get("out", []), file_id})
            fields["undo"] = ["", "", file_id]

        return await self._change(draft_id, version, change)

    async def put_back(self, draft_id: str, version: int, file_id: int) -> Draft:
        """Put a file back into the letter."""

        def change(fields: dict[str, Any]) -> None:
            fields["out"] = [other for other in fields.get("out", []) if other != file_id]
            fields["undo"] = None

        return await self._change(draft_id, version, change)

    async def contents(self, draft: Draft) -> list[tuple[File, bytes]]:
        """The files of a letter with their bytes."""
        wanted = {file.id: file for file in draft.files}

        def work(session: Session) -> list[tuple[File, bytes]]:
            rows = session.exec(
                select(DraftFile.id, DraftFile.content)
                .where(DraftFile.draft_id == draft.id, col(DraftFile.id).in_(list(wanted)))
                .order_by(col(DraftFile.id))
            )
            return [(wanted[key], content) for key, content in rows if key is not None]

        return await self.database.query(work)

    async def checked(self, draft_id: str, codes: Sequence[str]) -> None:
        """Write down that the writer was told of findings, once for each set of them."""

        def work(session: Session) -> None:
            row = session.get(DraftRow, draft_id)
            known = row.fields.get("checked") if row is not None else None
            if not codes or known == list(codes):
                return
            if row is not None and row.mailbox_id == self.account.mailbox_id:
                row.fields = {**row.fields, "checked": list(codes)}
            record(
                session,
                MessageChecked(
                    at=self.clock(),
                    mailbox=self.account.address,
                    agency_code=self.account.agency_code,
                    actor=self.account.address,
                    draft=draft_id,
                    codes=list(codes),
                ),
            )

        await self.database.submit(work)

    async def claim(self, draft_id: str) -> bool:
        """Take the draft for sending. False when it is being sent, was sent or is gone."""
        now = self.clock()

        def work(session: Session) -> bool:
            row = self._own(session, draft_id)
            if row is None or not _is_free(row, now):
                return False
            row.state, row.updated_at = "sending", now
            return True

        return await self.database.submit(work)

    async def release(self, draft_id: str) -> None:
        """The sending failed: the draft is the writer's again."""
        await self._move(draft_id, ("sending",), "open")

    async def sent(self, draft_id: str, document: str) -> None:
        """The letter is on its way: nothing of it stays but its kind, for the picker."""

        def work(session: Session) -> None:
            row = self._own(session, draft_id)
            if row is not None:
                row.state, row.updated_at, row.due_at = "sent", self.clock(), None
                row.fields = {"document": document}
                _remove_files(session, [draft_id])

        await self.database.submit(work)

    async def discard(self, draft_id: str) -> None:
        """Drop the draft; `restore` brings it back within days."""
        await self._move(draft_id, ("open", "failed"), "discarded")
        await self.database.submit(self._forget_old)

    async def restore(self, draft_id: str) -> None:
        """Bring a dropped draft back."""
        await self._move(draft_id, ("discarded",), "open")

    async def erase(self, draft_id: str) -> None:
        """Remove text and files at once and for good: what must not be kept at all."""

        def work(session: Session) -> None:
            row = self._own(session, draft_id)
            if row is not None:
                _remove_files(session, [draft_id])
                session.delete(row)

        await self.database.submit(work)

    async def _change(
        self, draft_id: str, version: int, change: Callable[[dict[str, Any]], None]
    ) -> Draft:
        def work(session: Session) -> Draft:
            row = self._writable(session, draft_id, version)
            fields = dict(row.fields)
            change(fields)
            return self._written(session, row, fields)

        return await self.database.submit(work)

    def _writable(self, session: Session, draft_id: str, version: int) -> DraftRow:
        now = self.clock()
        row = session.get(DraftRow, draft_id)
        if row is None and version == 0 and is_draft_id(draft_id):
            row = DraftRow(
                id=draft_id,
                mailbox_id=self.account.mailbox_id,
                fields={"version": 0, "letter": {}},
                created_at=now,
                updated_at=now,
            )
            session.add(row)
        if row is None or row.mailbox_id != self.account.mailbox_id or not _is_free(row, now):
            raise NotFound("draft-missing")
        if row.fields["version"] != version:
            raise DraftChanged("draft-changed")
        return row

    def _written(self, session: Session, row: DraftRow, fields: dict[str, Any]) -> Draft:
        now = self.clock()
        today = local_date(now).isoformat()
        if fields.get("written_on") != today:
            fields["written_on"] = today
            record(
                session,
                DraftWritten(
                    at=now,
                    mailbox=self.account.address,
                    agency_code=self.account.agency_code,
                    actor=self.account.address,
                ),
            )
        row.fields = {**fields, "version": fields["version"] + 1}
        row.state, row.updated_at, row.due_at = "open", now, None
        session.flush()
        return read_draft(session, row)

    async def _move(self, draft_id: str, states: tuple[str, ...], state: str) -> None:
        def work(session: Session) -> None:
            row = self._own(session, draft_id)
            if row is not None and row.state in states:
                row.state, row.updated_at, row.due_at = state, self.clock(), None

        await self.database.submit(work)

    def _own(self, session: Session, draft_id: str) -> DraftRow | None:
        row = session.get(DraftRow, draft_id)
        return row if row is not None and row.mailbox_id == self.account.mailbox_id else None

    def _find(self, session: Session, draft_id: str) -> Draft | None:
        row = self._own(session, draft_id)
        if row is None:
            return None
        draft = read_draft(session, row)
        is_left_behind = row.state == "sending" and _is_free(row, self.clock())
        return replace(draft, state="open") if is_left_behind else draft

    def _forget_old(self, session: Session) -> None:
        before = self.clock() - _DISCARDED_KEPT
        old = list(
            session.exec(
                select(DraftRow.id).where(
                    DraftRow.mailbox_id == self.account.mailbox_id,
                    DraftRow.state == "discarded",
                    col(DraftRow.updated_at) < before,
                )
            )
        )
        _remove_files(session, old)
        session.connection().execute(delete(DraftRow).where(col(DraftRow.id).in_(old)))


def _is_free(row: DraftRow, now: datetime) -> bool:
    if row.state == "sending":  # what is in the outbox is looked after there
        return row.due_at is None and now - row.updated_at > SENDING_ENDS
    return row.state in ("open", "failed")


def read_draft(session: Session, row: DraftRow) -> Draft:
    """A row as pages know it."""
    fields: Mapping[str, Any] = row.fields
    out = set(fields.get("out", []))
    files = session.exec(
        select(DraftFile.id, DraftFile.name, DraftFile.media_type, DraftFile.size_bytes)
        .where(DraftFile.draft_id == row.id)
        .order_by(col(DraftFile.id))
    )
    undo = fields.get("undo")
    return Draft(
        id=row.id,
        letter=Letter.from_row(fields.get("letter", {})),
        version=fields.get("version", 0),
        files=tuple(
            File(key, name, media_type, size_bytes)
            for key, name, media_type, size_bytes in files
            if key is not None and key not in out
        ),
        state=row.state,
        saved_at=row.updated_at,
        undo=Undo(*undo) if undo else None,
    )


def _remove_files(session: Session, draft_ids: Sequence[str]) -> None:
    session.connection().execute(delete(DraftFile).where(col(DraftFile.draft_id).in_(draft_ids)))
