"""Changing one's own password: when one likes, or because it is the first one or has become old."""

from sqlmodel import Session
from starlette.responses import Response

from mailgov.directory.change import Act
from mailgov.directory.provisioning import get_mailbox, set_password
from mailgov.errors import InputError, MailgovError, NotAllowed
from mailgov.lifecycle.passwords import reuse_of
from mailgov_webmail.visit import Visit, see


async def show(visit: Visit) -> Response:
    """The form."""
    return _form(visit)


async def change(visit: Visit) -> Response:
    """Set the new password, for whoever knows the old one; every other sign-in ends, this one too."""
    new = visit.text("new")
    if problem := await _wrong(visit, new):
        return _form(visit, problem=problem, status=403)
    settings = visit.services.config.lifecycle
    act = Act(visit.account.address, visit.now)

    def work(session: Session) -> None:
        mailbox = get_mailbox(session, act.actor)
        set_password(
            session,
            act,
            mailbox.address,
            new,
            reuse=reuse_of(session, mailbox, settings),
            breached=settings.breached_passwords,
        )

    try:
        await visit.services.database.submit(work)
    except InputError as error:
        return _form(visit, problem=visit.words.error(error), status=400)
    return see("/login?changed=1")


async def _wrong(visit: Visit, new: str) -> str:
    """What speaks against it before the rules are asked, in words; empty when nothing does."""
    error: MailgovError = InputError("passwords-differ")
    if new != visit.text("again"):
        return visit.words.error(error)
    if new == visit.text("password"):
        return visit.words.error(InputError("password-used", count=1))
    try:
        account = await visit.services.directory.sign_in(
            visit.account.address, visit.text("password"), channel="web", ip=visit.client_ip
        )
    except NotAllowed:
        return visit.words("access.throttled")
    return "" if account is not None else visit.words.error(InputError("password-wrong"))


def _form(visit: Visit, *, problem: str = "", status: int = 200) -> Response:
    return visit.page("password.html", status=status, problem=problem)
