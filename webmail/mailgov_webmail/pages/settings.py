"""One's own mailbox, language and sign-ins."""

from starlette.responses import Response

from mailgov_webmail.devices import device_name
from mailgov_webmail.pages.frame import framed_page
from mailgov_webmail.visit import Visit, see


async def show(visit: Visit) -> Response:
    """Who one is here, how much space is left, and where one is signed in."""
    assert visit.signed_in is not None
    mailbox = visit.mailbox()
    return await framed_page(
        visit,
        "settings.html",
        folders=await mailbox.folders(),
        mailbox=mailbox,
        devices=[
            (device, device_name(device.agent))
            for device in await visit.parts.sessions.devices(visit.signed_in)
        ],
        here=visit.signed_in.token_hash,
        idle_minutes=round((visit.signed_in.until - visit.now).total_seconds() / 60),
        ended=bool(visit.query("ended")),
    )


async def end_other_sign_ins(visit: Visit) -> Response:
    """Sign out everywhere but here."""
    assert visit.signed_in is not None
    await visit.parts.sessions.end_others(visit.signed_in)
    return see("/settings?ended=1")
