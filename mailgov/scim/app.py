"""The addresses of SCIM, below /scim/v2 (RFC 7644, 3.2)."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pydantic import ValidationError
from scim2_models import (
    Context,
    Error,
    InvalidFilterException,
    ListResponse,
    PatchOp,
    ResourceType,
    ResponseParameters,
    Schema,
    SCIMException,
    SearchRequest,
)
from sqlmodel import Session
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from mailgov import ledger
from mailgov.access import Act as AccessAct
from mailgov.access import Authority, fence
from mailgov.clock import Clock
from mailgov.config import Config
from mailgov.db import Database
from mailgov.directory.api_tokens import Bearer
from mailgov.directory.bearer_door import BearerDoor
from mailgov.directory.change import Act
from mailgov.errors import Conflict, InputError, MailgovError, NotAllowed, NotFound, Unavailable
from mailgov.ledger.events import CommandCalled
from mailgov.scim import filters
from mailgov.scim.changed import Changing
from mailgov.scim.resources import (
    DEFAULT_PAGE,
    MOST_PAGE,
    POLICY,
    PROVIDER,
    GroupResource,
    UserResource,
)
from mailgov.scim.shown import Page, Shown
from mailgov.texts import LANGUAGES, Language, tell

MEDIA_TYPE = "application/scim+json"
COMMAND = "scim"
THREADS = 4

Endpoint = Callable[[Request], Awaitable[Response]]


class Scim:
    """The interface, behind the same door as the administration interface."""

    def __init__(self, database: Database, clock: Clock, config: Config, door: BearerDoor) -> None:
        self.database, self.clock, self.config = database, clock, config
        self._door = door
        self._threads = ThreadPoolExecutor(THREADS, "scim")

    def close(self) -> None:
        """End the threads that work for it."""
        self._threads.shutdown()

    def app(self) -> Starlette:
        """The whole of it, to be found at /scim/v2."""
        return Starlette(routes=self._routes(), exception_handlers={HTTPException: _of_http})

    def _routes(self) -> list[BaseRoute]:
        found: list[BaseRoute] = [
            Route("/ServiceProviderConfig", self._told(self._described)),
            Route("/Schemas", self._told(self._schemas)),
            Route("/Schemas/{id:path}", self._told(self._schema)),
            Route("/ResourceTypes", self._told(self._types)),
            Route("/ResourceTypes/{id}", self._told(self._type)),
        ]
        both = self._call(_Kind("Users"), "search-all")
        found.append(Route("/.search", self._told(both), methods=["POST"]))
        for kind in ("Users", "Groups"):
            of = _Kind(kind)
            found += [
                Route(f"/{kind}/.search", self._told(self._call(of, "search")), methods=["POST"]),
                Route(f"/{kind}", self._told(self._call(of, "list")), methods=["GET"]),
                Route(f"/{kind}", self._told(self._call(of, "add")), methods=["POST"]),
            ]
            one = f"/{kind}/{{id}}"
            found += [
                Route(one, self._told(self._call(of, "show")), methods=["GET"]),
                Route(one, self._told(self._call(of, "put")), methods=["PUT"]),
                Route(one, self._told(self._call(of, "patch")), methods=["PATCH"]),
                Route(one, self._told(self._call(of, "remove")), methods=["DELETE"]),
            ]
        return found

    def _told(self, endpoint: Endpoint) -> Endpoint:
        """Errors as RFC 7644, 3.12 has them."""

        async def guarded(request: Request) -> Response:
            try:
                return await endpoint(request)
            except SCIMException as error:
                return _error(error.status, error.scim_type, error.detail)
            except ValidationError as error:
                first = Error.from_validation_errors(error)[0]
                return _error(first.status or 400, first.scim_type or "", first.detail or "")
            except MailgovError as error:
                return _of_ours(error, request)

        return guarded

    # Discovery ---------------------------------------------------------------------------------

    async def _described(self, _request: Request) -> Response:
        assert PROVIDER.config is not None
        return _answer(PROVIDER.config)

    async def _schemas(self, request: Request) -> Response:
        _require_no_filter(request)
        return _answer(_listed(Schema, list(PROVIDER.schemas)))

    async def _schema(self, request: Request) -> Response:
        return _answer(_one(PROVIDER.schemas, request.path_params["id"]))

    async def _types(self, request: Request) -> Response:
        _require_no_filter(request)
        return _answer(_listed(ResourceType, list(PROVIDER.resource_types)))

    async def _type(self, request: Request) -> Response:
        return _answer(_one(PROVIDER.resource_types, request.path_params["id"]))

    # Resources ---------------------------------------------------------------------------------

    def _call(self, kind: "_Kind", what: str) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            bearer = await self._door.open(
                request.headers.get("authorization", ""),
                request.client.host if request.client else "",
                encrypted=request.url.scheme == "https",
            )
            body = await _body(request, self.config.api.body_bytes)
            called = _Call(self, kind, what, request, bearer, body)
            status = 500
            try:
                loop = asyncio.get_running_loop()
                answer = await loop.run_in_executor(self._threads, called.answer)
                status = answer.status_code
            except SCIMException as error:
                status = error.status
                raise
            except ValidationError:
                status = 400
                raise
            except MailgovError as error:
                status = _status(error)
                raise
            finally:
                await self._note(called, status)
            return answer

        return endpoint

    async def _note(self, called: "_Call", status: int) -> None:
        event = CommandCalled(
            at=self.clock(),
            actor=called.actor,
            mailbox=called.bearer.address,
            command=f"{COMMAND} {called.request.method} {called.kind.name}",
            outcome=str(status),
            ip=called.request.client.host if called.request.client else "",
        )
        await self.database.submit(lambda session: ledger.record(session, event))


class _Kind:
    """People or groups."""

    def __init__(self, name: str) -> None:
        self.name = name
        users = name == "Users"
        self.model: Any = UserResource if users else GroupResource
        self.listed: Any = ListResponse[UserResource] if users else ListResponse[GroupResource]
        self.patch: Any = PatchOp[UserResource] if users else PatchOp[GroupResource]
        self.parameters: Any = (
            ResponseParameters[UserResource] if users else ResponseParameters[GroupResource]
        )
        self.filter = filters.users if name == "Users" else filters.groups


class _Call:
    """One call, answered in a thread with a transaction of its own."""

    def __init__(
        self,
        scim: Scim,
        kind: _Kind,
        what: str,
        request: Request,
        bearer: Bearer,
        body: Any,
    ) -> None:
        self._scim, self.kind, self._what = scim, kind, what
        self.request, self.bearer, self._body = request, bearer, body
        self.actor = f"{bearer.address} (token {bearer.token_id})"
        self._base = str(request.url.replace(path="/scim/v2", query=""))

    def answer(self) -> Response:
        """Do what was asked. Raises SCIMException, ValidationError, MailgovError."""
        changes = self._what not in ("list", "search", "search-all", "show")
        self._require_allowed(changes=changes)
        act: AccessAct = "administer" if changes else "look"
        authority = Authority(self.actor, self.bearer.roles, self.bearer.address)
        authority.require(act)
        database = self._scim.database
        with POLICY, database.write() if changes else database.read() as session:
            fence(session, authority.tops(act), self.actor)
            return self._done(session)

    def _require_allowed(self, *, changes: bool) -> None:
        if not self.bearer.permits(COMMAND):
            raise NotAllowed("token-not-for-this", command=COMMAND)
        if changes and self.bearer.access == "read":
            raise NotAllowed("token-reads-only", command=COMMAND)

    def _done(self, session: Session) -> Response:
        shown = Shown(session, self._base)
        match self._what:
            case "list":
                return self._list(shown, dict(self.request.query_params))
            case "search":
                return self._list(shown, self._body)
            case "search-all":
                return self._list_both(shown)
            case "show":
                return self._show(self._found(shown))
            case "add":
                return self._add(session, shown)
            case _:
                return self._change(session, shown)

    def _list(self, shown: Shown, asked: dict[str, Any]) -> Response:
        wanted: SearchRequest[Any] = SearchRequest.model_validate(asked)
        start = max(wanted.start_index or 1, 1)
        count = DEFAULT_PAGE if wanted.count is None else min(max(wanted.count, 0), MOST_PAGE)
        condition = self.kind.filter(str(wanted.filter)) if wanted.filter else None
        page = self._page(shown, condition, start - 1, count)
        parameters = self._parameters(asked)
        listed = self.kind.listed(
            total_results=page.total,
            start_index=start,
            items_per_page=len(page.resources),
            resources=page.resources,
        )
        return _answer(listed, parameters=parameters)

    def _list_both(self, shown: Shown) -> Response:
        """People, then groups (RFC 7644, 3.4.3). Who has no such attribute is not meant."""
        wanted: SearchRequest[Any] = SearchRequest.model_validate(self._body)
        start = max(wanted.start_index or 1, 1)
        count = DEFAULT_PAGE if wanted.count is None else min(max(wanted.count, 0), MOST_PAGE)
        readers = ((shown.users, filters.users), (shown.groups, filters.groups))
        total, known = 0, False
        resources: list[Any] = []
        for reader, condition_of in readers:
            try:
                condition = condition_of(str(wanted.filter)) if wanted.filter else None
            except InvalidFilterException as exc:
                refused = exc
                continue
            known = True
            skipped = max(start - 1 - total, 0)
            page = reader(condition, skipped, count - len(resources))
            total += page.total
            resources += page.resources
        if not known:
            raise refused
        named = ("attributes", "excludedAttributes")
        own = {name: self._body[name] for name in named if self._body.get(name)}
        listed = ListResponse[UserResource | GroupResource](
            total_results=total,
            start_index=start,
            items_per_page=len(resources),
            resources=resources,
        )
        both = ResponseParameters[UserResource | GroupResource]
        return _answer(listed, parameters=both.model_validate(own))

    def _parameters(self, asked: Any) -> Any:
        named = ("attributes", "excludedAttributes")
        own = {name: asked[name] for name in named if asked.get(name)}
        return self.kind.parameters.model_validate(own)

    def _page(self, shown: Shown, condition: Any, start: int, count: int) -> Page:
        reader = shown.users if self.kind.name == "Users" else shown.groups
        return reader(condition, start, count)

    def _found(self, shown: Shown, number: str | None = None) -> Any:
        """The resource. Raises NotFound `scim-unknown`."""
        number = number or self.request.path_params["id"]
        condition = self.kind.filter(f"id eq {json.dumps(number)}")
        page = self._page(shown, condition, 0, 1)
        if not page.resources:
            raise NotFound("scim-unknown", id=number[:40])
        return page.resources[0]

    def _show(self, found: Any, status: int = 200) -> Response:
        """The resource, or that the caller's own copy is as good (RFC 7644, 3.14)."""
        matching = self.request.headers.get("if-none-match", "")
        if self.request.method == "GET" and found.meta.version in _tags(matching):
            return Response(status_code=304, headers={"ETag": found.meta.version})
        parameters = self._parameters(dict(self.request.query_params))
        answer = _answer(found, status, parameters=parameters)
        answer.headers["ETag"] = found.meta.version
        answer.headers["Location" if status == 201 else "Content-Location"] = found.meta.location
        return answer

    def _changing(self, session: Session) -> Changing:
        now = self._scim.clock()
        return Changing(session, Act(self.actor, now, "SCIM"), self._scim.config)

    def _add(self, session: Session, shown: Shown) -> Response:
        new = self.kind.model.model_validate(
            _without_readonly(self._body), scim_ctx=Context.RESOURCE_CREATION_REQUEST
        )
        changing = self._changing(session)
        number = changing.add_user(new) if self._is_users else changing.add_group(new)
        session.flush()
        return self._show(self._found(shown, number), 201)

    @property
    def _is_users(self) -> bool:
        return self.kind.name == "Users"

    def _change(self, session: Session, shown: Shown) -> Response:
        old = self._found(shown)
        self._require_current(old)
        changing = self._changing(session)
        if self._what == "remove":
            remove = changing.remove_user if self._is_users else changing.remove_group
            remove(old.id)
            return Response(status_code=204)
        new = self._patched(old) if self._what == "patch" else self._replaced(old)
        change = changing.change_user if self._is_users else changing.change_group
        change(old.id, old, new)
        session.flush()
        session.expire_all()
        return self._show(self._found(shown))

    def _patched(self, old: Any) -> Any:
        new = old.model_copy(deep=True)
        operations = self.kind.patch.model_validate(
            self._body, scim_ctx=Context.RESOURCE_PATCH_REQUEST
        )
        operations.patch(new)
        return new

    def _replaced(self, old: Any) -> Any:
        new = self.kind.model.model_validate(
            self._body, scim_ctx=Context.RESOURCE_REPLACEMENT_REQUEST
        )
        new.replace(old)
        return new

    def _require_current(self, old: Any) -> None:
        wanted = self.request.headers.get("if-match")
        if wanted is not None and not {"*", old.meta.version} & _tags(wanted):
            raise Conflict("scim-changed-since", id=old.id)


