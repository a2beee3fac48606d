"""Seals on what we pass on: the next server, and dkimpy, follow the chain."""

from collections.abc import Mapping
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from mailgov.db import Database
from mailgov.errors import Unavailable
from mailgov.signing import Signer, keys
from mailgov.signing.arc import NO_CHAIN, ArcResult, read_sets, sealed_bytes, verify_chain
from mailgov.signing.canonical import split_fields
from mailgov.signing.keyring import KeyRing
from mailgov.signing.public_keys import check_value
from mailgov.signing.tags import decoded, read_tags

from ...support.dns import FakeResolver
from .samples import DOMAIN, MESSAGE, THEN, activate, add_domain, add_key, as_body, header_of

RESULTS = (
    b"Authentication-Results: mail.vidu.gov.vn;\r\n\tspf=pass smtp.mailfrom=a@x.test;\r\n"
    b"\tdmarc=pass header.from=x.test\r\n"
)


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def records(
    database: Database,
    tmp_path: Path,
    rsa_key: rsa.RSAPrivateKey,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, list[bytes]]:
    new = keys._new_key

    def made(algorithm: keys.Algorithm) -> keys.PrivateKey:
        return rsa_key if algorithm == "rsa2048" else new(algorithm)

    monkeypatch.setattr(keys, "_new_key", made)
    add_domain(database)
    text = add_key(database, tmp_path / "keys")
    return {f"2026a._domainkey.{DOMAIN}": [text.encode()]}


@pytest.fixture
def signer(database: Database, tmp_path: Path, records: Mapping[str, list[bytes]]) -> Signer:
    return Signer(database, KeyRing(tmp_path / "keys"), lambda: THEN)


async def chain_of(message: bytes, records: Mapping[str, list[bytes]]) -> ArcResult:
    resolver = FakeResolver(txt_of=records)
    return await verify_chain(header_of(message), as_body(message), resolver, lambda: THEN)


async def sealed(signer: Signer, message: bytes, chain: ArcResult) -> bytes:
    header, body = header_of(message), as_body(message)
    fields = await signer.seal(header, body, DOMAIN, RESULTS, chain)
    assert fields is not None
    return fields + message


async def test_each_of_several_passes_the_chain_on(
    signer: Signer, records: dict[str, list[bytes]]
) -> None:
    message, chain = MESSAGE, NO_CHAIN
    for number in range(1, 4):
        message = await sealed(signer, message, chain)
        chain = await chain_of(message, records)
        assert (chain.state, chain.sealers) == ("pass", (DOMAIN,) * number), chain.reason
        assert max(len(line) for line in message.splitlines()) < 100
    answer, *_ = dkim.arc_verify(
        message, dnsfunc=lambda name, timeout=5: records[name.decode().rstrip(".")][0]
    )
    assert answer == dkim.CV_Pass


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Giay", b"Giai"),
        (b"Dong cuoi", b"Dong dau"),
        (b"dmarc=pass", b"dmarc=fail"),
        (b"cv=none", b"cv=pass"),
        (b"To: binh", b"Subject: khac\r\nTo: binh"),
    ],
)
async def test_what_is_changed_afterwards_breaks_it(
    signer: Signer, records: dict[str, list[bytes]], old: bytes, new: bytes
) -> None:
    message = await sealed(signer, MESSAGE, NO_CHAIN)
    assert message.count(old) == 1
    assert (await chain_of(message.replace(old, new), records)).state == "fail"


async def test_a_broken_chain_is_sealed_as_broken_and_never_again(
    signer: Signer, records: dict[str, list[bytes]], rsa_key: rsa.RSAPrivateKey
) -> None:
    message = (await sealed(signer, MESSAGE, NO_CHAIN)).replace(b"Giay", b"Giai")
    broken = await chain_of(message, records)
    assert (broken.state, broken.closed) == ("fail", False)
    message = await sealed(signer, message, broken)
    assert b"i=2;" in message
    assert b"cv=fail" in message
    last = read_sets(split_fields(header_of(message)))[-1]
    tags = read_tags(last.seal[1])
    # It covers its own set only: nobody could follow what is broken (RFC 8617, 5.1.2).
    check_value(rsa_key.public_key(), decoded(tags["b"]), sealed_bytes((last,)))
    closed = await chain_of(message, records)
    assert (closed.state, closed.closed) == ("fail", True)
    header, body = header_of(message), as_body(message)
    assert await signer.seal(header, body, DOMAIN, RESULTS, closed) is None


async def test_a_chain_that_could_not_be_checked_waits(signer: Signer) -> None:
    unknown = ArcResult("temperror", "DNS does not answer")
    with pytest.raises(Unavailable, match="resolver-unavailable"):
        await signer.seal(header_of(MESSAGE), as_body(MESSAGE), DOMAIN, RESULTS, unknown)


async def test_without_a_key_there_is_no_seal(signer: Signer) -> None:
    header, body = header_of(MESSAGE), as_body(MESSAGE)
    assert await signer.seal(header, body, "other.test", RESULTS, NO_CHAIN) is None


async def test_a_seal_is_made_with_rsa_where_both_kinds_sign(
    database: Database, signer: Signer, tmp_path: Path
) -> None:
    add_key(database, tmp_path / "keys", "e1", "ed25519")
    activate(database, "e1")
    message = await sealed(signer, MESSAGE, NO_CHAIN)
    assert b"ed25519" not in message
    both = await signer.sign(header_of(MESSAGE), as_body(MESSAGE), DOMAIN)
    assert both is not None
    assert both.count(b"DKIM-Signature:") == 2


async def test_dns_in_trouble_is_no_verdict_on_a_chain(
    signer: Signer, records: dict[str, list[bytes]]
) -> None:
    message = await sealed(signer, MESSAGE, NO_CHAIN)
    resolver = FakeResolver(broken=frozenset(records))
    found = await verify_chain(header_of(message), as_body(message), resolver, lambda: THEN)
    assert found.state == "temperror"


async def test_a_chain_of_too_many_is_broken_without_asking(
    records: dict[str, list[bytes]],
) -> None:
    one = (
        b"ARC-Seal: i=%d; a=rsa-sha256; cv=pass; d=x.test; s=k; b=AAAA\r\n"
        b"ARC-Message-Signature: i=%d; a=rsa-sha256; d=x.test; s=k; h=from; bh=AAAA; b=AAAA\r\n"
        b"ARC-Authentication-Results: i=%d; x.test; none\r\n"
    )
    sets = b"".join(one % (n, n, n) for n in range(51, 0, -1))
    resolver = FakeResolver()
    message = sets + MESSAGE
    found = await verify_chain(header_of(message), as_body(message), resolver, lambda: THEN)
    assert found.state == "fail"
    assert not resolver.asked
