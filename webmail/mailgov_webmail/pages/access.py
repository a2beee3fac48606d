"""What opens one's mailbox besides the password: app passwords and the second factor."""

from collections.abc import Callable, Sequence

import segno
from sqlmodel import Session
from starlette.responses import Response

from mailgov.directory import listing
from mailgov.directory.change import Act
from mailgov.directory.provisioning import add_app_password, revoke_app_password, second_factor
from mailgov.errors import InputError, MailgovError, NotAllowed
from mailgov_webmail.pages.frame import framed_page
from mailgov_webmail.visit import Visit, see

_SCOPES = {"mail": ("imap", "smtp"), "imap": ("imap",), "smtp": ("smtp",)}


async def show(visit: Visit) -> Response:
    """App passwords, and whether a second factor is on."""
    return await _page(visit)


async def _page(
    visit: Visit,
    *,
    made: str = "",
    label: str = "",
    problem: str = "",
    status: int = 200,
    codes: Sequence[str] = (),
) -> Response:
    account = visit.account

    def read(session: Session) -> tuple[list[listing.Record], int]:
        left = second_factor.recovery_codes_left(session, account.mailbox_id)
        return listing.app_passwords(session, account.address), left

    passwords, codes_left = await visit.services.database.query(read)
    return await framed_page(
        visit,
        "access.html",
        status=status,
        passwords=passwords,
        made=made,
        label=label,
        problem=problem,
        codes=codes,
        codes_left=codes_left,
        second_factor=await _has_second_factor(visit),
        demanded=demanded(visit),
        programs=visit.services.config.sign_in.programs,
        done=visit.query("done"),
    )


async def _has_second_factor(visit: Visit) -> bool:
    account = await visit.services.directory.account(visit.account.address)
    return account is not None and account.second_factor


def demanded(visit: Visit) -> bool:
    """Whether the roles of whoever is signed in ask for a second factor that is not on."""
    account = visit.account
    asking = visit.services.config.sign_in.second_factor_roles
    return not account.second_factor and any(role.role in asking for role in account.roles)


async def _submit(visit: Visit, work: Callable[[Session, Act], object]) -> None:
    act = _act(visit)
    await visit.services.database.submit(lambda session: work(session, act))


def _act(visit: Visit) -> Act:
    return Act(actor=visit.account.address, at=visit.now)


async def add(visit: Visit) -> Response:
    """Make an app password, for whoever knows the password; it is on this page only."""
    label = visit.text("label")
    if problem := await _password_wrong(visit):
        return await _page(visit, label=label, problem=problem, status=403)
    scopes = _SCOPES.get(visit.text("opens"), _SCOPES["mail"])
    most = visit.services.config.sign_in.app_passwords
    act = _act(visit)
    try:
        new = await visit.services.database.submit(
            lambda session: add_app_password(
                session, act, visit.account.address, label=label, scopes=scopes, most=most
            )
        )
    except InputError as error:
        return await _page(visit, label=label, problem=visit.words.error(error), status=400)
    return await _page(visit, made=new.password)


async def _password_wrong(visit: Visit) -> str:
    """Why the password that was typed does not do, in words; empty when it does."""
    try:
        account = await visit.services.directory.sign_in(
            visit.account.address, visit.text("password"), channel="web", ip=visit.client_ip
        )
    except NotAllowed:
        return visit.words("access.throttled")
    return "" if account is not None else visit.words("access.wrong")


async def revoke(visit: Visit) -> Response:
    """End an app password."""
    number = visit.request.path_params["id"]
    await _submit(
        visit,
        lambda session, act: revoke_app_password(session, act, visit.account.address, number),
    )
    return see("/settings/devices?done=revoked")


async def enrol(visit: Visit) -> Response:
    """The code that a phone reads, and the field for its first code."""
    if await _has_second_factor(visit):
        return see("/settings/devices")
    return await _enrolment(visit)


async def _enrolment(visit: Visit, *, problem: str = "", status: int = 200) -> Response:
    box, act, address = (
        visit.services.directory.second_steps.box,
        _act(visit),
        visit.account.address,
    )
    secret = await visit.services.database.submit(
        lambda session: second_factor.begin(session, act, address, box)
    )
    issuer = visit.services.config.site.organisation or visit.services.config.site.hostname
    uri = second_factor.enrolment_uri(secret, address, issuer)
    return await framed_page(
        visit,
        "second_factor.html",
        status=status,
        secret=" ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
        picture=segno.make_qr(uri, error="m").svg_data_uri(scale=5, border=4, light="#fff"),
        problem=problem,
        demanded=demanded(visit),
    )


async def confirm(visit: Visit) -> Response:
    """Put the second factor in force; other sign-ins end, recovery codes are shown this once."""
    assert visit.signed_in is not None
    box, act, address = (
        visit.services.directory.second_steps.box,
        _act(visit),
        visit.account.address,
    )
    code = "".join(visit.text("code").split())
    try:
        codes = await visit.services.database.submit(
            lambda session: second_factor.confirm(session, act, address, code, box)
        )
    except InputError as error:
        return await _enrolment(visit, problem=visit.words.error(error), status=400)
    await visit.parts.sessions.end_others(visit.signed_in)
    return await _page(visit, codes=codes)


async def turn_off(visit: Visit) -> Response:
    """Take the second factor off, for whoever shows a code of it."""
    if problem := await _code_wrong(visit):
        return await _page(visit, problem=problem, status=403)
    await _submit(
        visit, lambda session, act: second_factor.remove(session, act, visit.account.address)
    )
    return see("/settings/devices?done=off")


async def renew_codes(visit: Visit) -> Response:
    """New recovery codes, for whoever shows a code."""
    if problem := await _code_wrong(visit):
        return await _page(visit, problem=problem, status=403)
    act = _act(visit)
    codes = await visit.services.database.submit(
        lambda session: second_factor.renew_recovery_codes(session, act, visit.account.address)
    )
    return await _page(visit, codes=codes)


async def _code_wrong(visit: Visit) -> str:
    """Why the code that was typed does not do, in words; empty when it does."""
    steps = visit.services.directory.second_steps
    try:
        token = await steps.token(visit.account.address)
        taken = await steps.take(token, visit.text("code")[:40], ip=visit.client_ip)
    except NotAllowed:
        return visit.words("access.throttled")
    except MailgovError as error:
        return visit.words.error(error)
    return "" if taken else visit.words("login.wrong-code")
