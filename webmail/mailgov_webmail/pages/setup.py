"""Setting up a mail program: a page for people, and the files that programs ask for themselves.

All of it is for everybody: answers are the same for addresses that exist and for those that don't.
"""

from urllib.parse import urlencode

import segno
from starlette.responses import Response

from mailgov import client_setup
from mailgov.addresses import Address
from mailgov.errors import InputError
from mailgov_webmail.security import capped
from mailgov_webmail.visit import Visit

_PROFILE = "/setup/apple.mobileconfig"


async def show(visit: Visit) -> Response:
    """The servers to type, and the profile for a telephone once an address was given."""
    text = visit.query("address").strip() or _own(visit)
    address, problem = None, ""
    if text:
        try:
            address = Address.parse(text)
        except InputError as error:
            problem = visit.words.error(error)
    profile = f"{_PROFILE}?{urlencode({'address': str(address)})}" if address else ""
    url = visit.services.config.web.url.rstrip("/")
    picture = ""
    if profile and url:
        code = segno.make_qr(url + profile, error="m")
        picture = code.svg_data_uri(scale=4, border=4, light="#fff")
    return visit.page(
        "setup.html",
        servers=client_setup.servers(visit.services.config),
        typed=text,
        address=address,
        problem=problem,
        profile=profile,
        picture=picture,
        contact=visit.services.config.site.contact,
        status=422 if problem else 200,
    )


async def autoconfig(visit: Visit) -> Response:
    """Mozilla's file. Raises InputError `address-not-valid`."""
    text = visit.query("emailaddress")
    domain = Address.parse(text).domain if text else ""
    found = client_setup.servers(visit.services.config)
    return Response(client_setup.autoconfig(found, domain), media_type="text/xml")


async def autodiscover(visit: Visit) -> Response:
    """Outlook's answer. Raises InputError `autodiscover-not-valid`, `address-not-valid`."""
    request = capped(visit.request, client_setup.MAX_QUESTION_BYTES)
    address = client_setup.asked_for(await request.body())
    found = client_setup.servers(visit.services.config)
    return Response(client_setup.autodiscover(found, address), media_type="text/xml")


async def apple(visit: Visit) -> Response:
    """The profile as a file to install. Raises InputError `address-not-valid`."""
    address = Address.parse(visit.query("address"))
    found = client_setup.servers(visit.services.config)
    name = visit.account.display_name if visit.signed_in and _own(visit) == address.key else ""
    return Response(
        client_setup.apple_profile(found, address, name),
        media_type="application/x-apple-aspen-config",
        headers={"Content-Disposition": 'attachment; filename="mailgov.mobileconfig"'},
    )


def _own(visit: Visit) -> str:
    return visit.account.address if visit.signed_in else ""
