"""What is passed on carries what we found, sealed: the next server can believe it."""

from pathlib import Path

import pytest

from mailgov.authentication.passing_on import arc_set
from mailgov.authentication.vouching import is_vouched_for
from mailgov.db import Database
from mailgov.errors import Unavailable
from mailgov.signing import Signer
from mailgov.signing.arc import ArcResult, verify_chain
from mailgov.signing.keyring import KeyRing

from ...support.dns import FakeResolver
from ..queue.samples import body_of
from ..signing.samples import DOMAIN, MESSAGE, THEN, add_domain, add_key, header_of

ID = "mail.vidu.gov.vn"
FOUND = (
    b"Authentication-Results: mail.vidu.gov.vn;\r\n\tspf=pass smtp.mailfrom=a@x.test;\r\n"
    b"\tdmarc=pass header.from=x.test\r\nReceived-SPF: pass\r\nReceived: from x by y; now\r\n"
)


class Forwarder:
    """We, passing on."""

    def __init__(self, database: Database, folder: Path) -> None:
        add_domain(database)
        record = add_key(database, folder, "k", "ed25519").encode()
        self.resolver = FakeResolver(txt_of={f"k._domainkey.{DOMAIN}": [record]})
        self.signer = Signer(database, KeyRing(folder), lambda: THEN)

    async def passed_on(self, message: bytes) -> bytes:
        fields = await arc_set(
            self.signer, self.resolver, lambda: THEN, ID,
            header_of(message), body_of(message), DOMAIN,
        )  # fmt: skip
        return fields + message

    async def chain(self, message: bytes) -> ArcResult:
        return await verify_chain(header_of(message), body_of(message), self.resolver, lambda: THEN)


@pytest.fixture
def we(database: Database, tmp_path: Path) -> Forwarder:
    return Forwarder(database, tmp_path / "keys")


async def test_who_trusts_us_takes_our_word(we: Forwarder) -> None:
    message = await we.passed_on(FOUND + MESSAGE)
    chain = await we.chain(message)
    assert (chain.state, chain.sealers) == ("pass", (DOMAIN,))
    assert is_vouched_for(chain, "x.test", (DOMAIN,))
    assert not is_vouched_for(chain, "y.test", (DOMAIN,))
    assert not is_vouched_for(chain, "x.test", ("other.test",))


async def test_a_chain_goes_on(we: Forwarder) -> None:
    message = await we.passed_on(FOUND + await we.passed_on(FOUND + MESSAGE))
    chain = await we.chain(message)
    assert (chain.state, len(chain.sealers)) == ("pass", 2)


@pytest.mark.parametrize(
    "above",
    [
        b"",
        b"Authentication-Results: elsewhere.test; dmarc=pass header.from=x.test\r\n",
        b"Authentication-Results: elsewhere.test; none\r\n" + FOUND,  # not on top: not ours
    ],
)
async def test_results_of_others_are_not_sealed_as_ours(we: Forwarder, above: bytes) -> None:
    message = await we.passed_on(above + MESSAGE)
    assert b"ARC-Authentication-Results: i=1; mail.vidu.gov.vn;\r\n\tnone\r\n" in message
    assert not is_vouched_for(await we.chain(message), "x.test", (DOMAIN,))


async def test_trouble_with_dns_waits_and_no_key_is_no_seal(we: Forwarder) -> None:
    message = await we.passed_on(FOUND + MESSAGE)
    we.resolver.broken = frozenset({f"k._domainkey.{DOMAIN}"})
    with pytest.raises(Unavailable):
        await we.passed_on(FOUND + message)
    header, body = header_of(MESSAGE), body_of(MESSAGE)
    assert await arc_set(we.signer, we.resolver, lambda: THEN, ID, header, body, "x.vn") == b""