def _tags(field: str) -> set[str]:
    return {one.strip() for one in field.split(",") if one.strip()}


def _without_readonly(body: Any) -> Any:
    """What callers say of attributes that are ours is passed over (RFC 7644, 3.3)."""
    ours = {"id", "meta", "emails"}
    if not isinstance(body, dict):
        return body
    return {name: value for name, value in body.items() if name.lower() not in ours}


async def _body(request: Request, most: int) -> Any:
    """Raises InputError `api-too-large`, `api-body`."""
    content = b""
    async for piece in request.stream():
        content += piece
        if len(content) > most:
            raise InputError("api-too-large", most=most)
    if not content:
        return {}
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as exc:
        raise InputError("api-body", problem="JSON") from exc


def _require_no_filter(request: Request) -> None:
    """RFC 7644, 4: what discovery is asked to filter is forbidden."""
    if "filter" in request.query_params:
        raise NotAllowed("scim-discovery-filter")


def _listed(kind: Any, resources: list[Any]) -> Any:
    return ListResponse[kind](
        total_results=len(resources),
        start_index=1,
        items_per_page=len(resources),
        resources=resources,
    )


def _one(resources: Any, wanted: str) -> Any:
    for one in resources:
        if wanted.lower() in (str(one.id).lower(), str(one.name).lower()):
            return one
    raise NotFound("scim-unknown", id=wanted[:80])


