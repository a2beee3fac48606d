"""Whether the database has the schema of this program, asked without loading what migrates it."""

from functools import cache
from importlib.resources import files

from mailgov.errors import Unavailable
from mailgov.lookups.source import Source

_HAS_TABLE = {
    True: "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'",
    False: "SELECT to_regclass('alembic_version')::text AS name",
}


@cache
def revisions() -> tuple[str, ...]:
    """Every revision of the schema that this program knows, oldest first: the files' numbers."""
    folder = files("mailgov").joinpath("db", "migrations", "versions")
    names = (entry.name for entry in folder.iterdir())
    return tuple(sorted(name[:4] for name in names if name.endswith(".py") and name[:4].isdigit()))


def schema_of_program() -> str:
    """The newest revision."""
    return revisions()[-1]


def require_schema(source: Source, *, is_sqlite: bool) -> None:
    """Require the schema of this program.

    Raises Unavailable `schema-outdated` for an older one, `schema-newer` for one that this program
    does not know.
    """
    found = _revision(source, is_sqlite=is_sqlite)
    wanted = schema_of_program()
    if found and found not in revisions():
        raise Unavailable("schema-newer", found=found, wanted=wanted)
    if found != wanted:
        raise Unavailable("schema-outdated", found=found or "-", wanted=wanted)


def _revision(source: Source, *, is_sqlite: bool) -> str:
    table = next(iter(source.rows(_HAS_TABLE[is_sqlite])), None)
    if table is None or table["name"] is None:
        return ""
    row = next(iter(source.rows("SELECT version_num FROM alembic_version")), None)
    return str(row["version_num"]) if row else ""
