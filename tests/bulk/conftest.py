"""The small directory, and a staff list compared with it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailgov.db import Database
from mailgov.db.migrate import migrate

from ..cli.conftest import Run, _quiet_environment, database, folder, prepared_folder, run
from ..support.directory import fill_directory

__all__ = ["Run", "_quiet_environment", "database", "folder", "prepared_folder", "run"]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The small directory; tests that only compare share it."""
    file: Path = tmp_path_factory.mktemp("bulk") / "mailgov.db"
    database = Database(f"sqlite:///{file}", readers=2)
    migrate(database)
    with database.write() as session:
        fill_directory(session)
    yield database
    database.close()
