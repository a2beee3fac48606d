"""The role: an engine that serves whoever the directory says, from the first moment on."""

import asyncio
import imaplib
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from mailgov.clock import utc_now
from mailgov.config import load_config
from mailgov.db import Database
from mailgov.directory import Directory
from mailgov.directory.provisioning import set_password, suspend
from mailgov.errors import Unavailable
from mailgov.mailstore import reach
from mailgov.mailstore.dovecot import DovecotChild
from mailgov.roles import mailstore
from mailgov.services import Services
from tests.support.directory import AN, OFFICE, PASSWORD, act, fill_directory
from tests.support.imap_engines import require_dovecot


def services(folder: Path, database: Database, engine: str) -> Services:
    """As much of the platform as the role needs."""
    config = load_config(
        None, data={"path": str(folder)}, mailstore={"engine": engine, "imap": "127.0.0.1:0"}
    )
    directory = Directory(database, utc_now, config.limits)
    return cast(
        Services,
        SimpleNamespace(config=config, database=database, directory=directory, clock=utc_now),
    )


def signs_in(address: str, user: str) -> bool:
    host, port = reach.split(address)
    with imaplib.IMAP4(host, port, timeout=20) as client:
        try:
            return client.login(user, PASSWORD)[0] == "OK"
        except imaplib.IMAP4.error:
            return False


@pytest.mark.parametrize("engine", ["embedded", pytest.param("dovecot", marks=pytest.mark.dovecot)])
async def test_people_come_and_go(
    engine: str, tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = services(tmp_path, database, engine)
    if engine == "dovecot":
        require_dovecot(platform.config)
    with database.write() as session:
        fill_directory(session)
    applied = asyncio.Queue[None]()
    chosen = mailstore._ENGINES[engine]

    async def watched(platform: Services, told: mailstore.Told) -> mailstore.Engine:
        server = await chosen(platform, told)
        apply = server.apply

        async def told(change: mailstore.Change) -> None:
            await apply(change)
            applied.put_nowait(None)

        monkeypatch.setattr(server, "apply", told)
        return server

    monkeypatch.setitem(mailstore._ENGINES, engine, watched)
    monkeypatch.setattr(mailstore, "FOLLOW_SECONDS", 0.05)
    announced = asyncio.Queue[tuple[str, str]]()
    stop = asyncio.Event()
    role = asyncio.create_task(mailstore.run(platform, lambda *it: announced.put_nowait(it), stop))
    name, address = await asyncio.wait_for(announced.get(), 30)
    assert name == "imap"
    assert reach.listener(platform.config) == reach.split(address)
    await applied.get()
    assert await asyncio.to_thread(signs_in, address, AN)
    assert not await asyncio.to_thread(signs_in, address, OFFICE)
    with database.write() as session:
        set_password(session, act(), OFFICE, PASSWORD)
        suspend(session, act("nghỉ việc"), AN)
    await asyncio.wait_for(applied.get(), 30)
    assert await asyncio.to_thread(signs_in, address, OFFICE)
    assert not await asyncio.to_thread(signs_in, address, AN)
    stop.set()
    await asyncio.wait_for(role, 30)
    with pytest.raises(OSError, match=r".*"):
        await asyncio.open_connection(*reach.split(address))


async def test_auto_takes_dovecot_where_it_can(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for can, kind in ((True, DovecotChild), (False, mailstore.ImapServer)):
        monkeypatch.setattr(mailstore, "usable", lambda _, can=can: can)
        platform = services(tmp_path, database, "auto")
        assert isinstance(await mailstore._engine(platform, lambda _: None), kind)


async def test_a_busy_port_ends_the_start(tmp_path: Path, database: Database) -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    platform = services(tmp_path, database, "embedded")
    settings = platform.config.mailstore.model_copy(update={"imap": f"{host}:{port}"})
    platform.config = platform.config.model_copy(update={"mailstore": settings})  # type: ignore[misc]
    async with server:
        with pytest.raises(Unavailable, match="port-busy"):
            await mailstore.run(platform, lambda *_: None, asyncio.Event())
