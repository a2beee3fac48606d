"""The webmail's tokens: how long they are good, at both engines."""

import asyncio
import hashlib
import hmac
import stat
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailgov.config import Config
from mailgov.imap import ImapServer
from mailgov.imap_client import Connection, Library
from mailgov.mailstore import dovecot, master, own_client, reach
from mailgov.mailstore.dovecot import DovecotChild
from mailgov.mailstore.users import Change
from tests.support.imap_engines import TestDirectory, config_for, require_dovecot, users

KEY = b"khoa"
PERIOD = timedelta(seconds=master.PERIOD_SECONDS)
BEGIN = datetime.fromtimestamp(2_800_000 * master.PERIOD_SECONDS, UTC)  # of a period
AN = users()[0].address
SECONDS = 60.0


class Hand:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def test_the_key_stays_and_is_ours_alone(tmp_path: Path) -> None:
    key = master.key(tmp_path)
    file = tmp_path / "run" / "imap-master"
    assert master.key(tmp_path) == key
    assert len(key) >= 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_all_who_ask_at_once_get_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(master.key, [tmp_path] * 64))
    assert len(keys) == 1
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["imap-master"]


def test_the_name_under_which_the_webmail_signs_in() -> None:
    assert master.login_name("an@vidu.gov.vn") == "an@vidu.gov.vn*webmail"


@pytest.mark.parametrize(
    ("made", "shown", "is_good"),
    [
        (0.0, -0.51, False),  # of a clock that is far ahead
        (0.0, -0.49, True),
        (0.0, 0.0, True),
        (0.0, 1.49, True),
        (0.0, 1.51, False),
        (0.99, 1.49, True),
        (0.99, 1.51, False),
        (0.0, 144.0, False),  # the same hour of the next day
    ],
)
def test_how_long_a_token_is_good(tmp_path: Path, made: float, shown: float, is_good: bool) -> None:
    token = master.token(tmp_path, lambda: BEGIN + made * PERIOD)
    assert master.opens(master.key(tmp_path), token, BEGIN + shown * PERIOD) == is_good


def test_what_is_no_token_opens_nothing() -> None:
    for word in ("", "sai", "khoa", "ký tự lạ", master.good(b"khac", BEGIN).even):
        assert not master.opens(KEY, word, BEGIN)


def test_the_token_in_use_keeps_its_place_when_the_other_changes() -> None:
    before, after = (master.good(KEY, BEGIN + part * PERIOD) for part in (0.49, 0.51))
    assert (before.even == after.even) != (before.odd == after.odd)


def test_the_pads_make_the_same_code_of_a_plain_digest() -> None:
    inner, outer = (bytes.fromhex(pad) for pad in master.pads(KEY))
    made = hashlib.sha256(outer + hashlib.sha256(inner + b"4660").digest()).hexdigest()
    assert made == hmac.new(KEY, b"4660", hashlib.sha256).hexdigest()


@pytest.fixture(params=["embedded", pytest.param("dovecot", marks=pytest.mark.dovecot)])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_a_token_ends_and_whoever_makes_new_ones_goes_on(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    config, clock = config_for(tmp_path), Hand(BEGIN)
    server: DovecotChild | ImapServer
    if kind == "dovecot":
        require_dovecot(config)
        monkeypatch.setattr(dovecot, "TOKENS_SECONDS", 0.05)
        server = DovecotChild(config, clock=clock)
    else:
        server = ImapServer(config, TestDirectory((AN,)), clock=clock)
    made = master.token
    monkeypatch.setattr(master, "token", lambda data: made(data, clock))
    monkeypatch.setattr(own_client, "KNOWN_SECONDS", SECONDS)
    await server.apply(Change(users()[:1]))
    reach.publish(tmp_path, await server.start())
    try:
        opened = await own_client.connect(config, AN)
        old = made(tmp_path, clock)
        clock.now = BEGIN + PERIOD  # the old one is still good for half a period
        await is_answered(True, lambda: opens(config, old))
        for step in (1.6, 2.6):
            clock.now = BEGIN + step * PERIOD
            (await own_client.connect(config, AN)).close()
            await is_answered(False, lambda: opens(config, old))
        assert await opened.alive()  # what is open stays open
        opened.close()
    finally:
        await server.stop()
    secrets = {old, made(tmp_path, clock), master.key(tmp_path).decode()}
    assert not any(secret in caplog.text for secret in secrets)
    files = [file for file in (tmp_path / "dovecot").rglob("*") if file.is_file()]
    assert not any(
        secret in file.read_text("utf-8", "replace") for file in files for secret in secrets
    )


async def opens(config: Config, token: str) -> bool:
    connection = Connection(Library(*reach.listener(config)))
    await connection.greeting()
    try:
        return await connection.log_in(master.login_name(AN), token)
    finally:
        connection.close()


async def is_answered(wanted: bool, ask: Callable[[], Awaitable[bool]]) -> None:
    """Dovecot looks at its files once in a second."""
    async with asyncio.timeout(SECONDS):
        while await ask() != wanted:  # noqa: ASYNC110 - there is nothing to be woken by
            await asyncio.sleep(0.2)
