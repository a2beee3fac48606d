"""What a process could not write down before it ended, noted in a file for the next one.

    unrecorded/<chance>     the hash of what follows, then JSON: attempts and what came of them

When the disk fails, or the database stays away until we are stopped, it takes no results. Mail that
another server has taken would go to it again, and messages that were under way would look as if they
had ended their process. The file is no promise: it is not synced, and where it can't be written or is
torn, the mail goes twice. What it says counts only for the very attempts that it names.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy import select
from sqlmodel import Session

from mailgov.queue import claims
from mailgov.queue.item import QueueItem
from mailgov.queue.tables import RECIPIENT

_PART = 500
"""Recipients in one question to the database."""


@dataclass(frozen=True, slots=True)
class Unrecorded:
    """An attempt for one recipient whose process ended before it could write down the result."""

    queue_id: str
    recipient_id: int
    attempt: int
    reply: str = ""  # of who has taken the message
    by: Literal["mailbox", "relay", "dsn-relay"] | None = None  # None: nobody, as far as known


def keep(folder: Path, attempts: Sequence[Unrecorded]) -> None:
    """Note them. Nothing is synced: this is called when the disk is in doubt. Raises OSError."""
    folder.mkdir(mode=0o700, exist_ok=True)
    text = json.dumps([asdict(one) for one in attempts]).encode()
    path = folder / secrets.token_hex(8)
    new = path.with_suffix(".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(hashlib.sha256(text).hexdigest().encode() + b"\n" + text)
    new.rename(path)


def found(folder: Path) -> Iterator[tuple[Path, list[Unrecorded]]]:
    """Files that earlier processes left, and what they say: nothing, when they are torn."""
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if not path.suffix:
            yield path, _read(path)


def _read(path: Path) -> list[Unrecorded]:
    try:
        digest, _, text = path.read_bytes().partition(b"\n")
    except OSError:
        return []
    if digest.decode("ascii", "replace") != hashlib.sha256(text).hexdigest():
        return []
    try:
        return [Unrecorded(**one) for one in json.loads(text)]
    except TypeError:  # of another version of ours
        return []


def still_open(session: Session, attempts: Iterable[Unrecorded]) -> list[QueueItem]:
    """The recipients whose last attempt is the one named, and that have no result yet."""
    named = {one.recipient_id: one for one in attempts}
    ids = list(named)
    items: list[QueueItem] = []
    for at in range(0, len(ids), _PART):
        items += _still_open(session, {one: named[one] for one in ids[at : at + _PART]})
    return items


def _still_open(session: Session, named: Mapping[int, Unrecorded]) -> list[QueueItem]:
    column = RECIPIENT.c
    query = select(column.id, column.message_id, column.attempts, column.next_attempt_at).where(
        column.id.in_(list(named)), column.state == "queued"
    )
    rows = [
        row
        for row in session.connection().execute(query)
        if (row.message_id, row.attempts) == (named[row.id].queue_id, named[row.id].attempt)
    ]
    return claims.items(session.connection(), rows)
