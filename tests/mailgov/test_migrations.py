"""The migrations and the models describe the same tables, on both databases."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text
from sqlmodel import SQLModel

from mailgov.db import Database
from mailgov.db.migrate import migrate, require_current
from mailgov.db.models import Instance
from mailgov.db.models.instance import PSEUDONYM_KEY
from mailgov.errors import Unavailable


def emptied(database: Database) -> Database:
    """The same database without its tables, as a fresh installation finds it."""
    with database.write() as session:
        SQLModel.metadata.drop_all(session.connection())
        session.connection().execute(text("DROP TABLE IF EXISTS alembic_version"))
    return database


def test_migrating_an_empty_database_gives_the_tables_of_the_models(any_database: Database) -> None:
    database = emptied(any_database)
    migrate(database)
    require_current(database)
    with database.write() as session:
        context = MigrationContext.configure(session.connection(), opts={"compare_type": True})
        differences = [
            change
            for change in compare_metadata(context, SQLModel.metadata)
            if not (change[0] == "remove_table" and change[1].name == "alembic_version")
        ]
    assert differences == []


def test_migrating_again_changes_nothing_and_keeps_the_key_of_pseudonyms(
    database: Database,
) -> None:
    emptied(database)
    migrate(database)
    with database.read() as session:
        before = session.get_one(Instance, PSEUDONYM_KEY).value
    migrate(database)
    with database.read() as session:
        assert session.get_one(Instance, PSEUDONYM_KEY).value == before
        assert "recipient" in inspect(session.connection()).get_table_names()


def test_a_schema_of_a_newer_program_is_called_so(database: Database) -> None:
    emptied(database)
    migrate(database)
    with database.write() as session:
        session.connection().execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Unavailable, match=r"schema-newer.*9999"):
        require_current(database)
