"""A filled directory for tests of look-ups and provisioning."""

import pytest

from mailgov.config import Limits
from mailgov.db import Database
from mailgov.directory import Directory
from tests.support.directory import NOW, SUFFIXES, fill_directory


@pytest.fixture
def filled(database: Database) -> Database:
    """The small directory, on the embedded engine."""
    with database.write() as session:
        fill_directory(session)
    return database


@pytest.fixture
def directory(filled: Database) -> Directory:
    """Look-ups in the small directory, at one fixed moment."""
    return Directory(filled, lambda: NOW, Limits(), official_suffixes=SUFFIXES)
