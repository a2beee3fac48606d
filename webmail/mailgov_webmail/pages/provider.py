"""Signing in by the identity provider of `[oidc]`: there, back, and out again.

What is under way is kept in a cookie, sealed, for ten minutes: it binds the answer of the provider to
the browser that asked. Nobody gets an account here, and the second factor stays asked for unless the
provider has seen one.
"""

import asyncio
import json
import secrets
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from mailgov.clock import local_date
from mailgov.directory.sealed import SecretBox
from mailgov.errors import MailgovError, NotAllowed, Unavailable
from mailgov.oidc import Begun, Found, Provider, find_account
from mailgov_webmail.pages import login
from mailgov_webmail.security import is_secure
from mailgov_webmail.visit import Visit, see

KEPT_SECONDS = 600
_CONTEXT = "a sign-in by the identity provider"
_MOST = 4096  # letters of a code, a state or a cookie


async def begin(visit: Visit) -> Response:
    """Off to the provider."""
    begun = Begun.new()
    try:
        where = await _provider(visit).address(begun, _back(visit))
    except Unavailable as error:
        return login.refused_elsewhere(visit, visit.words.error(error), 503)
    kept = {
        "state": begun.state,
        "nonce": begun.nonce,
        "verifier": begun.verifier,
        "next": login.onward(visit.query("next")),
        "until": visit.now.timestamp() + KEPT_SECONDS,
    }
    sealed = await asyncio.to_thread(_box(visit).seal, json.dumps(kept).encode(), _CONTEXT)
    answer = RedirectResponse(where, 303)
    answer.set_cookie(_cookie(visit), sealed, max_age=KEPT_SECONDS, **_flags(visit))
    return answer


async def finish(visit: Visit) -> Response:
    """Back from the provider, with a code for whoever signed in there."""
    kept = await _kept(visit)
    state, code = visit.query("state")[:_MOST], visit.query("code")[:_MOST]
    if (
        kept is None
        or not code
        or not secrets.compare_digest(state.encode(), kept["state"].encode())
    ):
        return _refused(visit, "login.provider-expired")
    begun = Begun(kept["state"], kept["nonce"], kept["verifier"])
    try:
        claims = await _provider(visit).finish(code, begun, _back(visit))
        found = await _find(visit, claims)
    except NotAllowed:
        return _refused(visit, "login.provider-refused")
    except MailgovError as error:
        return login.refused_elsewhere(visit, visit.words.error(error), 503)
    if found is None:
        return _refused(visit, "login.provider-unknown")
    answer = await login.opened_elsewhere(
        visit, found.account, second_factor=found.second_factor, onward_to=str(kept["next"])
    )
    answer.delete_cookie(_cookie(visit), **_flags(visit))
    return answer


async def leave(visit: Visit) -> Response:
    """Sign out at the provider as well."""
    try:
        where = await _provider(visit).end_address(f"{_site(visit)}/login?out=1")
    except Unavailable:
        where = ""
    return RedirectResponse(where, 303) if where else see("/login?out=1")


async def _find(visit: Visit, claims: Any) -> Found | None:
    settings = visit.services.config.oidc
    today = local_date(visit.now)
    return await visit.services.database.query(
        lambda session: find_account(
            session,
            claims,
            today,
            match=settings.match,
            staff_claim=settings.staff_claim,
            second_factor=settings.second_factor,
        )
    )


async def _kept(visit: Visit) -> dict[str, Any] | None:
    sealed = visit.request.cookies.get(_cookie(visit), "")[:_MOST]
    try:
        opened = await asyncio.to_thread(_box(visit).open, sealed, _CONTEXT)
        kept: dict[str, Any] = json.loads(opened)
    except (Unavailable, ValueError):
        return None
    return kept if kept["until"] > visit.now.timestamp() else None


def _refused(visit: Visit, key: str) -> Response:
    return login.refused_elsewhere(visit, visit.words(key), 403)


def _provider(visit: Visit) -> Provider:
    """Raises HTTPException 404 where there is none."""
    provider = visit.request.app.state.provider
    if not isinstance(provider, Provider):
        raise HTTPException(404)
    return provider


def _box(visit: Visit) -> SecretBox:
    return SecretBox(visit.services.config.data.path / "keys" / "oidc")


def _site(visit: Visit) -> str:
    """The address that users type; not what a request says of itself."""
    web = visit.services.config.web
    return (web.url or f"http://{web.listen}").rstrip("/")


def _back(visit: Visit) -> str:
    return f"{_site(visit)}/login/provider/done"


def _cookie(visit: Visit) -> str:
    return "__Host-mailgov-oidc" if is_secure(visit.services.config.web) else "mailgov-oidc"


def _flags(visit: Visit) -> dict[str, Any]:
    return {
        "path": "/",
        "secure": is_secure(visit.services.config.web),
        "httponly": True,
        "samesite": "lax",
    }
