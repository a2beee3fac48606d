"""Tables and transactions; the same on SQLite and PostgreSQL."""

from mailgov.db.session import Database

__all__ = ["Database"]
