"""Signing in and out."""

from urllib.parse import urlencode

from starlette.datastructures import URL
from starlette.responses import JSONResponse, RedirectResponse, Response

from mailgov.addresses import Address
from mailgov.directory import Account
from mailgov.errors import Conflict, InputError, MailgovError, NotAllowed, NotFound
from mailgov_webmail.compose.drafts import Drafts, is_draft_id, new_draft_id
from mailgov_webmail.compose.letter import Letter
from mailgov_webmail.security import is_secure, masked, new_token
from mailgov_webmail.visit import Visit, cookie_name, see

MAX_NAME = 320  # letters of an address that are looked at
MAX_STEP, MAX_CODE = 500, 40  # letters of what comes with the second step
BROWSER_SECONDS = 365 * 86400
_KEPT = "kept."  # fields of the form that was interrupted


async def show(visit: Visit) -> Response:
    """The form, or the mail of whoever is signed in already."""
    if visit.signed_in is not None:
        return see(onward(visit.query("next")))
    expired = bool(visit.request.cookies.get(cookie_name(visit)))
    return _form(visit, next=visit.query("next"), notice="expired" if expired else "")


async def sign_in(visit: Visit) -> Response:
    """Check the password. Unknown names, recalled mailboxes and wrong passwords look alike."""
    typed, password = visit.text("address").strip()[:MAX_NAME], visit.text("password")
    address = _completed(typed)
    browser = visit.request.cookies.get(_browser_cookie(visit), "") or new_token()
    try:
        account = await visit.services.directory.sign_in(
            address, password, channel="web", ip=visit.client_ip, browser=browser
        )
    except NotAllowed:
        return _refused(visit, typed, "throttled", 429)
    except MailgovError as error:
        return _refused(visit, typed, "", 503, error)
    if account is None:
        return _refused(visit, typed, "wrong", 401)
    if account.second_factor:
        step = await visit.services.directory.second_steps.token(account.address)
        if visit.wants_json():
            return JSONResponse({"error": "second-factor", "step": step}, 401)
        return _code_form(visit, step)
    return await _welcome(visit, account, browser)


async def second_step(visit: Visit) -> Response:
    """Check the code of the second factor, or a recovery code."""
    step, directory = visit.text("step")[:MAX_STEP], visit.services.directory
    browser = visit.request.cookies.get(_browser_cookie(visit), "") or new_token()
    try:
        address = await directory.second_steps.take(
            step, visit.text("code")[:MAX_CODE], ip=visit.client_ip, browser=browser
        )
    except NotAllowed as error:
        if error.code == "sign-in-expired":
            return _refused(visit, "", "step-expired", 401)
        return _refused(visit, "", "throttled", 429)
    except MailgovError as error:
        return _refused(visit, "", "", 503, error)
    account = await directory.account(address) if address is not None else None
    if account is not None:
        return await _welcome(visit, account, browser)
    if visit.wants_json():
        return JSONResponse({"error": "wrong-code", "step": step}, 401)
    return _code_form(visit, step, problem=visit.words("login.wrong-code"), status=401)


async def sign_out(visit: Visit) -> Response:
    """End this sign-in."""
    name = cookie_name(visit)
    await visit.parts.sessions.end(visit.request.cookies[name])
    answer = see("/login?out=1")
    answer.delete_cookie(name, path="/", secure=is_secure(visit.services.config.web), httponly=True)
    return answer


async def opened_elsewhere(
    visit: Visit, account: Account, *, second_factor: bool, onward_to: str
) -> Response:
    """Go on with somebody whom the identity provider has signed in, with a second factor or not."""
    directory = visit.services.directory
    browser = visit.request.cookies.get(_browser_cookie(visit), "") or new_token()
    if account.second_factor and not second_factor:
        step = await directory.second_steps.token(account.address)
        return _code_form(visit, step, next=onward_to)
    try:
        opened = await directory.sign_in_by_certificate(
            account.address, good=True, channel="web", ip=visit.client_ip
        )
    except NotAllowed:
        return refused_elsewhere(visit, visit.words("login.throttled"), 429)
    if opened is None:
        return refused_elsewhere(visit, visit.words("login.provider-unknown"), 403)
    return await _welcome(visit, opened, browser, onward_to)


def refused_elsewhere(visit: Visit, problem: str, status: int) -> Response:
    """The form again, with what became of the way by the identity provider."""
    return _form(visit, next="", problem=problem, status=status)


