"""The administration interface: every command that can be called from elsewhere, at its own address.

`POST /api/v1/mailbox/add` runs `mailgov mailbox add`; what only looks can be asked for by GET.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.metadata import version
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from mailgov.access import Authority
from mailgov.directory.api_tokens import Bearer
from mailgov.directory.bearer_door import BearerDoor
from mailgov.errors import InputError, MailgovError, NotAllowed, NotFound
from mailgov.services import Services
from mailgov_cli.remote import answers, asking
from mailgov_cli.remote.openapi import document
from mailgov_cli.remote.runs import Asked, Runs, actor_of
from mailgov_cli.remote.tree import Command, commands, routes

MOST_KEY = 255  # letters of an idempotency key
FILE_POLICY = "sandbox; default-src 'none'; frame-ancestors 'none'"

Endpoint = Callable[[Request], Awaitable[Response]]


class Api:
    """Addresses, and who may ask for them."""

    def __init__(self, services: Services, door: BearerDoor, runs: Runs) -> None:
        self._services, self._door, self._runs = services, door, runs

    def routes(self) -> list[BaseRoute]:
        """All addresses, below /api/v1."""
        run = "/runs/{run}"
        return [
            Route("/openapi.json", self._told(self._openapi)),
            Route(run, self._told(self._state), methods=["GET"]),
            Route(run, self._told(self._interrupt), methods=["DELETE"]),
            Route(f"{run}/events", self._told(self._events)),
            Route(f"{run}/result", self._told(self._result)),
            Route(f"{run}/files/{{name:path}}", self._told(self._file)),
            Route("/{route:path}", self._told(self._command), methods=["GET", "POST"]),
        ]

    def _told(self, endpoint: Endpoint) -> Endpoint:
        """Errors of ours become problem details in the caller's language."""

        async def guarded(request: Request) -> Response:
            try:
                answer = await endpoint(request)
            except MailgovError as error:
                answer = answers.told(error, self._language(request))
            answer.headers["Mailgov-Version"] = version("mailgov")
            return answer

        return guarded

    def _language(self, request: Request) -> Any:
        accepted = request.headers.get("accept-language", "")
        return answers.language_of(accepted, self._services.config.site.language)

    async def _bearer(self, request: Request) -> Bearer:
        return await self._door.open(
            request.headers.get("authorization", ""),
            request.client.host if request.client else "",
            encrypted=request.url.scheme == "https",
        )

    # Commands ----------------------------------------------------------------------------------

    async def _command(self, request: Request) -> Response:
        bearer = await self._bearer(request)
        command = _find(request.path_params["route"])
        _require_offered(command, bearer, request.method)
        wanted = await asking.read(request, self._services.config.api)
        try:
            run_id = await self._begin(request, bearer, command, wanted)
        finally:
            await wanted.close()
        if "respond-async" in request.headers.get("prefer", ""):  # RFC 7240, 4.1
            where = f"/api/v1/runs/{run_id}"
            return JSONResponse(
                {"schema": "api.run/1", "data": {"run": run_id, "state": "running"}},
                202,
                {"Location": where, "Preference-Applied": "respond-async", "Mailgov-Run": run_id},
            )
        if answers.JSON_LINES in request.headers.get("accept", ""):
            return self._stream(run_id, 0)
        return await self._whole(run_id)

    async def _begin(
        self, request: Request, bearer: Bearer, command: Command, wanted: asking.Wanted
    ) -> str:
        key = request.headers.get("idempotency-key")
        if key is not None and not 0 < len(key) <= MOST_KEY:
            raise InputError("api-body", problem="Idempotency-Key")
        authority = Authority(actor_of(bearer), bearer.roles, bearer.address)
        run_id, folder = await asyncio.to_thread(self._runs.new_folder)
        try:
            call = await asyncio.to_thread(
                asking.prepare,
                command,
                wanted,
                folder,
                self._services.config,
                authority,
                self._language(request),
                asking.terminal_of(request.headers.get("mailgov-terminal")),
            )
            await asyncio.to_thread(self._runs.note_given, folder)
            digest = await asyncio.to_thread(asking.fingerprint, command, wanted)
        except BaseException:
            await asyncio.to_thread(self._runs.forget, folder)
            raise
        asked = Asked(
            bearer=bearer,
            ip=request.client.host if request.client else "",
            command=command.path,
            digest=digest,
            key=key,
            reason=str(wanted.values.get("reason") or ""),
        )
        return await self._runs.begin(run_id, call, asked)

    async def _whole(self, run_id: str) -> Response:
        """The answer once the command has ended."""
        entries = [entry async for _, entry in self._runs.entries(run_id)]
        output = b"".join(
            entry["out"].encode() if "out" in entry else base64.b64decode(entry["out_bytes"])
            for entry in entries
            if "out" in entry or "out_bytes" in entry
        )
        files = await asyncio.to_thread(self._runs.files, run_id)
        return answers.of_run(run_id, entries, output, files)

    def _stream(self, run_id: str, after: int) -> Response:
        """What the command says, line by line, as it says it; the last line has `exit` and files."""
        return StreamingResponse(
            self._lines(run_id, after),
            media_type=answers.JSON_LINES,
            headers={"Mailgov-Run": run_id, "X-Accel-Buffering": "no"},
        )

    async def _lines(self, run_id: str, after: int) -> AsyncIterator[bytes]:
        async for number, entry in self._runs.entries(run_id, after):
            if "exit" in entry:
                entry = {**entry, "files": await asyncio.to_thread(self._runs.files, run_id)}
            yield json.dumps({"line": number, **entry}, ensure_ascii=False).encode() + b"\n"

    # Runs --------------------------------------------------------------------------------------

    async def _found(self, request: Request) -> tuple[str, Any]:
        bearer = await self._bearer(request)
        row = await self._runs.find(bearer, request.path_params["run"])
        return row.id, row

    async def _state(self, request: Request) -> Response:
        run_id, row = await self._found(request)
        files = await asyncio.to_thread(self._runs.files, run_id) if row.ended_at else []
        data = {
            "run": run_id,
            "command": row.command,
            "state": row.state,
            "exit": row.exit,
            "files": files,
        }
        return JSONResponse({"schema": "api.run/1", "data": data})

    async def _events(self, request: Request) -> Response:
        run_id, _ = await self._found(request)
        after = request.query_params.get("after", "0")
        return self._stream(run_id, int(after) if after.isascii() and after.isdigit() else 0)

    async def _result(self, request: Request) -> Response:
        run_id, _ = await self._found(request)
        return await self._whole(run_id)

    async def _interrupt(self, request: Request) -> Response:
        run_id, _ = await self._found(request)
        self._runs.interrupt(run_id)
        return Response(status_code=204)

    async def _file(self, request: Request) -> Response:
        run_id, _ = await self._found(request)
        file = await asyncio.to_thread(self._runs.file, run_id, request.path_params["name"])
        return FileResponse(
            file,
            media_type="application/octet-stream",
            filename=file.name,
            headers={"Content-Security-Policy": FILE_POLICY},
        )

    async def _openapi(self, request: Request) -> Response:
        language = self._language(request)
        if request.query_params.get("lang") in ("vi", "en"):
            language = request.query_params["lang"]
        return JSONResponse(await asyncio.to_thread(document, language))


def _find(route: str) -> Command:
    """Raises NotFound `api-route-unknown`, `api-not-offered`."""
    route = route.strip("/")
    found = routes().get(route)
    if found is not None:
        return found
    path = route.replace("/", " ")
    if path in commands():
        raise NotFound("api-not-offered", command=path)
    raise NotFound("api-route-unknown", path=f"/api/v1/{route}"[:100])


def _require_offered(command: Command, bearer: Bearer, method: str) -> None:
    """Raises NotAllowed for what the token is not for, InputError for GET of what changes."""
    if not bearer.permits(command.path):
        raise NotAllowed("token-not-for-this", command=command.path)
    if command.verb.changes and bearer.access == "read":
        raise NotAllowed("token-reads-only", command=command.path)
    if command.verb.changes and method == "GET":
        raise InputError("api-method", command=command.path)
