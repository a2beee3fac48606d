"""The same tables and queries on PostgreSQL."""

from datetime import timedelta
from pathlib import Path

import pytest

from mailgov.authentication.reports.board import board, sources
from mailgov.authentication.reports.received import keep_report, read_file
from mailgov.config import Signing
from mailgov.db import Database
from mailgov.db.models import DkimKey
from mailgov.signing.rotation import KeyStore, rotate, tend

from ....support.dns import FakeResolver
from ...queue.samples import NOON
from ...signing.samples import DOMAIN, add_domain, add_key
from .test_daily import World, result
from .test_received import XML

pytestmark = pytest.mark.postgres


async def test_reports_go_out_and_come_in(postgres_database: Database, tmp_path: Path) -> None:
    add_domain(postgres_database)
    record = add_key(postgres_database, tmp_path / "keys", "k", "ed25519")
    world = World(postgres_database, tmp_path / "keys", record.encode())
    world.texts["_dmarc.a.test"] = [b"v=DMARC1; p=none; rua=mailto:r@a.test"]
    world.add(result(), result())
    assert [await world.send(), await world.send()] == [1, 0]
    (report,) = read_file(XML)
    with postgres_database.write() as session:
        assert keep_report(session, report, NOON)
        assert not keep_report(session, report, NOON)
    with postgres_database.read() as session:
        (line,) = board(session, NOON - timedelta(days=30))
        hosts = sources(session, DOMAIN, NOON - timedelta(days=30), 10)
    assert (line.messages, line.aligned, line.rejected) == (8, 5, 3)
    assert [one.messages for one in hosts] == [3, 5]


async def test_keys_rotate(postgres_database: Database, tmp_path: Path) -> None:
    add_domain(postgres_database)
    add_key(postgres_database, tmp_path, "old", "ed25519")
    settings = Signing(publish_days=0, rotate_days=0)
    store = KeyStore(tmp_path)
    later = NOON + timedelta(days=2)
    with postgres_database.write() as session:
        made = rotate(session, tmp_path, DOMAIN, settings, secret=None, clock=lambda: NOON)
        texts = {
            f"{key.selector}._domainkey.{DOMAIN}": [f"v=DKIM1; p={key.public_key}".encode()]
            for key in made
        }
    await tend(postgres_database, FakeResolver(txt_of=texts), settings, lambda: later, store)
    states = [key.state for key in World(postgres_database, tmp_path, b"").all(DkimKey)]
    assert sorted(states) == ["active", "active", "retired"]
