"""The queue's tables for SQLAlchemy Core: the hot path makes no objects of rows."""

from typing import cast

from sqlalchemy import Table, inspect
from sqlmodel import SQLModel

from mailgov.db.models import EventRow, Mailbox, MessageRow, RecipientRow, VerdictRow


def _table(model: type[SQLModel]) -> Table:
    return cast("Table", inspect(model).local_table)


MESSAGE = _table(MessageRow)
VERDICT = _table(VerdictRow)
RECIPIENT = _table(RecipientRow)
MAILBOX = _table(Mailbox)
EVENT = _table(EventRow)
