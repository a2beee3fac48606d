"""Bring a database to the present schema."""

from pathlib import Path

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from mailgov.db.session import Database
from mailgov.errors import Unavailable


def _alembic() -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def migrate(database: Database) -> None:
    """Apply every missing migration, each whole or not at all."""
    database.create_parent()
    config = _alembic()
    with database.write() as session:
        config.attributes["connection"] = session.connection()
        command.upgrade(config, "head")


def require_current(database: Database) -> None:
    """Raise Unavailable `schema-outdated` unless the database has the schema of this program."""
    head = ScriptDirectory.from_config(_alembic()).get_current_head()
    with database.read() as session:
        found = MigrationContext.configure(session.connection()).get_current_revision()
    if found != head:
        raise Unavailable("schema-outdated", found=found or "-", wanted=head)
