"""Alembic environment: runs on the connection that `mailgov.db.migrate` hands over."""

from alembic import context
from sqlmodel import SQLModel

import mailgov.db.models  # noqa: F401 - registers the tables

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    render_as_batch=True,
    compare_type=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
