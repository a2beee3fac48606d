"""A filled directory for tests of look-ups and provisioning."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlmodel import SQLModel

from mailgov.config import Limits
from mailgov.db import Database
from mailgov.directory import Directory

from ...support.directory import NOW, SUFFIXES, fill_directory


@pytest.fixture(scope="session")
def filled_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with the small directory, made once: its password costs a hash."""
    file = tmp_path_factory.mktemp("directory") / "mailgov.db"
    database = Database(f"sqlite:///{file}")
    with database.write() as session:
        SQLModel.metadata.create_all(session.connection())
        fill_directory(session)
    database.close()
    return file


@pytest.fixture
def filled(filled_file: Path, tmp_path: Path) -> Iterator[Database]:
    """The small directory, on the embedded engine."""
    file = tmp_path / "mailgov.db"
    shutil.copyfile(filled_file, file)
    database = Database(f"sqlite:///{file}", readers=2)
    yield database
    database.close()


@pytest.fixture
def directory(filled: Database) -> Iterator[Directory]:
    """Look-ups in the small directory, at one fixed moment."""
    directory = Directory(filled, lambda: NOW, Limits(), official_suffixes=SUFFIXES)
    yield directory
    directory.close()
