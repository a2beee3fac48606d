"""The webmail as an ASGI application, built from the platform's services."""

import secrets

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mailgov.addressbook import server as addressbook
from mailgov.logs import logger
from mailgov.oidc import Provider
from mailgov.services import Services
from mailgov_webmail.compose.outbox import Postman
from mailgov_webmail.mailbox import MailFactory
from mailgov_webmail.render import Templates
from mailgov_webmail.routes import routes
from mailgov_webmail.security import Guard, allowed_hosts, is_secure
from mailgov_webmail.sessions import Sessions
from mailgov_webmail.visit import Parts, Visit, language_of
from mailgov_webmail.words import Words

log = logger("webmail")


def create_app(services: Services, mail: MailFactory) -> Starlette:
    """Wire the pages. `mail` opens the mailbox of an address."""
    parts = Parts(
        services=services,
        mail=mail,
        sessions=Sessions(
            services.database, services.directory, services.clock, services.config.web
        ),
        templates=Templates(),
        postman=Postman(services, mail),
    )
    web = services.config.web
    app = Starlette(
        routes=[
            *addressbook.routes(
                services.config.address_book, services.directory, services.database
            ),
            *routes,
        ],
        middleware=[
            Middleware(Guard, hosts=allowed_hosts(web), secure=is_secure(web)),
            Middleware(GZipMiddleware, minimum_size=1024, compresslevel=5),
            Middleware(Unbroken, parts=parts),
        ],
        exception_handlers={HTTPException: _told},
    )
    app.state.parts = parts
    oidc = services.config.oidc
    app.state.provider = Provider(oidc, services.clock) if oidc.issuer else None
    return app


class Unbroken:
    """A defect of ours becomes a page with a reference, and a line in the log with the cause."""

    def __init__(self, app: ASGIApp, *, parts: Parts) -> None:
        self.app = app
        self.parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception:
            reference = secrets.token_hex(4)
            # The path may name a draft or a message, which say nothing by themselves.
            log.exception("page.failed", reference=reference, path=scope.get("path", ""))
            if started:
                raise
            await self._apology(Request(scope), reference)(scope, receive, send)

    def _apology(self, request: Request, reference: str) -> HTMLResponse:
        words = Words(language_of(request, self.parts), self.parts.services.clock())
        return Visit(request, self.parts, words).page(
            "broken.html", status=500, reference=reference
        )


async def _told(request: Request, error: Exception) -> Response:
    """Pages that do not exist and posts that may not be: said in words."""
    assert isinstance(error, HTTPException)
    parts: Parts = request.app.state.parts
    words = Words(language_of(request, parts), parts.services.clock())
    known = error.status_code if error.status_code in (400, 403, 404, 405) else 400
    return Visit(request, parts, words).page(
        "refused.html", status=error.status_code, key=f"refused.{known}"
    )