def _answer(content: Any, status: int = 200, *, parameters: Any = None) -> Response:
    told = content.model_dump_json(
        scim_ctx=Context.RESOURCE_QUERY_RESPONSE, response_parameters=parameters
    )
    return Response(told, status, media_type=MEDIA_TYPE)


def _error(status: int, scim_type: str, detail: str) -> Response:
    told = Error(status=status, scim_type=scim_type or None, detail=detail)
    return Response(told.model_dump_json(), status, media_type=MEDIA_TYPE)


_STATUS: tuple[tuple[type[MailgovError], int], ...] = (
    (NotAllowed, 403),
    (Conflict, 409),
    (Unavailable, 503),
    (NotFound, 400),
    (InputError, 400),
)
_BY_CODE = {
    "scim-unknown": 404,
    "api-route-unknown": 404,
    "scim-changed-since": 412,
    "api-too-large": 413,
    "sign-in-later": 429,
    "calls-too-many": 429,
    "token-missing": 401,
    "token-refused": 401,
    "token-expired": 401,
    "token-not-encrypted": 401,
}


def _status(error: MailgovError) -> int:
    usual = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    return _BY_CODE.get(error.code, usual)


async def _of_http(_request: Request, error: Exception) -> Response:
    """Addresses that are not there, and what can't be done at one that is."""
    assert isinstance(error, HTTPException)
    answer = _error(error.status_code, "", error.detail)
    answer.headers.update(error.headers or {})
    return answer


def _of_ours(error: MailgovError, request: Request) -> Response:
    accepted = request.headers.get("accept-language", "")[:2].lower()
    language: Language = next((one for one in LANGUAGES if one == accepted), "en")
    text, mend = tell(error, language)
    status = _status(error)
    scim_type = {400: "invalidValue", 409: "uniqueness"}.get(status, "")
    if error.code == "api-body":
        scim_type = "invalidSyntax"
    answer = _error(status, scim_type, f"{text}; {mend} [{error.code}]")
    if status == 401:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="mailgov"'
    if status in (429, 503):
        answer.headers["Retry-After"] = str(error.fields.get("seconds", 60))
    return answer
