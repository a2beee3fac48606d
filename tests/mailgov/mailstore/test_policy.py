"""The answering end of Dovecot's questions: who may ask, and what is made of trouble."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2 as httpx
import pytest

from mailgov.errors import Unavailable
from mailgov.mailstore.policy import MAX_BODY_BYTES, PolicyServer


class Bounds:
    """Remembers; `trouble` is raised instead."""

    def __init__(self) -> None:
        self.trouble: Exception | None = None
        self.asked: list[str] = []

    async def permits(self, name: str, ip: str) -> bool:
        if self.trouble is not None:
            raise self.trouble
        self.asked.append(f"{name} {ip}")
        return name != "held@vidu.gov.vn"

    async def noted(self, name: str, ip: str, *, success: bool, app_password: int | None) -> None:
        self.asked.append(f"{name} {ip} {success} {app_password}")


@pytest.fixture
def bounds() -> Bounds:
    return Bounds()


@pytest.fixture
async def server(bounds: Bounds) -> AsyncIterator[PolicyServer]:
    made = PolicyServer(bounds)
    await made.start()
    yield made
    await made.stop()


async def ask(
    server: PolicyServer, command: str, token: str = "", **said: object
) -> httpx.Response:
    shown = token or server.header.partition(": ")[2]
    async with httpx.AsyncClient() as client:
        return await client.post(
            server.url, params={"command": command}, json=said, headers={"Authorization": shown}
        )


async def test_whoever_lacks_the_token_learns_nothing(server: PolicyServer, bounds: Bounds) -> None:
    assert (await ask(server, "report", "Bearer x", login="an@vidu.gov.vn")).status_code == 403
    assert bounds.asked == []


async def test_questions_and_reports(server: PolicyServer, bounds: Bounds) -> None:
    where: dict[str, Any] = {"remote": "10.1.2.3"}
    for login, app, status in (
        ("an@vidu.gov.vn", "", 0),
        ("held@vidu.gov.vn", "", -1),
        ("held@vidu.gov.vn", "7", 0),  # a right app password is not held off
        ("held@vidu.gov.vn*webmail", "", 0),
    ):
        answer = await ask(server, "allow", login=login, app=app, **where)
        assert answer.json()["status"] == status
    answer = await ask(server, "allow", login="held@vidu.gov.vn", app="", master="webmail", **where)
    assert answer.json()["status"] == 0  # as Dovecot 2.4 tells of the webmail
    await ask(server, "report", login="an@vidu.gov.vn", app="7", success=True, **where)
    rejected: dict[str, Any] = {"success": True, "policy_reject": True}
    await ask(server, "report", login="held@vidu.gov.vn", app="", **rejected, **where)
    assert bounds.asked == [
        "an@vidu.gov.vn 10.1.2.3",
        "held@vidu.gov.vn 10.1.2.3",
        "an@vidu.gov.vn 10.1.2.3 True 7",
    ]


async def test_trouble_lets_nobody_in(server: PolicyServer, bounds: Bounds) -> None:
    bounds.trouble = Unavailable("database-unavailable", reason="x")
    assert (await ask(server, "allow", login="an@vidu.gov.vn")).json()["status"] == -1


async def test_what_is_too_large_is_not_read(server: PolicyServer, bounds: Bounds) -> None:
    answer = await ask(server, "report", login="a" * MAX_BODY_BYTES)
    assert (answer.status_code, bounds.asked) == (413, [])
