"""Who may come in, and what is asked of a form before a page sees it.

`signed_in` is for everything that belongs to a mailbox, `anyone` for the rest. Both check where posts
come from, cap their size and turn our errors into pages.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mailgov.errors import (
    Conflict,
    InputError,
    MailgovError,
    NotAllowed,
    NotFound,
    Unavailable,
)
from mailgov.logs import logger
from mailgov_webmail.pages import access
from mailgov_webmail.pages.frame import trouble_page
from mailgov_webmail.security import (
    FORM_BYTES,
    BodyTooLarge,
    capped,
    is_token,
    origin_of,
    refuse_large,
)
from mailgov_webmail.visit import Page, Parts, Visit, cookie_name, language_of, see
from mailgov_webmail.words import Words

MOST_FIELDS = 400  # a list page has a box for each of its rows; nothing of ours has more
MOST_FILES = 50

Endpoint = Callable[[Request], Awaitable[Response]]


_STATUS: tuple[tuple[type[MailgovError], int], ...] = (
    (BodyTooLarge, 413),
    (InputError, 400),
    (NotAllowed, 403),
    (NotFound, 404),
    (Conflict, 409),
    (Unavailable, 503),
)

log = logger("webmail")


def anyone(page: Page) -> Endpoint:
    """A page for everybody. A post must come from our own page, or from no browser at all."""

    async def endpoint(request: Request) -> Response:
        visit = _stranger(request)
        if request.method == "POST":
            if origin_of(request, visit.services.config.web) in ("foreign", "hidden"):
                raise HTTPException(403)
            return await _answered(visit, lambda seen: _read_and(seen, page))
        return await _answered(visit, lambda seen: _then(seen, page))

    return endpoint


def signed_in(
    page: Page,
    *,
    uploads: bool = False,
    enrolling: bool = False,
    changing: bool = False,
    reading: bool = False,
) -> Endpoint:
    """A page of a mailbox. Without a sign-in the visitor is asked for one and loses no text.

    Whose password must be changed gets to the pages for `changing` and to no other until it was
    (rules first-login-change, password-age); whose role demands a second factor, to those for
    `enrolling` until it is on. Whose mailbox may only be read changes nothing but by forms that are
    for `reading` too.
    """

    async def endpoint(request: Request) -> Response:
        visit = _stranger(request)
        if request.method == "POST" and (
            origin_of(request, visit.services.config.web) == "foreign"
        ):
            raise HTTPException(403)
        try:
            visit = await _recognised(visit)
        except Unavailable as error:
            return await _later(visit, error)
        if visit.signed_in is not None:
            if visit.account.password_due and not changing:
                return _first(visit, "password-first", "/settings/password")
            if access.demanded(visit) and not (enrolling or changing):
                return _first(visit, "second-factor-first", "/settings/second-factor")
        if request.method != "POST":
            return await _answered(visit, page) if visit.signed_in else _sign_in_first(visit)
        if visit.signed_in is None:
            return await _sign_in_and_keep(visit)
        if visit.account.only_reads and not (reading or changing):
            return await _answered(visit, _only_read)
        limit = visit.services.config.web.upload_bytes if uploads else FORM_BYTES
        return await _answered(visit, lambda seen: _with_token(seen, page, limit))

    return endpoint


async def _only_read(visit: Visit) -> Response:
    raise NotAllowed("mailbox-only-read", address=visit.account.address)


async def _with_token(visit: Visit, page: Page, limit_bytes: int) -> Response:
    """The page, once the form has shown this sign-in's token."""
    assert visit.signed_in is not None
    csrf = visit.signed_in.csrf
    visit = await _with_form(visit, limit_bytes)
    try:
        if not is_token(visit.text("csrf"), csrf):
            raise HTTPException(403)
        return await page(visit)
    finally:
        await visit.form.close()


async def _answered(visit: Visit, page: Page) -> Response:
    """The page's answer, or our error as a page: what happened and what to do."""
    try:
        return await page(visit)
    except MailgovError as error:
        status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
        if status >= 500:
            log.warning("page.trouble", code=error.code)
        if visit.wants_json():
            return JSONResponse({"error": error.code, "text": visit.words.error(error)}, status)
        return await trouble_page(visit, error, status)


def _stranger(request: Request) -> Visit:
    """The visit before anyone has looked who it is."""
    parts: Parts = request.app.state.parts
    return Visit(request, parts, Words(language_of(request, parts), parts.services.clock()))


async def _recognised(visit: Visit) -> Visit:
    """The visit with its sign-in, if it has one that holds. Raises Unavailable."""
    token = visit.request.cookies.get(cookie_name(visit))
    if not token:
        return visit
    return replace(visit, signed_in=await visit.parts.sessions.find(token))


async def _then(visit: Visit, page: Page) -> Response:
    return await page(await _recognised(visit))


async def _read_and(visit: Visit, page: Page) -> Response:
    visit = await _with_form(visit, FORM_BYTES)
    try:
        return await _then(visit, page)
    finally:
        await visit.form.close()


async def _later(visit: Visit, error: Unavailable) -> Response:
    """Nobody can be recognised now: a page to try again from, with what was typed."""
    log.warning("page.trouble", code=error.code)
    if visit.wants_json():
        return JSONResponse({"error": error.code, "text": visit.words.error(error)}, 503)
    kept = await _texts_of(visit.request) if visit.request.method == "POST" else []
    return visit.page("trouble_alone.html", status=503, error=error, kept=kept)


async def _with_form(visit: Visit, limit_bytes: int) -> Visit:
    refuse_large(visit.request, limit_bytes)
    request = capped(visit.request, limit_bytes)
    form = await request.form(
        max_files=MOST_FILES, max_fields=MOST_FIELDS, max_part_size=FORM_BYTES
    )
    return replace(visit, request=request, form=form)


def _first(visit: Visit, error: str, path: str) -> Response:
    """Something must be done before the page is shown."""
    if visit.wants_json():
        return JSONResponse({"error": error}, 403)
    return see(path)


def _sign_in_first(visit: Visit) -> Response:
    if visit.wants_json():
        return JSONResponse({"error": "signed-out"}, 401)
    path = visit.here
    return see("/login" if path == "/" else f"/login?next={quote(path, safe='')}")


async def _sign_in_and_keep(visit: Visit) -> Response:
    """The sign-in was over when a form came: ask for it on a page that carries the text along."""
    if visit.wants_json():
        return JSONResponse({"error": "signed-out"}, 401)
    if not visit.request.cookies.get(cookie_name(visit)):
        return _sign_in_first(visit)
    kept = [(name, value) for name, value in await _texts_of(visit.request) if name != "csrf"]
    return visit.page(
        "login.html",
        status=401,
        address="",
        next=visit.request.url.path,
        kept=kept,
        notice="expired",
        problem="",
    )


async def _texts_of(request: Request) -> list[tuple[str, str]]:
    """The text fields of a form, as far as a stranger may send: files come last and are let go."""
    limited = capped(request, FORM_BYTES)
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        form = await limited.form(max_fields=MOST_FIELDS, max_part_size=FORM_BYTES)
        return [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
    parser = MultiPartParser(
        limited.headers,
        limited.stream(),
        max_files=MOST_FILES,
        max_fields=MOST_FIELDS,
        max_part_size=FORM_BYTES,
    )
    try:
        await parser.parse()
    except (BodyTooLarge, MultiPartException):
        pass  # what came before is what was typed
    return [(name, value) for name, value in parser.items if isinstance(value, str)]
