"""The life of a key, step by step, under a clock that the test moves."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlmodel import select

from mailgov import ledger
from mailgov.config import Signing
from mailgov.db import Database
from mailgov.db.models import DkimKey
from mailgov.errors import Conflict
from mailgov.ledger.events import DirectoryChanged
from mailgov.signing import keys
from mailgov.signing.dns_records import dkim_record
from mailgov.signing.rotation import KeyStore, retire, rotate, tend

from ...support.dns import FakeResolver
from ..queue.samples import NOON
from .samples import DOMAIN, add_domain

SETTINGS = Signing(publish_days=2, withdraw_days=30)
DAY = timedelta(days=1)


@dataclass
class World:
    """A domain with a key, a zone, a clock."""

    database: Database
    folder: Path
    settings: Signing = SETTINGS
    now: datetime = NOON
    zone: dict[str, list[bytes]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)

    def keys(self) -> dict[str, DkimKey]:
        with self.database.read() as session:
            return {f"{key.algorithm} {key.id}": key for key in session.exec(select(DkimKey))}

    def states(self) -> list[str]:
        return [key.state for key in self.keys().values()]

    def publish(self) -> None:
        for key in self.keys().values():
            record = dkim_record(DOMAIN, key)
            self.zone[record.name] = [record.value.encode()]

    def rotate(self) -> list[str]:
        with self.database.write() as session:
            made = rotate(
                session, self.folder, DOMAIN, SETTINGS, secret=None, clock=lambda: self.now
            )
            return [key.selector for key in made]

    async def tend(self, days: float = 0) -> None:
        self.now += days * DAY
        resolver = FakeResolver(txt_of=self.zone, broken=frozenset(self.broken))
        await tend(self.database, resolver, self.settings, lambda: self.now, KeyStore(self.folder))

    def files(self) -> int:
        return len(list(self.folder.iterdir()))


@pytest.fixture(scope="module")
def rsa_keys() -> list[rsa.RSAPrivateKey]:
    return [rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2)]


@pytest.fixture
def world(
    database: Database,
    tmp_path: Path,
    rsa_keys: list[rsa.RSAPrivateKey],
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    left, new = iter(rsa_keys), keys._new_key

    def made(algorithm: keys.Algorithm) -> keys.PrivateKey:
        return next(left) if algorithm == "rsa2048" else new(algorithm)

    monkeypatch.setattr(keys, "_new_key", made)
    add_domain(database)
    world = World(database, tmp_path / "keys")
    with database.write() as session:
        keys.create_key(session, world.folder, DOMAIN, "2025a", clock=lambda: NOON)
    return world


async def test_successors_sign_on_their_day_once_dns_shows_them(world: World) -> None:
    world.publish()
    assert world.rotate() == ["2026a", "2026b"]
    assert world.states() == ["active", "pending", "pending"]
    await world.tend(1)
    assert world.states() == ["active", "pending", "pending"]  # neither the day nor published
    await world.tend(2)
    assert world.states() == ["active", "pending", "pending"]  # the day, but not published
    world.publish()
    await world.tend()
    assert world.states() == ["retired", "active", "active"]
    old, *new = world.keys().values()
    assert (old.retired_at, old.withdraw_at) == (world.now, world.now + 30 * DAY)
    assert {key.activated_at for key in new} == {world.now}
    assert {key.activate_at for key in new} == {None}


async def test_a_published_key_waits_for_its_day(world: World) -> None:
    world.rotate()
    world.publish()
    await world.tend(1.9)
    assert world.states() == ["active", "pending", "pending"]
    await world.tend(0.2)
    assert world.states() == ["retired", "active", "active"]


async def test_a_retired_key_goes_with_its_private_half_when_no_mail_needs_it(
    world: World,
) -> None:
    world.rotate()
    world.publish()
    await world.tend(3)
    assert world.files() == 3
    await world.tend(29)
    assert world.states()[0] == "retired"
    await world.tend(2)
    assert world.states() == ["withdrawn", "active", "active"]
    assert world.files() == 2
    assert not (world.folder / f"2025a._domainkey.{DOMAIN}.pem").exists()
    with world.database.write() as session, pytest.raises(Conflict, match="dkim-key-withdrawn"):
        keys.activate_key(session, DOMAIN, "2025a")


async def test_another_key_in_its_place_is_none(world: World) -> None:
    world.rotate()
    world.publish()
    world.zone[f"2026a._domainkey.{DOMAIN}"] = [b"v=DKIM1; k=rsa; p=AAAA"]
    await world.tend(3)
    assert world.states() == ["active", "pending", "active"]


async def test_dns_in_trouble_changes_nothing(world: World) -> None:
    world.rotate()
    world.publish()
    world.broken = set(world.zone)
    await world.tend(3)
    assert world.states() == ["active", "pending", "pending"]
    assert {key.seen_at for key in world.keys().values()} == {None}
    world.broken = set()
    await world.tend()
    assert world.states() == ["retired", "active", "active"]


async def test_a_key_that_signs_is_looked_up_once_in_a_day(world: World) -> None:
    world.publish()
    await world.tend()
    seen = world.now
    await world.tend(0.5)
    assert [key.seen_at for key in world.keys().values()] == [seen]
    await world.tend(0.6)
    assert [key.seen_at for key in world.keys().values()] == [world.now]


async def test_a_second_call_makes_no_more_keys(world: World) -> None:
    assert world.rotate() == world.rotate() == ["2026a", "2026b"]
    assert world.files() == 3


async def test_every_step_is_in_the_ledger(world: World) -> None:
    world.rotate()
    world.publish()
    await world.tend(3)
    await world.tend(31)
    with world.database.read() as session:
        events = list(ledger.of_kinds(session, [DirectoryChanged.kind]))
    told = [(event.actor, sorted(event.data["changes"].values())) for event in events]
    assert sorted(told[3:]) == [
        ("scheduler", [["active", "retired"], ["pending", "active"]]),
        ("scheduler", [["pending", "active"]]),
        ("scheduler", [["retired", "withdrawn"]]),
    ]


def test_the_only_key_that_signs_is_not_retired(world: World) -> None:
    with world.database.write() as session, pytest.raises(Conflict, match="dkim-key-last"):
        retire(session, DOMAIN, "2025a", SETTINGS, clock=lambda: NOON)


async def test_a_key_that_is_too_old_gets_successors_once(world: World) -> None:
    world.settings = Signing(rotate_days=100)
    await world.tend(99)
    assert world.states() == ["active"]
    await world.tend(2)
    await world.tend(1)
    assert world.states() == ["active", "pending", "pending"]


async def test_keys_of_another_process_are_left_to_it(world: World) -> None:
    world.rotate()
    world.publish()
    resolver = FakeResolver(txt_of=world.zone)
    for days in (3, 400):
        world.now += days * DAY
        await tend(world.database, resolver, SETTINGS, lambda: world.now, None)
    assert world.states() == ["withdrawn", "active", "active"]
    assert world.files() == 3
