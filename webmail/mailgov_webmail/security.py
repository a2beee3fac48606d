"""What every answer carries and every request must show, before any page sees it.

Controls of the webmail: content policy, Host allow-list, origin of posts, size of bodies.
"""

import asyncio
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable, MutableMapping
from typing import Any, Literal
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mailgov.config import MiB, Web
from mailgov.errors import InputError

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; form-action 'self'; frame-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
# The frame of a mail: no script, no request, no same origin; links open outside (escaped popups).
MAIL_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; img-src data:; "
    "style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)
# A download that a browser shows all the same must have nothing to hold on to.
FILE_POLICY = "sandbox; default-src 'none'; frame-ancestors 'none'"

FORM_BYTES = MiB  # every body but uploads

Origin = Literal["same", "foreign", "hidden", "unknown"]
"""Where a post comes from.

same     our own page
foreign  another site
hidden   a browser that would not say (`Origin: null`, the effect of our own no-referrer)
unknown  no browser, or one from before 2020: neither field is there
"""


class Guard:
    """Outermost layer: refuses foreign Host fields and puts the protecting fields on answers."""

    def __init__(self, app: ASGIApp, *, hosts: frozenset[str], secure: bool) -> None:
        self.app = app
        self.hosts = hosts
        self.secure = secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._protect(MutableHeaders(scope=message))
            await send(message)

        if scope["path"] not in PROBES and not self._is_ours(Headers(scope=scope), scope["path"]):
            await PlainTextResponse("unknown host", 421)(scope, receive, guarded)
            return
        await self.app(scope, receive, guarded)

    def _is_ours(self, headers: Headers, path: str) -> bool:
        # One Host, and ours: a forged one would end up in links and caches.
        hosts = headers.getlist("host")
        if len(hosts) != 1:
            return False
        name = host_name(hosts[0])
        # Programs ask `autoconfig.` and `autodiscover.` of every domain that has mail here; what they
        # are told has no link to where they asked.
        return name in self.hosts or (path in SETUP_FILES and name.startswith(SETUP_NAMES))

    def _protect(self, headers: MutableHeaders) -> None:
        headers.setdefault("Content-Security-Policy", PAGE_POLICY)
        headers.setdefault("Referrer-Policy", "no-referrer")
        headers.setdefault("Cache-Control", "no-store")
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
        headers["Cross-Origin-Resource-Policy"] = "same-origin"
        headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=()"
        if self.secure:
            headers["Strict-Transport-Security"] = "max-age=31536000"


PROBES = frozenset({"/healthz", "/readyz"})  # asked by address, and they say nothing
SETUP_FILES = frozenset(
    {
        "/mail/config-v1.1.xml",
        "/autodiscover/autodiscover.xml",
        "/Autodiscover/Autodiscover.xml",
    }
)
SETUP_NAMES = ("autoconfig.", "autodiscover.")


def host_name(host: str) -> str:
    """The name in a Host field, without port, in lower case."""
    name = re.sub(r":\d{1,5}\Z", "", host)
    return name.lower().removesuffix(".")


def allowed_hosts(web: Web) -> frozenset[str]:
    """Names that we answer to. Without any setting, those of this machine's loopback."""
    named = {host_name(host) for host in web.allowed_hosts}
    if web.url:
        named.add(host_name(urlsplit(web.url).netloc))
    if not web.allowed_hosts:
        named |= {"localhost", "127.0.0.1", "[::1]"}
    return frozenset(named)


def is_secure(web: Web) -> bool:
    """Whether users reach us by https: then cookies are bound to it."""
    return web.url.startswith("https://")


def origin_of(connection: HTTPConnection, web: Web) -> Origin:
    """Where the request was made. `Sec-Fetch-Site` is not forgeable by pages; `Origin` neither."""
    site = connection.headers.get("sec-fetch-site")
    if site is not None:
        return "same" if site in ("same-origin", "none") else "foreign"
    origin = connection.headers.get("origin")
    if origin is None:
        return "unknown"
    if origin == "null":
        return "hidden"
    ours = {f"{scheme}://{connection.headers.get('host', '')}" for scheme in _schemes(web)}
    return "same" if origin in ours else "foreign"


def _schemes(web: Web) -> Iterable[str]:
    return ("https",) if is_secure(web) else ("http", "https")


def new_token() -> str:
    """A name nobody guesses: 192 bits."""
    return secrets.token_urlsafe(24)


def masked(token: str) -> str:
    """The token in another shape each time, so that compressed pages don't leak it (BREACH)."""
    plain = token.encode()
    mask = secrets.token_bytes(len(plain))
    mixed = bytes(a ^ b for a, b in zip(plain, mask, strict=True))
    return urlsafe_b64encode(mask + mixed).decode()


def is_token(shown: str, token: str) -> bool:
    """Whether a form carries this session's token."""
    try:
        both = urlsafe_b64decode(shown.encode())
    except (Base64Error, ValueError):
        return False
    half = len(both) // 2
    plain = bytes(a ^ b for a, b in zip(both[:half], both[half:], strict=False))
    return secrets.compare_digest(plain, token.encode())


RECEIVE_SECONDS = 30.0  # without another piece of a body; slow lines may take longer in all


class BodyTooLarge(InputError):
    """A request body beyond its cap."""


def refuse_large(request: Request, limit_bytes: int) -> None:
    """Raise BodyTooLarge when the request says itself that it is."""
    declared = request.headers.get("content-length", "0")
    if not declared.isdigit() or int(declared) > limit_bytes:
        raise BodyTooLarge("upload-too-large", limit_bytes=limit_bytes)


def capped(request: Request, limit_bytes: int) -> Request:
    """The same request, whose body raises BodyTooLarge beyond the limit, before it is parsed.

    A sender that falls silent gets HTTPException 408.
    """
    received = 0
    inner = request.receive

    async def receive() -> MutableMapping[str, Any]:
        nonlocal received
        try:
            async with asyncio.timeout(RECEIVE_SECONDS):
                message = await inner()
        except TimeoutError:
            raise HTTPException(408) from None
        received += len(message.get("body", b""))
        if received > limit_bytes:
            raise BodyTooLarge("upload-too-large", limit_bytes=limit_bytes)
        return message

    return Request(request.scope, receive)
