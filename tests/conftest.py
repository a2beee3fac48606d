"""What every test may ask for."""

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from sqlmodel import SQLModel

import mailgov.db.models  # noqa: F401 - registers the tables
from mailgov.db import Database
from tests.support import postgres
from tests.support.imap_engines import dovecot_engine, embedded_engine, engine  # noqa: F401 - fixtures

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
    _create_tables(database)
    yield database
    database.close()


def _create_tables(database: Database) -> None:
    with database.write() as session:
        SQLModel.metadata.create_all(session.connection())


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[postgres.Cluster]:
    """A PostgreSQL server of our own, with the database `schema` to copy."""
    binaries = postgres.binaries()
    if binaries is None:
        if os.environ.get("CI"):
            pytest.fail("PostgreSQL is not installed")
        pytest.skip("no PostgreSQL on this machine")
    with postgres.cluster(binaries) as cluster:
        cluster.run("CREATE DATABASE schema")
        database = Database(cluster.url("schema"), readers=1, writers=1)
        _create_tables(database)
        database.close()
        yield cluster


_numbers = count(1)


@pytest.fixture
def postgres_database(postgres_cluster: postgres.Cluster) -> Iterator[Database]:
    """An empty database with the present schema, on PostgreSQL."""
    name = f"test{next(_numbers)}"
    postgres_cluster.run(f"CREATE DATABASE {name} TEMPLATE schema")
    database = Database(postgres_cluster.url(name), readers=4, writers=2)
    yield database
    database.close()
    postgres_cluster.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def any_database(request: pytest.FixtureRequest) -> Database:
    """An empty database on each engine in turn."""
    fixture = {"sqlite": "database", "postgres": "postgres_database"}[request.param]
    database: Database = request.getfixturevalue(fixture)
    return database
