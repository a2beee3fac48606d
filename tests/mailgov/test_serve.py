"""The supervisor: a role that dies comes back, one that can't start ends the start."""

import asyncio
import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mailgov import serve as supervisor
from mailgov.errors import Unavailable
from mailgov.listening import Listening, listen
from mailgov.reload import Status, running, untouched

Announce = Callable[[str, str], None]


def services(folder: Path) -> Any:
    """As much of a platform as the supervisor looks at."""
    config = SimpleNamespace(
        data=SimpleNamespace(path=folder),
        certificate=folder / "cert.pem",
        private_key=folder / "key.pem",
    )
    return SimpleNamespace(config=config, listening=Listening())


async def test_a_role_that_dies_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lives: list[int] = []
    again = asyncio.Event()

    async def mortal(_services: Any, announce: Announce, stop: asyncio.Event) -> None:
        announce("", "")
        lives.append(len(lives))
        if len(lives) < 3:
            raise RuntimeError("it trips")
        again.set()
        await stop.wait()

    monkeypatch.setattr(supervisor, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(supervisor, "find_roles", lambda _: {"mortal": mortal})
    ready: list[dict[str, str]] = []

    async def told(listeners: dict[str, str]) -> None:
        ready.append(listeners)

    running = asyncio.create_task(supervisor.serve(services(tmp_path), when_ready=told))
    async with asyncio.timeout(30):
        await again.wait()
        os.kill(os.getpid(), signal.SIGTERM)  # the supervisor has the signal
        await running
    assert lives == [0, 1, 2]
    assert ready == [{}]


async def test_a_role_that_cannot_start_ends_the_start_and_stops_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = asyncio.Event()

    async def good(_services: Any, announce: Announce, stop: asyncio.Event) -> None:
        announce("good", "127.0.0.1:1")
        await stop.wait()
        ended.set()

    async def bad(_services: Any, _announce: Announce, _stop: asyncio.Event) -> None:
        raise Unavailable("port-busy", listener="bad", address="127.0.0.1:1", reason="in use")

    monkeypatch.setattr(supervisor, "find_roles", lambda _: {"good": good, "bad": bad})
    with pytest.raises(Unavailable, match="port-busy"):
        await supervisor.serve(services(tmp_path))
    assert ended.is_set()


@pytest.mark.parametrize(
    ("changed", "same_certificate", "staying"),
    [
        (["policy", "delivery"], True, ["mailstore"]),
        (["mailstore"], True, []),
        (["limits"], True, []),
        ([], False, []),
    ],
)
def test_mailboxes_go_on_unless_a_change_concerns_them(
    changed: list[str], same_certificate: bool, staying: list[str]
) -> None:
    assert untouched(changed, same_certificate=same_certificate) == staying


def test_a_socket_that_is_held_listens_on_without_its_handles() -> None:
    listening = Listening()
    listening.hold()
    handle = listening.open("mx", "127.0.0.1:0")
    port = handle.getsockname()[1]
    handle.close()
    again = listening.open("mx", "127.0.0.1:0")
    assert again.getsockname()[1] == port
    again.close()
    with pytest.raises(OSError, match="in use"):
        listen(f"127.0.0.1:{port}")
    listening.close()
    listen(f"127.0.0.1:{port}").close()


def test_without_a_hold_a_socket_ends_with_its_handle() -> None:
    handle = Listening().open("mx", "127.0.0.1:0")
    port = handle.getsockname()[1]
    handle.close()
    listen(f"127.0.0.1:{port}").close()


def test_a_full_disk_keeps_no_server_from_serving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    with Status(tmp_path, ["relay"]) as status:
        status.told(None)
    assert list(tmp_path.iterdir()) == []


def test_what_a_server_says_of_itself_is_read_while_it_lives(tmp_path: Path) -> None:
    with Status(tmp_path, ["relay"]) as status:
        status.told(Unavailable("port-busy", listener="mx"))
        told = {"pid": os.getpid(), "roles": ["relay"], "reloads": 1}
        error = {"code": "port-busy", "fields": {"listener": "mx"}}
        assert list(running(tmp_path)) == [{**told, **error}]
    left = tmp_path / "serve" / "1.json"
    left.write_text("{}\n")
    assert list(running(tmp_path)) == []
    assert not left.exists()
