"""Every route in one table: address, page, who may come in."""

from starlette.routing import BaseRoute, Route

from mailgov_webmail.doors import Endpoint, anyone, signed_in
from mailgov_webmail.pages import (
    absence,
    access,
    actions,
    activation,
    compose,
    folder,
    health,
    help,  # noqa: A004 - the page's name
    login,
    message,
    outbox,
    password,
    provider,
    quarantine,
    reports,
    search,
    settings,
    setup,
    wrong,
)

_MESSAGE = "/mail/{folder}/{mid}"
_DRAFT = "/compose/{cid}"


def _writing(act: compose.Act, *, reading: bool = True) -> Endpoint:
    return signed_in(compose.keeping(act), uploads=True, reading=reading)


routes: list[BaseRoute] = [
    Route("/healthz", health.healthz),
    Route("/readyz", health.readyz),
    Route("/static/{tag}/{name}", health.static),
    Route("/", anyone(folder.home)),
    Route("/login", anyone(login.show), methods=["GET"]),
    Route("/login", anyone(login.sign_in), methods=["POST"]),
    Route("/login/code", anyone(login.second_step), methods=["POST"]),
    Route("/login/provider", anyone(provider.begin), methods=["GET"]),
    Route("/login/provider/done", anyone(provider.finish), methods=["GET"]),
    Route("/login/provider/out", anyone(provider.leave), methods=["GET"]),
    Route("/logout", signed_in(login.sign_out, enrolling=True, changing=True), methods=["POST"]),
    Route("/activate/{token}", anyone(activation.show), methods=["GET"]),
    Route("/activate/{token}", anyone(activation.activate), methods=["POST"]),
    Route("/settings/password", signed_in(password.show, changing=True), methods=["GET"]),
    Route("/settings/password", signed_in(password.change, changing=True), methods=["POST"]),
    Route("/language", anyone(login.choose_language), methods=["POST"]),
    Route("/help", anyone(help.show)),
    Route("/help/rules/{key}", anyone(help.rule)),
    Route("/setup", anyone(setup.show)),
    Route("/setup/apple.mobileconfig", anyone(setup.apple)),
    Route("/mail/config-v1.1.xml", anyone(setup.autoconfig)),
    Route("/.well-known/autoconfig/mail/config-v1.1.xml", anyone(setup.autoconfig)),
    Route("/autodiscover/autodiscover.xml", anyone(setup.autodiscover), methods=["POST"]),
    Route("/Autodiscover/Autodiscover.xml", anyone(setup.autodiscover), methods=["POST"]),
    Route("/mail/actions", signed_in(actions.act), methods=["POST"]),
    Route("/mail/undo", signed_in(actions.undo), methods=["POST"]),
    Route("/mail/{folder}", signed_in(folder.show)),
    Route(_MESSAGE, signed_in(message.show)),
    Route(f"{_MESSAGE}/body", signed_in(message.body)),
    Route(f"{_MESSAGE}/print", signed_in(message.print_view)),
    Route(f"{_MESSAGE}/raw", signed_in(message.raw)),
    Route(f"{_MESSAGE}/att.zip", signed_in(message.attachments)),
    Route(f"{_MESSAGE}/att/{{part}}", signed_in(message.attachment)),
    Route("/search", signed_in(search.show)),
    Route("/compose", signed_in(compose.start)),
    Route(_DRAFT, signed_in(compose.show)),
    Route(f"{_DRAFT}/save", _writing(compose.save), methods=["POST"]),
    Route(f"{_DRAFT}/attach", _writing(compose.attach), methods=["POST"]),
    Route(f"{_DRAFT}/check", _writing(compose.check), methods=["POST"]),
    Route(f"{_DRAFT}/fix", _writing(compose.fix), methods=["POST"]),
    Route(f"{_DRAFT}/wrong", _writing(compose.wrong, reading=False), methods=["POST"]),
    Route(f"{_DRAFT}/send", _writing(compose.send), methods=["POST"]),
    Route(f"{_DRAFT}/discard", _writing(compose.discard), methods=["POST"]),
    Route("/outbox", signed_in(outbox.show)),
    Route("/outbox/{cid}/undo", signed_in(outbox.call_back, reading=True), methods=["POST"]),
    Route("/outbox/{cid}/now", signed_in(outbox.hurry), methods=["POST"]),
    Route("/quarantine", signed_in(quarantine.show)),
    Route("/quarantine/{id}/release", signed_in(quarantine.release), methods=["POST"]),
    Route("/quarantine/{id}/remove", signed_in(quarantine.remove), methods=["POST"]),
    Route("/wrong", signed_in(wrong.report), methods=["POST"]),
    Route("/reports", signed_in(reports.overview)),
    Route("/reports/{report}", signed_in(reports.show)),
    Route("/reports/{report}/{kind}", signed_in(reports.file)),
    Route("/settings", signed_in(settings.show)),
    Route("/settings/absence", signed_in(absence.show), methods=["GET"]),
    Route("/settings/absence", signed_in(absence.save), methods=["POST"]),
    Route("/settings/absence/off", signed_in(absence.turn_off), methods=["POST"]),
    Route(
        "/settings/devices", signed_in(settings.end_other_sign_ins, reading=True), methods=["POST"]
    ),
    Route("/settings/devices", signed_in(access.show, enrolling=True), methods=["GET"]),
    Route("/settings/devices/passwords", signed_in(access.add), methods=["POST"]),
    Route(
        "/settings/devices/passwords/{id:int}/revoke",
        signed_in(access.revoke, reading=True),
        methods=["POST"],
    ),
    Route("/settings/second-factor", signed_in(access.enrol, enrolling=True), methods=["GET"]),
    Route("/settings/second-factor", signed_in(access.confirm, enrolling=True), methods=["POST"]),
    Route("/settings/second-factor/off", signed_in(access.turn_off), methods=["POST"]),
    Route("/settings/second-factor/codes", signed_in(access.renew_codes), methods=["POST"]),
]
