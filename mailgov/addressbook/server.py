"""The address book over HTTP: the part of CardDAV that reads (RFC 6352, RFC 6578, RFC 6764).

Who asks shows an app password of the scope `dav`, or the password where programs may use it, over TLS
or on this machine. Nothing can be written.
"""

import asyncio
import base64
import binascii
from ipaddress import ip_address
from typing import Literal, Protocol
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from mailgov.addressbook import answers, asked
from mailgov.addressbook.answers import BOOK, HOME, PRINCIPAL, ROOT, SYNC, Place
from mailgov.addressbook.people import Book, book_of
from mailgov.config import AddressBook as Settings
from mailgov.db import Database
from mailgov.errors import NotAllowed, Unavailable

MOST_BODY_BYTES = 1 << 20
RECEIVE_SECONDS = 30.0
_METHODS = "OPTIONS, GET, HEAD, PROPFIND, REPORT"
_XML = "application/xml; charset=utf-8"
_DAV = {"DAV": "1, 3, addressbook", "Allow": _METHODS}
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="mailgov", charset="UTF-8"'}


class Holder(Protocol):
    """Whoever is signed in."""

    @property
    def address(self) -> str:
        """The mailbox."""

    @property
    def agency_code(self) -> str:
        """The agency of the mailbox."""

    @property
    def state(self) -> str:
        """`active` lets in."""


class Accounts(Protocol):
    """Who may come in. Raises Unavailable, and NotAllowed when too much was guessed."""

    async def sign_in(
        self, name: str, password: str, *, channel: Literal["dav"], ip: str
    ) -> Holder | None:
        """Who shows this password; None for a wrong one."""


