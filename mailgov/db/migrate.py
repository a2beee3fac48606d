"""Bring a database to the present schema."""

import secrets
from pathlib import Path

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from mailgov.db.models import Instance
from mailgov.db.models.instance import PSEUDONYM_KEY, RETURN_PATH_KEY
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
        for name in (PSEUDONYM_KEY, RETURN_PATH_KEY):
            if session.get(Instance, name) is None:
                session.add(Instance(key=name, value=secrets.token_hex(32)))


def current_revision(database: Database) -> str:
    """The schema that the database has; empty when it has none."""
    with database.read() as session:
        return MigrationContext.configure(session.connection()).get_current_revision() or ""


def _known_revisions() -> set[str]:
    script = ScriptDirectory.from_config(_alembic())
    return {revision.revision for revision in script.walk_revisions()}


def wanted_revision() -> str:
    """The schema of this program."""
    return ScriptDirectory.from_config(_alembic()).get_current_head() or ""


def require_current(database: Database) -> None:
    """Require the schema of this program.

    Raises Unavailable `schema-outdated` for an older one, `schema-newer` for one that this program
    does not know.
    """
    found, wanted = current_revision(database), wanted_revision()
    if found and found not in _known_revisions():
        raise Unavailable("schema-newer", found=found, wanted=wanted)
    if found != wanted:
        raise Unavailable("schema-outdated", found=found or "-", wanted=wanted)
