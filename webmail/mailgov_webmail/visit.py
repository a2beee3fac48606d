"""One request with what its page needs: who asks, in which language, and how to answer."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from mailgov.addresses import Address
from mailgov.directory import Account
from mailgov.services import Services
from mailgov.texts import LANGUAGES, Language
from mailgov_webmail.compose.outbox import Postman
from mailgov_webmail.mailbox import Mailbox, MailFactory
from mailgov_webmail.render import Templates
from mailgov_webmail.security import (
    is_secure,
    masked,
)
from mailgov_webmail.sessions import Sessions, SignedIn
from mailgov_webmail.words import Words


@dataclass(frozen=True, slots=True)
class Parts:
    """What the pages are built from, one for the whole application."""

    services: Services
    mail: MailFactory
    sessions: Sessions
    templates: Templates
    postman: Postman


@dataclass(frozen=True, slots=True)
class Visit:
    """A request on its way to a page."""

    request: Request
    parts: Parts
    words: Words
    signed_in: SignedIn | None = None
    form: FormData = field(default_factory=FormData)

    @property
    def services(self) -> Services:
        """The platform."""
        return self.parts.services

    @property
    def language(self) -> Language:
        """The language of the page."""
        return self.words.language

    @property
    def now(self) -> datetime:
        """The moment of the request."""
        return self.words.now

    @property
    def account(self) -> Account:
        """Who is signed in; only on routes for those who are."""
        assert self.signed_in is not None
        return self.signed_in.account

    @property
    def address(self) -> Address:
        """The mailbox's own address."""
        return Address.parse(self.account.address)

    @property
    def client_ip(self) -> str:
        """Address of the browser; empty when unknown."""
        return self.request.client.host if self.request.client else ""

    def mailbox(self) -> Mailbox:
        """The mail of whoever is signed in."""
        return self.parts.mail(self.account.address)

    def text(self, name: str) -> str:
        """A field of the form, as text; empty when it is missing or a file."""
        value = self.form.get(name, "")
        return value if isinstance(value, str) else ""

    def query(self, name: str) -> str:
        """A value from the address; empty when it is missing."""
        return self.request.query_params.get(name, "")

    def page(self, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """A whole page of ours."""
        return HTMLResponse(self.parts.templates.render(template, self, **values), status)

    def wants_json(self) -> bool:
        """Whether our own script asks, which has no use for a page."""
        return self.request.headers.get("accept", "").startswith("application/json")

    def csrf(self) -> str:
        """The token for a form of this page."""
        return masked(self.signed_in.csrf) if self.signed_in else ""

    @property
    def here(self) -> str:
        """Path and query of this page, to come back to."""
        url = self.request.url
        return f"{url.path}?{url.query}" if url.query else url.path


Page = Callable[[Visit], Awaitable[Response]]
"""What answers a visit."""


def see(path: str) -> RedirectResponse:
    """Go on with another page, after a form was done."""
    return RedirectResponse(path, 303)


def cookie_name(visit_or_parts: Visit | Parts) -> str:
    """`__Host-` binds the cookie to https and to this very host; plain http has no such name."""
    return "__Host-mailgov" if is_secure(visit_or_parts.services.config.web) else "mailgov-session"


def language_of(request: Request, parts: Parts) -> Language:
    """What the user chose, else the language of the installation."""
    chosen = request.cookies.get("mailgov-language")
    for language in LANGUAGES:
        if chosen == language:
            return language
    return parts.services.config.site.language