class AddressBook:
    """An ASGI application for everything below `/dav/`."""

    def __init__(self, settings: Settings, accounts: Accounts, database: Database) -> None:
        self._settings = settings
        self._accounts = accounts
        self._database = database

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        response = await self._answer(request)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(headers=_DAV)
        if not _is_safe(request):
            return PlainTextResponse("ask over https", 403)
        try:
            holder = await self._signed_in(request)
            if holder is None:
                return PlainTextResponse("sign in with an app password", 401, _CHALLENGE)
            body = await _body(request)
            if body is None:
                return PlainTextResponse("the request is too large or too slow", 413)
            settings = self._settings
            book = await self._database.query(
                lambda session: book_of(
                    session,
                    holder.agency_code,
                    levels_up=settings.levels_up,
                    phones=settings.phones,
                )
            )
        except NotAllowed:
            return PlainTextResponse("too many wrong passwords", 429, {"Retry-After": "60"})
        except Unavailable:
            return PlainTextResponse("not now, try again", 503, {"Retry-After": "60"})
        return await asyncio.to_thread(_respond, request, holder.address, book, body)

    async def _signed_in(self, request: Request) -> Holder | None:
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        try:
            name, colon, password = base64.b64decode(shown, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return None
        if scheme.lower() != "basic" or not colon:
            return None
        ip = request.client.host if request.client else ""
        holder = await self._accounts.sign_in(name, password, channel="dav", ip=ip)
        return holder if holder is not None and holder.state == "active" else None


def routes(settings: Settings, accounts: Accounts, database: Database) -> list[Route | Mount]:
    """Where the book is, and where programs look for it first (RFC 6764, 5); none when it is off."""
    if not settings.enabled:
        return []
    book = AddressBook(settings, accounts, database)
    methods = ["GET", "HEAD", "OPTIONS", "PROPFIND", "REPORT"]
    return [Route("/.well-known/carddav", _lead, methods=methods), Mount("/dav", book)]


async def _lead(_: Request) -> Response:
    return RedirectResponse(ROOT, 301)


def _is_safe(request: Request) -> bool:
    """Whether nobody on the way reads the password."""
    if request.url.scheme == "https":
        return True
    try:
        return request.client is not None and ip_address(request.client.host).is_loopback
    except ValueError:
        return False


async def _body(request: Request) -> bytes | None:
    """The body; None when it is beyond the limit or does not come."""
    body = bytearray()
    try:
        async with asyncio.timeout(RECEIVE_SECONDS):
            async for piece in request.stream():
                body += piece
                if len(body) > MOST_BODY_BYTES:
                    return None
    except TimeoutError:
        return None
    return bytes(body)


def _respond(request: Request, address: str, book: Book, body: bytes) -> Response:
    path = unquote(request.url.path)
    if not path.endswith((".vcf", "/")):
        path += "/"
    try:
        match request.method:
            case "GET" | "HEAD":
                return _get(path, book)
            case "PROPFIND":
                return _propfind(path, request.headers.get("depth", "0"), address, book, body)
            case "REPORT":
                return _report(path, book, body)
    except asked.NotUnderstood as exc:
        return PlainTextResponse(f"not understood: {exc}", 400)
    except asked.FilterNotSupported:
        return Response(answers.error(answers.CARD, "supported-filter"), 403, media_type=_XML)
    return Response(
        answers.error(answers.DAV, "need-privileges"), 403, headers=_DAV, media_type=_XML
    )


def _get(path: str, book: Book) -> Response:
    card = book.cards.get(path.removeprefix(BOOK))
    if card is None:
        return PlainTextResponse("there is no such contact", 404)
    return Response(card.text, headers={"ETag": card.etag}, media_type="text/vcard; charset=utf-8")


def _propfind(path: str, depth: str, address: str, book: Book, body: bytes) -> Response:
    wanted = asked.propfind(body).wanted
    places = _places(path, address, book)
    if not places:
        return PlainTextResponse("there is no such place", 404)
    if depth == "infinity":
        return Response(answers.error(answers.DAV, "propfind-finite-depth"), 403, media_type=_XML)
    return _multistatus(places if depth == "1" else places[:1], wanted)


def _places(path: str, address: str, book: Book) -> list[Place]:
    """The place asked for and those within it."""
    if path == BOOK:
        return [answers.book(book), *(answers.card(card) for card in book.cards.values())]
    card = book.cards.get(path.removeprefix(BOOK)) if path.startswith(BOOK) else None
    if card is not None:
        return [answers.card(card)]
    return {
        ROOT: [answers.root(), answers.principal(address), answers.home()],
        PRINCIPAL: [answers.principal(address)],
        HOME: [answers.home(), answers.book(book)],
    }.get(path, [])


def _report(path: str, book: Book, body: bytes) -> Response:
    report = asked.report(body)
    if path != BOOK:
        return Response(answers.error(answers.DAV, "supported-report"), 403, media_type=_XML)
    if report.kind == "addressbook-multiget":
        names = [href.removeprefix(BOOK) for href in report.hrefs]
        cards = [book.cards[name] for name in names if name in book.cards]
        missing = [href for href in report.hrefs if href.removeprefix(BOOK) not in book.cards]
        return _multistatus([answers.card(card) for card in cards], report.wanted, missing)
    if report.kind == "sync-collection":
        return _sync(report, book)
    cards = [card for card in book.cards.values() if report.test is None or report.test(card.contact)]  # fmt: skip
    chosen = cards[: report.limit or None]
    return _multistatus([answers.card(card) for card in chosen], report.wanted)


def _sync(report: asked.Report, book: Book) -> Response:
    """Nothing new, or everything: what it was before nobody remembers (RFC 6578, 3.2 and 3.7)."""
    token = SYNC + book.token
    if report.sync_token == token:
        return _multistatus([], report.wanted, sync_token=token)
    if report.sync_token:
        return Response(answers.error(answers.DAV, "valid-sync-token"), 403, media_type=_XML)
    if report.limit and report.limit < len(book.cards):
        error = answers.error(answers.DAV, "number-of-matches-within-limits")
        return Response(error, 507, media_type=_XML)
    return _multistatus(
        [answers.card(card) for card in book.cards.values()], report.wanted, sync_token=token
    )


def _multistatus(
    places: list[Place],
    wanted: tuple[str, ...] | None,
    missing: list[str] | None = None,
    sync_token: str = "",
) -> Response:
    content = answers.multistatus(places, wanted, missing=missing or (), sync_token=sync_token)
    return Response(content, 207, headers=_DAV, media_type=_XML)
