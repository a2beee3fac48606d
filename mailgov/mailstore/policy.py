"""What Dovecot asks before a sign-in counts, and tells after it: its authentication policy protocol.

Dovecot checks passwords itself. It asks here, over HTTP on loopback, whether a right one counts now,
and reports what came of each attempt; so guessing over IMAP is bounded as it is elsewhere. Without an
answer Dovecot goes by the password alone: whoever asks and answers live and die together.
"""

import asyncio
import hmac
import secrets
import socket
from contextlib import suppress
from typing import Any, Protocol

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mailgov.errors import MailgovError
from mailgov.logs import logger
from mailgov.mailstore import master

MAX_BODY_BYTES = 16_384
MAX_NAME = 320  # letters of a user name that are looked at
_REFUSE, _GO_ON = -1, 0

log = logger("mailstore")


class SignIns(Protocol):
    """Who bounds guessing. Every method raises Unavailable."""

    async def permits(self, name: str, ip: str) -> bool:
        """Whether a right password counts now."""

    async def noted(self, name: str, ip: str, *, success: bool, app_password: int | None) -> None:
        """Count and record what came of an attempt."""


class PolicyServer:
    """The answering end. `header` is what requests must carry: other users of the machine know it not."""

    def __init__(self, sign_ins: SignIns) -> None:
        self._sign_ins = sign_ins
        self._token = secrets.token_urlsafe(24)
        self._server: uvicorn.Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self.url = ""

    @property
    def header(self) -> str:
        """The field of every request."""
        return f"Authorization: Bearer {self._token}"

    async def start(self) -> None:
        """Listen on a free port of loopback; `url` says where."""
        listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        app = Starlette(routes=[Route("/", self._answer, methods=["POST"])])
        self._server = uvicorn.Server(
            uvicorn.Config(app, access_log=False, lifespan="off", log_config=None)
        )
        self._serving = asyncio.create_task(
            self._server.serve(sockets=[listening]), name="sign-in policy"
        )

    async def stop(self) -> None:
        """Give the port back. May be called at any time."""
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            with suppress(asyncio.CancelledError):
                await self._serving

    async def _answer(self, request: Request) -> Response:
        shown = request.headers.get("authorization", "")
        if not hmac.compare_digest(shown.encode(), f"Bearer {self._token}".encode()):
            return JSONResponse({}, 403)
        if int(request.headers.get("content-length", "0")) > MAX_BODY_BYTES:
            return JSONResponse({}, 413)
        said: dict[str, Any] = await request.json()
        name, ip = str(said.get("login", ""))[:MAX_NAME], str(said.get("remote", ""))
        status = _GO_ON
        if not _is_webmail(name) and said.get("master") != master.USER:
            try:
                status = await self._judged(request.query_params.get("command"), name, ip, said)
            except MailgovError as error:
                log.warning("policy.trouble", code=error.code)
                status = _REFUSE
        return JSONResponse({"status": status, "msg": ""})

    async def _judged(self, command: str | None, name: str, ip: str, said: dict[str, Any]) -> int:
        number = str(said.get("app", ""))
        app_password = int(number) if number.isdigit() else None
        if command == "report":
            if not said.get("policy_reject"):  # what was held off is no guess
                right = bool(said.get("success"))
                await self._sign_ins.noted(name, ip, success=right, app_password=app_password)
        elif app_password is None and not await self._sign_ins.permits(name, ip):
            return _REFUSE
        return _GO_ON


def _is_webmail(name: str) -> bool:
    """Whether the webmail opens a mailbox, for somebody who has signed in to it.

    Dovecot 2.4 names the mailbox alone, and who opens it in a field of its own.
    """
    return name == master.USER or name.endswith(f"{master.SEPARATOR}{master.USER}")
