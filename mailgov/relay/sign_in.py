"""The dialog of AUTH (RFC 4954), mechanism by mechanism: what is asked, and what comes of it."""

from collections.abc import Awaitable, Callable

from mailgov.addresses import Address
from mailgov.clock import utc_now
from mailgov.errors import InputError
from mailgov.relay import auth, certificates, replies, scram
from mailgov.relay.auth import BearerToken, Credentials
from mailgov.relay.certificates import ClientCertificate
from mailgov.relay.commands import CommandError
from mailgov.relay.handler import Handler
from mailgov.relay.ports import Account
from mailgov.relay.replies import Reply

# Asks the client something and gives what it answers, both without base64. Raises CommandError.
Ask = Callable[[bytes], Awaitable[bytes]]

# RFC 7628, 3.2.3: what a client with a bad token is told before the reply.
_BAD_TOKEN = b'{"status":"invalid_token","schemes":"bearer"}'


async def sign_in(handler: Handler, ask: Ask, argument: str) -> Reply:
    """Go through an AUTH command. Raises CommandError, and Unavailable from the directory."""
    handler.require_login_possible()
    mechanism, initial = auth.parse(argument)
    if mechanism not in handler.mechanisms:
        raise CommandError("login-mechanism")
    if mechanism == scram.NAME:
        return await _scram(handler, ask, initial)
    if mechanism == certificates.NAME:
        return await _external(handler, ask, initial)
    said = await _exchange(auth.MECHANISMS[mechanism](initial), ask)
    if isinstance(said, BearerToken):
        return await _token(handler, ask, said)
    return await handler.login(said)


async def _exchange(exchange: auth.Exchange, ask: Ask) -> Credentials | BearerToken:
    try:
        question = next(exchange)
        while True:
            question = exchange.send(await ask(question))
    except StopIteration as end:
        said: Credentials | BearerToken = end.value
        return said


async def _token(handler: Handler, ask: Ask, token: BearerToken) -> Reply:
    try:
        return await handler.login_by_token(token)
    except CommandError as exc:
        if exc.key == "login-wrong":
            await ask(_BAD_TOKEN)
        raise


async def _scram(handler: Handler, ask: Ask, initial: bytes | None) -> Reply:
    first = scram.read_first(initial if initial is not None else await ask(b""))
    known = await handler.begin_scram(first.name)
    signature, app = b"", None
    try:
        challenge = scram.Challenge.new(first, known.salt, known.iterations)
        proof = challenge.read_final(await ask(challenge.text))
        for candidate in known.apps:
            if signature := proof.signature_for(candidate.verifier):
                app = candidate
                break
    finally:
        # Who gives up half way has made a guess like any other.
        account = await handler.end_scram(known, app)
    if account is None:
        raise CommandError("login-wrong")
    await ask(signature)
    handler.signed_in(account)
    return replies.SIGNED_IN


async def _external(handler: Handler, ask: Ask, initial: bytes | None) -> Reply:
    """RFC 4422, A: TLS has shown who it is; what is said here can only agree."""
    asked = auth.identity(initial if initial is not None else await ask(b""))
    certificate = handler.certificate
    assert certificate is not None  # else the mechanism is not there
    whose = await _mailboxes(handler, certificate, asked)
    why = _why_not(certificate, whose)
    # What it names goes into the ledger as well where it opens nothing.
    names = [account.address for account in whose] or [name.key for name in certificate.names]
    account = await handler.login_by_certificate(names[0] if names else "", good=not why)
    if account is None:  # good, and yet no: the directory looks at the mailbox itself
        raise CommandError(why or "login-certificate-suspended")
    handler.signed_in(account)
    return replies.SIGNED_IN


async def _mailboxes(handler: Handler, certificate: ClientCertificate, asked: str) -> list[Account]:
    """Our mailboxes that the certificate names, whatever their state; of several the one asked for."""
    try:
        wanted = Address.parse(asked).key if asked else ""
    except InputError:
        return []
    names = [name for name in certificate.names if not wanted or name.key == wanted]
    found = [await handler.parts.directory.account(name.key) for name in names]
    return [account for account in found if account is not None]


def _why_not(certificate: ClientCertificate, whose: list[Account]) -> str:
    if not whose:
        return "login-certificate-mailbox"
    if len(whose) > 1:
        return "login-certificate-several"
    if not certificate.is_in_force(utc_now()):
        return "login-certificate-expired"
    return "" if certificate.for_clients else "login-certificate-purpose"