async def _welcome(visit: Visit, account: Account, browser: str, onward_to: str = "") -> Response:
    name = cookie_name(visit)
    sessions = visit.parts.sessions
    token = await sessions.start(
        account,
        agent=visit.request.headers.get("user-agent", ""),
        ip=visit.client_ip,
        replaces=visit.request.cookies.get(name, ""),
    )
    answer: Response
    if visit.wants_json():
        # The dialog on a page with text: it goes on with a new token in its forms.
        signed_in = await sessions.find(token)
        csrf = masked(signed_in.csrf) if signed_in else ""
        answer = JSONResponse({"csrf": csrf, "address": account.address})
    else:
        kept = onward_to or await _kept_text(visit, account)
        answer = see(kept or onward(visit.text("next")))
    answer.set_cookie(
        name,
        token,
        path="/",
        secure=is_secure(visit.services.config.web),
        httponly=True,
        samesite="lax",
    )
    # So that what strangers do in the meantime does not count against who was here before.
    answer.set_cookie(
        _browser_cookie(visit),
        browser,
        max_age=BROWSER_SECONDS,
        path="/",
        secure=is_secure(visit.services.config.web),
        httponly=True,
        samesite="lax",
    )
    return answer


def _browser_cookie(visit: Visit) -> str:
    return "__Host-mailgov-browser" if is_secure(visit.services.config.web) else "mailgov-browser"


async def _kept_text(visit: Visit, account: Account) -> str:
    """Save the letter that the end of the sign-in interrupted; where to go on with it."""
    steps = visit.text("next").split("/")
    if len(steps) < 3 or steps[1] != "compose" or not is_draft_id(steps[2]):
        return ""
    letter = Letter.from_form(lambda name: visit.text(_KEPT + name))
    if letter.is_empty:
        return ""
    drafts = Drafts(visit.services.database, visit.services.clock, account)
    version = visit.text(f"{_KEPT}version")
    draft_id = steps[2]
    try:
        await drafts.save(draft_id, letter, int(version) if version.isdigit() else 0)
    except (Conflict, NotFound):
        # Saved elsewhere meanwhile, or somebody else's draft: nothing is overwritten, nothing lost.
        draft_id = new_draft_id()
        await drafts.save(draft_id, letter, 0)
    return f"/compose/{draft_id}?kept=1"


def _completed(typed: str) -> str:
    """The address in its one form; what is no address stays, and will be unknown."""
    try:
        return Address.parse(typed).key
    except InputError:
        return typed.lower()


def _refused(
    visit: Visit, typed: str, problem: str, status: int, error: MailgovError | None = None
) -> Response:
    if visit.wants_json():
        return JSONResponse({"error": problem or "busy"}, status)
    text = visit.words.error(error) if error else visit.words(f"login.{problem}")
    return _form(
        visit,
        address=typed,
        next=visit.text("next"),
        kept=_kept(visit),
        problem=text,
        status=status,
    )


def _kept(visit: Visit) -> list[tuple[str, str]]:
    return [
        (name.removeprefix(_KEPT), value)
        for name, value in visit.form.multi_items()
        if name.startswith(_KEPT) and isinstance(value, str)
    ]


def _code_form(
    visit: Visit,
    step: str,
    *,
    next: str = "",  # noqa: A002 - the word of the address bar
    problem: str = "",
    status: int = 200,
) -> Response:
    answer = visit.page(
        "login_code.html",
        status=status,
        step=step,
        next=next or visit.text("next"),
        kept=_kept(visit),
        problem=problem,
    )
    answer.headers["Referrer-Policy"] = "same-origin"  # as the form before
    return answer


def _form(
    visit: Visit,
    *,
    next: str,  # noqa: A002 - the word of the address bar
    address: str = "",
    notice: str = "",
    problem: str = "",
    kept: list[tuple[str, str]] | None = None,
    status: int = 200,
) -> Response:
    for done in ("out", "changed"):
        if visit.query(done):
            notice = done
    answer = visit.page(
        "login.html",
        status=status,
        address=address,
        next=next,
        notice=notice,
        problem=problem,
        kept=kept or [],
    )
    # A form under no-referrer is sent with `Origin: null`; this one has no token to show instead.
    answer.headers["Referrer-Policy"] = "same-origin"
    return answer


def onward(path: str) -> str:
    """Where to go after signing in: a page of ours, never another site."""
    url = URL(path)
    if url.scheme or url.netloc or not path.startswith("/") or path.startswith(("//", "/\\")):
        return "/mail/inbox"
    if any(sign < " " for sign in path) or path.startswith(("/login", "/logout")):
        return "/mail/inbox"
    # Forms can't be repeated by following a link: go to what they belong to.
    steps = url.path.split("/")
    if steps[1] == "compose" and len(steps) > 3:
        return f"/compose/{steps[2]}"
    if steps[1] == "quarantine":
        return "/quarantine"
    return "/mail/inbox" if url.path in ("/mail/actions", "/wrong") else path


async def choose_language(visit: Visit) -> Response:
    """Remember the language of the pages in this browser."""
    chosen = visit.text("language")
    answer: RedirectResponse = see(onward(visit.text("back")))
    if visit.text("back").startswith("/login"):
        query = {"next": visit.text("next")} if visit.text("next") else {}
        answer = see(f"/login?{urlencode(query)}" if query else "/login")
    if chosen in ("vi", "en"):
        answer.set_cookie(
            "mailgov-language",
            chosen,
            max_age=365 * 86400,
            path="/",
            secure=is_secure(visit.services.config.web),
            httponly=True,
            samesite="lax",
        )
    return answer
