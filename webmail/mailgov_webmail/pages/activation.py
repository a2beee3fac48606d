"""Activation links: whoever got one sets the first password here. To look at it uses nothing up."""

from starlette.responses import Response

from mailgov.errors import InputError, NotAllowed
from mailgov.lifecycle import activation
from mailgov_webmail.visit import Visit, see


async def show(visit: Visit) -> Response:
    """The form, with the name of the mailbox; or that the link is no longer good."""
    return await _form(visit)


async def activate(visit: Visit) -> Response:
    """Set the password; the link is used up."""
    token, password = _token(visit), visit.text("new")
    if password != visit.text("again"):
        return await _form(visit, problem=InputError("passwords-differ"))
    now, settings = visit.now, visit.services.config.lifecycle
    try:
        await visit.services.database.submit(
            lambda session: activation.activate(session, token, password, now, settings)
        )
    except InputError as error:
        return await _form(visit, problem=error)
    except NotAllowed as error:
        return _over(visit, error)
    return see("/login?changed=1")


async def _form(visit: Visit, *, problem: InputError | None = None) -> Response:
    token, now = _token(visit), visit.now
    try:
        invited = await visit.services.database.query(
            lambda session: activation.invited(session, token, now)
        )
    except NotAllowed as error:
        return _over(visit, error)
    answer = visit.page(
        "activate.html",
        status=400 if problem else 200,
        invited=invited,
        token=token,
        problem=visit.words.error(problem) if problem else "",
    )
    # A form under no-referrer is sent with `Origin: null`; this one has no token to show instead.
    answer.headers["Referrer-Policy"] = "same-origin"
    return answer


def _over(visit: Visit, error: NotAllowed) -> Response:
    return visit.page("activate_over.html", status=403, problem=visit.words.error(error))


def _token(visit: Visit) -> str:
    return str(visit.request.path_params["token"])
