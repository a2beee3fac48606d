"""Rows that two writers may add at once: the second one finds the first one's.

SQLite and PostgreSQL have the same words for it; SQLAlchemy has them in each dialect.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, SQLModel


def add_or_change(
    session: Session,
    table: type[SQLModel],
    values: Mapping[str, Any],
    *,
    unique: tuple[str, ...],
    changes: Mapping[str, Any],
) -> None:
    """Add a row; where there is one with these `unique` columns, make the changes in it instead.

    Without changes the row that is there stays as it is.
    """
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    statement = insert(table).values(**values)
    if changes:
        statement = statement.on_conflict_do_update(index_elements=list(unique), set_=dict(changes))
    else:
        statement = statement.on_conflict_do_nothing(index_elements=list(unique))
    session.connection().execute(statement)
