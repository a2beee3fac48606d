"""The role: listens where it is told, says where that is, and ends when it is told."""

import asyncio
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from mailgov.errors import Unavailable
from mailgov_webmail import role
from tests.support.webmail import Site, make_site


async def answered(address: str, path: str, **headers: str) -> httpx2.Response:
    async with httpx2.AsyncClient(base_url=f"http://{address}") as client:
        return await client.get(path, headers=headers)


@pytest.fixture
def listening(data_folder: Path) -> Iterator[Site]:
    made = make_site(data_folder, web={"listen": "127.0.0.1:0"})
    yield made
    made.close()


async def test_it_serves_on_a_free_port_until_it_is_told_to_stop(listening: Site) -> None:
    stop = asyncio.Event()
    announced: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    running = asyncio.create_task(
        role.run(listening.services, lambda *told: announced.put_nowait(told), stop)
    )
    name, address = await announced.get()
    assert name == "web"
    assert (await answered(address, "/healthz")).text == "ok"
    page = await answered(address, "/login")
    assert page.status_code == 200
    assert "server" not in page.headers
    stop.set()
    await asyncio.wait_for(running, 10)
    with pytest.raises(httpx2.ConnectError):
        await answered(address, "/healthz")


async def test_signals_stay_with_whoever_supervises_the_roles(listening: Site) -> None:
    before = signal.getsignal(signal.SIGTERM)
    stop = asyncio.Event()
    ready = asyncio.Event()
    running = asyncio.create_task(role.run(listening.services, lambda *_: ready.set(), stop))
    await ready.wait()
    assert signal.getsignal(signal.SIGTERM) is before
    stop.set()
    await running


async def test_without_a_mail_store_pages_say_so(listening: Site) -> None:
    token = await listening.token()
    stop = asyncio.Event()
    announced: asyncio.Queue[str] = asyncio.Queue()
    running = asyncio.create_task(
        role.run(listening.services, lambda _, address: announced.put_nowait(address), stop)
    )
    page = await answered(await announced.get(), "/mail/inbox", Cookie=f"mailgov-session={token}")
    assert page.status_code == 503
    stop.set()
    await running


async def test_a_busy_port_is_named(data_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        site = make_site(data_folder, web={"listen": address})
        with pytest.raises(Unavailable, match=f"port-busy.*{address}"):
            await role.run(site.services, lambda *_: None, asyncio.Event())
        site.close()
