"""Look-ups without the mapper: by themselves and in a session, on both engines, in branches."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlmodel import select

from mailgov import config, lookups
from mailgov.db import Database
from mailgov.db.migrate import _alembic, migrate
from mailgov.db.models import Credential, Mailbox
from mailgov.directory.provisioning import edit_agency, grant_role, grant_send_as
from mailgov.errors import ConfigError, NotFound, Unavailable
from mailgov.lookups import PlainDatabase, SessionSource
from mailgov.whereabouts import find_config, whereabouts

from ...support.directory import AN, NOW, OFFICE, act, fill_directory


@pytest.fixture
def database(any_database: Database) -> Database:
    """The small directory, with a schema that migrations made."""
    with any_database.write() as session:
        fill_directory(session)
        grant_send_as(session, act(), mailbox=OFFICE, holder=AN)
        grant_role(session, act(), mailbox=AN, role="it", agency="H99")
        edit_agency(session, act("rà soát"), code="H99.02", headcount=96)
    return any_database


@pytest.fixture
def plain(database: Database) -> Iterator[PlainDatabase]:
    source = PlainDatabase(database.url.render_as_string(hide_password=False))
    yield source
    source.close()


def kept(database: Database, *tops: str) -> PlainDatabase:
    return PlainDatabase(database.url.render_as_string(hide_password=False), tops)


def test_a_connection_of_their_own_and_a_session_find_the_same(
    database: Database, plain: PlainDatabase
) -> None:
    with database.read() as session:
        inside = SessionSource(session)
        assert lookups.mailbox(plain, AN) == lookups.mailbox(inside, AN)
        assert lookups.agency(plain, "H99.02") == lookups.agency(inside, "H99.02")
        assert [*lookups.mailboxes(plain)] == [*lookups.mailboxes(inside)]


def test_one_mailbox(plain: PlainDatabase) -> None:
    record = lookups.mailbox(plain, AN.upper())
    assert (record["agency"], record["state"], record["password"]) == ("H99.02", "active", "set")
    assert record["send_as"] == [{"mailbox": OFFICE, "rights": "send-as", "until": None}]
    assert record["roles"] == [{"role": "it", "agency": "H99"}]
    assert record["history"][-1]["at"] == NOW
    assert record["interagency_only"] is False
    with pytest.raises(NotFound, match="mailbox-unknown"):
        lookups.mailbox(plain, "khong@tinhmau.test")


def test_one_agency_with_its_own_history_and_no_others(plain: PlainDatabase) -> None:
    record = lookups.agency(plain, "H99.02")
    assert (record["mailboxes"], record["domains"]) == (2, ["sonoivu.tinhmau.test"])
    assert [(one["verb"], one["reason"]) for one in record["history"]] == [
        ("edit", "rà soát"),
        ("add", ""),
    ]


def test_pages_follow_each_other(plain: PlainDatabase) -> None:
    (first,) = lookups.mailboxes(plain, limit=1)
    (second,) = lookups.mailboxes(plain, limit=1, after=first["address"])
    assert [first["address"], second["address"]] == [AN, OFFICE]
    assert [*lookups.mailboxes(plain, after=OFFICE)] == []


def test_inactive_are_active_mailboxes_nobody_signed_in_to(
    database: Database, plain: PlainDatabase
) -> None:
    since = datetime(2027, 3, 1, tzinfo=UTC)
    with database.write() as session:
        for box in session.exec(select(Mailbox)):
            box.created_at = since - timedelta(days=100)
        session.add(Credential(mailbox_id=1, kind="app", hash="x", last_used_at=since))

    def inactive(at: datetime) -> list[str]:
        return [row["address"] for row in lookups.mailboxes(plain, inactive_since=at)]

    assert inactive(since) == [OFFICE]
    assert inactive(since + timedelta(seconds=1)) == [AN, OFFICE]
    assert inactive(since - timedelta(days=101)) == []


def test_whoever_is_kept_to_a_branch_finds_nothing_outside(database: Database) -> None:
    source = kept(database, "H99.47")
    try:
        assert [*lookups.mailboxes(source)] == []
        assert lookups.known_addresses(source, "") == []
        assert [code for code, _ in lookups.known_agencies(source, "H99")] == ["H99.47"]
        for find in (
            lambda: lookups.mailbox(source, AN),
            lambda: lookups.agency(source, "H99.02"),
            lambda: [*lookups.mailboxes(source, within="H99.02")],
        ):
            with pytest.raises(NotFound) as told:
                find()
            assert "H99.02" not in str(told.value.fields.get("like", ""))
    finally:
        source.close()
    nobody = kept(database)
    assert lookups.known_agencies(nobody, "") == []
    nobody.close()


@pytest.mark.parametrize(
    ("begins", "found"), [("H99.0", ["H99.02", "H99.02.01"]), ("h", []), ("%", []), ("H99.47x", [])]
)
def test_what_begins_so(plain: PlainDatabase, begins: str, found: list[str]) -> None:
    assert [code for code, _ in lookups.known_agencies(plain, begins)] == found
    assert lookups.known_addresses(plain, "ANN")[0] == (AN, "Nguyễn Văn An")
    assert [name for name, _ in lookups.known_domains(plain, "sonoi")] == ["sonoivu.tinhmau.test"]


def test_look_ups_never_write(plain: PlainDatabase) -> None:
    with pytest.raises(Unavailable, match="database-unavailable"):
        list(plain.rows("DELETE FROM mailbox RETURNING id"))


def test_the_schema_is_that_of_the_migrations(tmp_path: Path) -> None:
    assert lookups.schema_of_program() == ScriptDirectory.from_config(_alembic()).get_current_head()
    file = tmp_path / "mailgov.db"
    with pytest.raises(Unavailable, match="schema-missing"):
        PlainDatabase(f"sqlite:///{file}")
    file.touch()
    source = PlainDatabase(f"sqlite:///{file}")
    with pytest.raises(Unavailable, match="schema-outdated"):
        lookups.require_schema(source, is_sqlite=True)
    database = Database(f"sqlite:///{file}")
    migrate(database)
    lookups.require_schema(source, is_sqlite=True)
    with database.write() as session:
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(Unavailable, match="schema-newer"):
        lookups.require_schema(source, is_sqlite=True)
    source.close()
    database.close()


@pytest.mark.parametrize(
    "text",
    [
        "",
        '[data]\npath = "state"\n',
        '[data]\npath = "/srv/mailgov"\n',
        '[database]\nurl = "postgresql+psycopg://localhost/mailgov"\n[data]\npath = "state"\n',
    ],
)
@pytest.mark.parametrize("env", [{}, {"MAILGOV_DATA__PATH": "elsewhere"}])
def test_whereabouts_are_those_of_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, env: dict[str, str]
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    file = tmp_path / "config.toml"
    file.write_text(text)
    whole, found = config.load_config(file), whereabouts(file)
    assert (found.data, found.database_url) == (whole.data.path, whole.database_url)


def test_whereabouts_that_are_no_text(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[data]\npath = 5\n")
    with pytest.raises(ConfigError, match="config-not-valid"):
        whereabouts(file)


def test_the_nearest_configuration_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MAILGOV_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "own"))
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    own = tmp_path / "own" / "mailgov" / "config.toml"
    own.parent.mkdir(parents=True)
    own.touch()
    assert find_config(None) == own
    (here / "config.toml").touch()
    assert find_config(None) == Path("config.toml")
    monkeypatch.setenv("MAILGOV_CONFIG", str(own))
    assert find_config(None) == own
    monkeypatch.setenv("MAILGOV_CONFIG", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="config-missing"):
        find_config(None)
