"""The short form of `make torture`: kill -9 along the road of a message, and a sync that fails."""

import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from ..support import postgres
from . import books, scenarios, stage, upgrades
from .world import BINH, NURSERY, DiedAtStart


@pytest.fixture(autouse=True, scope="module")
def nursery() -> Iterator[None]:
    """The program that forks servers ends with the module."""
    yield
    NURSERY.close()


def test_kills_along_the_road_lose_nothing_and_deliver_nothing_twice(tmp_path: Path) -> None:
    points = ["A6", "A12", "D1", "D5", "D7", "D8"]
    row = scenarios.kills_at(points, tmp_path, random.Random(7), most=6)
    print(row)
    assert row.holds, row.troubles
    assert row.accepted > 5
    assert row.accepted == row.delivered + row.bounced + row.held


def test_a_failed_sync_ends_the_server_and_the_next_start_recovers(tmp_path: Path) -> None:
    row = scenarios.failing_call("fsync-body", 1, tmp_path, random.Random(7))
    print(row)
    assert row.holds, row.troubles


def test_a_message_that_kills_three_servers_is_set_aside(tmp_path: Path) -> None:
    with stage.stage(tmp_path) as on:
        server = on.start("A13:1")  # taken, and its sender never hears of it
        on.load.run(server, senders=1)
        on.kill(server)
        for _ in range(3):
            with suppress(DiedAtStart):  # or it is ready for a moment before it dies
                on.start("D2:1").wait(30)
        server = on.start()
        assert books.eventually(lambda: books.poison(on.world) != [], 30)
        assert books.delivered_to(on.world.data, BINH) == {}
        assert server.stop() == 0
        row = books.Row("poison", 3)
        on.drain(row)
        assert not row.troubles
        assert books.delivered_to(on.world.data, BINH).total() == 1


def test_a_killed_upgrade_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    row = upgrades.killed_upgrades(tmp_path, step=40)
    assert row.holds, row.troubles
    assert row.times > 2


@pytest.mark.postgres
def test_the_same_on_postgresql(tmp_path: Path, postgres_cluster: postgres.Cluster) -> None:
    postgres_cluster.run("CREATE DATABASE upgrade")
    row = upgrades.killed_upgrades(tmp_path, step=60, url=postgres_cluster.url("upgrade"))
    postgres_cluster.run("DROP DATABASE upgrade WITH (FORCE)")
    assert row.holds, row.troubles
    assert row.times > 0
