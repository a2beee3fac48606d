"""What every test may ask for."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlmodel import SQLModel

import mailgov.db.models  # noqa: F401 - registers the tables
from mailgov.db import Database

CORPUS = Path(
    os.environ.get("MAILGOV_CORPUS", Path(__file__).resolve().parents[2] / "shared" / "corpus")
)


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real documents and messages, kept outside the project."""
    if not CORPUS.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"the corpus is missing: {CORPUS}")
        pytest.skip(f"no corpus at {CORPUS} (MAILGOV_CORPUS)")
    return CORPUS


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty database with the present schema, on the embedded engine."""
    database = Database(f"sqlite:///{tmp_path / 'mailgov.db'}", readers=2)
    with database.write() as session:
        SQLModel.metadata.create_all(session.connection())
    yield database
    database.close()
