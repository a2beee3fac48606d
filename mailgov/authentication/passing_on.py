"""The ARC set for a message that we pass on to another server (RFC 8617, 5.1)."""

from mailgov.clock import Clock
from mailgov.message import Body
from mailgov.resolver import Resolver
from mailgov.signing import Signer
from mailgov.signing.arc import verify_chain
from mailgov.signing.canonical import split_fields
from mailgov.signing.results import results_field


async def arc_set(
    signer: Signer,
    resolver: Resolver,
    clock: Clock,
    authserv_id: str,
    header: bytes,
    body: Body,
    domain: str,
) -> bytes:
    """Fields to prepend, CRLF included; empty where none can be made.

    `header` is the whole header as it leaves, with the fields that we put before it on arrival:
    what those say of the checks is sealed. `body` holds the content behind its first empty line,
    `domain` is the one in whose name the message is passed on. Raises Unavailable as `Signer.seal`.
    """
    chain = await verify_chain(header, body, resolver, clock)
    results = _our_results(header, authserv_id)
    return await signer.seal(header, body, domain, results, chain) or b""


def _our_results(header: bytes, authserv_id: str) -> bytes:
    """The topmost field of ours: forged ones were taken out on arrival, so nobody else wrote it."""
    ours = authserv_id.lower().encode()
    for name, value in split_fields(header):
        if name.lower() == b"authentication-results":
            if value.split(b";")[0].strip().lower() == ours:
                return name + b":" + value
            break
    return results_field(authserv_id, ())
