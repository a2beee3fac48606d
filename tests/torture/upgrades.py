"""An upgrade that is killed at every statement, again and again, ends whole all the same."""

from pathlib import Path

from alembic import command
from sqlalchemy import text

from mailgov.db import Database
from mailgov.db.migrate import _alembic, current_revision, require_current, wanted_revision
from mailgov.services import open_database

from .books import Row
from .world import NURSERY, World

FIRST = "0001"
_NEVER = 1_000_000


def old_installation(world: World) -> None:
    """A database as the first release left it, with a row to keep."""
    world.data.mkdir(mode=0o700, exist_ok=True)
    database = open_database(world.config)
    try:
        database.create_parent()
        config = _alembic()
        with database.write() as session:
            config.attributes["connection"] = session.connection()
            command.upgrade(config, FIRST)
            session.connection().execute(
                text("INSERT INTO instance (key, value) VALUES ('kept', 'yes')")
            )
    finally:
        database.close()


def killed_upgrades(folder: Path, *, step: int = 1, url: str = "") -> Row:
    """`mailgov db migrate`, killed at its first statement, then at a later one, until it ends."""
    row = Row(f"kill -9 in an upgrade ({'PostgreSQL' if url else 'SQLite'})", 0)
    world = World(folder, "127.0.0.1:1", url)
    old_installation(world)
    at = 1
    while (code := _migrate(world, at)) != 0:
        if code != -9:
            row.troubles.append(f"statement {at}: exit code {code}: {world.log.read_text()[-500:]}")
            break
        row.times += 1
        if (found := _revision(world)) not in (FIRST, wanted_revision()):
            row.troubles.append(f"statement {at}: stopped between, at {found}")
        at += step
    if _migrate(world, _NEVER) != 0:
        row.troubles.append("an upgraded database was not left alone")
    database = open_database(world.config)
    try:
        require_current(database)
        with database.read() as session:
            kept = session.connection().execute(text("SELECT value FROM instance WHERE key='kept'"))
            if kept.scalar() != "yes":
                row.troubles.append("a row was lost")
                row.lost += 1
    finally:
        database.close()
    return row


def _migrate(world: World, at: int) -> int:
    pid = NURSERY.ask(
        args=["--config", str(world.config_file), "db", "migrate", "--json"],
        environment={"MAILGOV_FAULT": f"statement:{at}"},
        stdout=str(world.folder / "said"),
        stderr=str(world.log),
    )
    return NURSERY.ask(wait=pid)


def _revision(world: World) -> str:
    database: Database = open_database(world.config)
    try:
        return current_revision(database)
    finally:
        database.close()
