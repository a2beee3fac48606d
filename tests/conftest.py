"""What every test may ask for."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from sqlalchemy import text
from sqlmodel import SQLModel

import mailgov.db.models  # noqa: F401 - registers the tables
from mailgov import durable
from mailgov.db import Database

from .support import postgres
from .support.imap_engines import dovecot_engine, embedded_engine, engine  # noqa: F401 - fixtures

CORPUS = Path(
    os.environ.get("MAILGOV_CORPUS", Path(__file__).resolve().parents[2] / "shared" / "corpus")
)


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """Commands set up the log of the process; the next test finds it as this one did."""
    before = structlog.get_config()
    processors = list(before["processors"])
    yield
    before["processors"][:] = processors
    structlog.configure(**before)


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real documents and messages, kept outside the project."""
    if not CORPUS.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"the corpus is missing: {CORPUS}")
        pytest.skip(f"no corpus at {CORPUS} (MAILGOV_CORPUS)")
    return CORPUS


@pytest.fixture(autouse=True)
def sound_disk() -> Iterator[None]:
    """The process outlives a test that makes a sync fail."""
    yield
    durable.trust_again()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty database with the present schema, on the embedded engine."""
    database = Database(f"sqlite:///{tmp_path / 'mailgov.db'}", readers=2)
    _create_tables(database)
    yield database
    database.close()


def _create_tables(database: Database) -> None:
    with database.write() as session:
        SQLModel.metadata.create_all(session.connection())


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[postgres.Cluster]:
    """A PostgreSQL server of our own, of one database."""
    binaries = postgres.binaries()
    if binaries is None:
        if os.environ.get("CI"):
            pytest.fail("PostgreSQL is not installed")
        pytest.skip("no PostgreSQL on this machine")
    with postgres.cluster(binaries) as cluster:
        cluster.run("CREATE DATABASE mailgov")
        database = Database(cluster.url("mailgov"), readers=1, writers=1)
        _create_tables(database)
        database.close()
        yield cluster


@pytest.fixture
def postgres_database(postgres_cluster: postgres.Cluster) -> Iterator[Database]:
    """An empty database with the present schema, on PostgreSQL."""
    database = Database(postgres_cluster.url("mailgov"), readers=4, writers=2)
    tables = ", ".join(table.name for table in SQLModel.metadata.sorted_tables)
    with database.write() as session:
        session.connection().execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))
    yield database
    database.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def any_database(request: pytest.FixtureRequest) -> Database:
    """An empty database on each engine in turn."""
    fixture = {"sqlite": "database", "postgres": "postgres_database"}[request.param]
    database: Database = request.getfixturevalue(fixture)
    return database


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show how each rule did on what is labelled: policies/test_confusion.py."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == "confusion" and report.when == "call":
                    terminalreporter.section("rules on everything that is labelled")
                    terminalreporter.write_line(str(value))
