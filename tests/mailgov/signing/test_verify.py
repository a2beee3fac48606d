"""Signatures of others: those of the standards verify, whatever is weak or partial does not count."""

import base64
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from mailgov.clock import Clock
from mailgov.signing.canonical import RelaxedBody, body_hash, split_fields
from mailgov.signing.keys import PrivateKey, public_key
from mailgov.signing.sign import signature_field
from mailgov.signing.verify import SignatureResult, summary, verify

from ...support.dns import FakeResolver
from ..queue.samples import body_of
from .samples import MESSAGE, THEN, header_of

NAME = "k._domainkey.example.vn"


async def results_of(
    message: bytes, records: dict[str, list[bytes]], clock: Clock = lambda: THEN
) -> tuple[SignatureResult, ...]:
    resolver = FakeResolver(txt_of={name.lower(): texts for name, texts in records.items()})
    return await verify(header_of(message), body_of(message), resolver, clock)


def outcomes(results: Iterable[SignatureResult]) -> list[str]:
    return [f"{result.result}: {result.reason}".removesuffix(": ") for result in results]


def with_crlf(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


@pytest.fixture
def auth(corpus: Path) -> Path:
    return corpus / "third-party" / "auth"


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("001.txt", ["pass", "pass"]),  # Ed25519 and RSA of RFC 8463
        ("002.txt", ["pass"]),
        ("003.txt", ["pass", "pass"]),
    ],
)
async def test_signatures_with_their_keys_in_front(
    auth: Path, name: str, wanted: list[str]
) -> None:
    data = with_crlf((auth / "dkim-mail-auth" / "dkim" / name).read_bytes())
    zone, _, message = data.partition(b"\r\n\r\n")
    records = {}
    for line in zone.splitlines():
        owner, _, text = line.partition(b" ")
        records[owner.decode()] = [text]
    assert outcomes(await results_of(message, records, utc)) == wanted


def utc() -> datetime:
    return datetime(2026, 11, 21, tzinfo=UTC)


def fake_dns(auth: Path) -> dict[str, list[bytes]]:
    lines = (auth / "dkim-mail-dkim" / "FAKE_DNS.dat").read_bytes().splitlines()
    rows = (line.split(None, 1) for line in lines if line.strip() and not line.startswith(b"#"))
    return {row[0].decode().rstrip("."): [row[1]] for row in rows}


# Signed with rsa-sha1, which RFC 8301 forbids: the best they can reach is `policy`.
OUTDATED = {"badkey_9.txt", "badkey_10.txt", "badkey_14.txt"} | {
    f"{name}.txt"
    for name in ("good_qp_1", "good_rfc4871_4", "goodkey_2", "goodkey_3", "multiple_2")
}


@pytest.mark.corpus
async def test_old_test_messages_pass_in_no_case_and_fail_for_their_own_reason(
    auth: Path,
) -> None:
    records = fake_dns(auth)
    found = {}
    for path in sorted((auth / "dkim-mail-dkim" / "corpus").iterdir()):
        results = await results_of(with_crlf(path.read_bytes()), records, utc)
        found[path.name] = summary(results)
    assert {name for name, result in found.items() if result == "pass"} == set()
    assert {name for name, result in found.items() if result == "policy"} == OUTDATED
    unsigned = {name for name, result in found.items() if result == "none"}
    assert unsigned == {name for name in found if "dk_" in name}  # DomainKeys, not DKIM


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("badkey1_ed25519.txt", "permerror: key can't be read"),
        ("badkey5_ed25519.txt", "permerror: tag list is not well-formed"),
        ("badkey_11.txt", "permerror: key is not for sha256"),
        ("ignore_5.txt", "permerror: query method is unknown"),
    ],
)
async def test_keys_that_are_none(auth: Path, name: str, wanted: str) -> None:
    message = with_crlf((auth / "dkim-mail-dkim" / "corpus" / name).read_bytes())
    assert outcomes(await results_of(message, fake_dns(auth), utc)) == [wanted]


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["rfc6376.signed.msg", "rfc6376.signed.rsa.msg"])
async def test_simple_forms_verify_and_break_on_any_change(auth: Path, name: str) -> None:
    message = with_crlf((auth / "dkim-dkimpy" / name).read_bytes())
    zone = (auth / "dkim-mail-auth" / "dkim" / "001.txt").read_bytes().splitlines()[:2]
    records = {line.split(b" ", 1)[0].decode(): [line.split(b" ", 1)[1]] for line in zone}
    results = outcomes(await results_of(message, records, utc))
    assert results == ["pass"] * len(results)
    assert results
    for old, new in ((b"hungry", b"Hungry"), (b"dinner ready", b"dinner  ready")):
        changed = outcomes(await results_of(message.replace(old, new), records, utc))
        assert all(result.startswith("fail: ") for result in changed)


@pytest.fixture(scope="module")
def key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def record_of(key: PrivateKey, more: bytes = b"") -> bytes:
    kind = b"ed25519" if isinstance(key, ed25519.Ed25519PrivateKey) else b"rsa"
    return b"v=DKIM1; k=" + kind + b"; p=" + public_key(key).encode() + more


def signed(key: PrivateKey, message: bytes = MESSAGE) -> bytes:
    digest = body_hash([message], RelaxedBody())
    fields = split_fields(header_of(message))
    moment = int(THEN.timestamp())
    return signature_field(key, "k", "example.vn", fields, digest, moment) + message


async def test_a_good_signature_is_told_with_its_marks(key: PrivateKey) -> None:
    message = signed(key)
    (result,) = await results_of(message, {NAME: [record_of(key)]})
    start = message.partition(b"\tb=")[2][:8].decode()
    assert result == SignatureResult("pass", "", "example.vn", "k", "ed25519-sha256", start)


async def test_an_unsigned_message_has_no_results() -> None:
    assert await results_of(MESSAGE, {}) == ()
    assert summary(()) == "none"


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        (b"Kinh", b"kinh", "fail: body was changed"),
        (b"Giay   moi", b"Giay bao", "fail: signature does not match"),
        (b"From: =", b"From: evil@x.vn\r\nFrom: =", "fail: signature does not match"),
        (b"v=1;", b"v=2;", "permerror: version is unknown"),
        (b"v=1;", b"", "permerror: tag v= is missing"),
        (b"v=1;", b"v=1; v=1;", "permerror: tag list is not well-formed"),
        (b"v=1;", b"v=1; q=dns/axfr;", "permerror: query method is unknown"),
        (b"v=1;", b"v=1; l=10;", "policy: a signature over part of the body does not count"),
        (b"v=1;", b"v=1; i=@other.vn;", "permerror: i= is outside of d="),
        (b"v=1;", b"v=1; i=@notexample.vn;", "permerror: i= is outside of d="),
        (b"v=1;", b"v=1; x=1;", "fail: signature has expired"),
        (b"v=1;", b"v=1; x=soon;", "permerror: tag x= is no number"),
        (b"t=1577934245;", b"t=2577934245;", "permerror: signed in the future"),
        (b"t=1577934245;", b"t=1577934245; x=1577934244;", "permerror: expires before it was made"),
        (b"ed25519-sha256", b"rsa-sha1", "policy: rsa-sha1 does not count"),
        (b"ed25519-sha256", b"rsa-md5", "neutral: algorithm is unknown"),
        (b"ed25519-sha256", b"rsa-sha256", "permerror: key is of another algorithm"),
        (b"relaxed/relaxed", b"nofws", "permerror: canonical form is unknown"),
        (b"relaxed/relaxed", b"relaxed", "fail: body was changed"),
        (b"d=example.vn", b"d=exa mple.vn", "permerror: domain is not valid"),
        (b"s=k;", b"s=other;", "permerror: no key in DNS"),
        (b"h=from:from:", b"h=", "permerror: From is not signed"),
        (b"h=from:from:", b"h=from:", "fail: signature does not match"),
        (b"bh=", b"bh=!", "permerror: base64 is not well-formed"),
    ],
)
async def test_what_is_wrong_with_a_signature_is_said(
    key: PrivateKey, old: bytes, new: bytes, wanted: str
) -> None:
    message = signed(key)
    assert message.count(old) == 1
    changed = message.replace(old, new)
    assert outcomes(await results_of(changed, {NAME: [record_of(key)]})) == [wanted]


async def test_a_second_from_breaks_signatures_that_name_one(key: PrivateKey) -> None:
    fields = [f for f in split_fields(header_of(MESSAGE)) if f[0] == b"From"]
    digest = body_hash([MESSAGE], RelaxedBody())
    field = signature_field(key, "k", "example.vn", fields, digest, int(THEN.timestamp()))
    field = field.replace(b"from:from:", b"from:")
    records = {NAME: [record_of(key)]}
    (plain,) = await results_of(field + MESSAGE, records)
    (doubled,) = await results_of(field + b"From: evil@x.vn\r\n" + MESSAGE, records)
    assert plain.reason == "signature does not match"  # its h= was shortened after signing
    assert doubled.reason == "a From field was added"


@pytest.mark.parametrize(
    ("record", "wanted"),
    [
        (b"v=DKIM2; k=ed25519; p=AAAA", "permerror: key record is not well-formed"),
        (b"v=DKIM1; k=ed25519", "permerror: key record is not well-formed"),
        (b"v=DKIM1; k=ed25519; p=", "permerror: key was revoked"),
        (b"v=DKIM1; k=ed25519; s=web; p=AAAA", "permerror: key is not for mail"),
        (b"v=DKIM1; k=ed25519; h=sha1; p=AAAA", "permerror: key is not for sha256"),
        (b"v=DKIM1; k=ed25519; p=AAAA", "permerror: key can't be read"),
        (b"v=DKIM1; k=ed25519; p=!!!!", "permerror: base64 is not well-formed"),
        (b"v=DKIM1; k=rsa; p=AAAA", "permerror: key is of another algorithm"),
        (b"some other text", "permerror: tag list is not well-formed"),
    ],
)
async def test_what_is_wrong_with_a_key_is_said(
    key: PrivateKey, record: bytes, wanted: str
) -> None:
    assert outcomes(await results_of(signed(key), {NAME: [record]})) == [wanted]


async def test_a_strict_key_is_not_for_subdomains(key: PrivateKey) -> None:
    message = signed(key).replace(b"v=1;", b"v=1; i=@sub.example.vn;")
    (result,) = await results_of(message, {NAME: [record_of(key, b"; t=s")]})
    assert result.reason == "key is not for subdomains"


@pytest.mark.parametrize("bits", [1024, 2048])
async def test_keys_of_1024_bits_and_more_count(bits: int) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    assert outcomes(await results_of(signed(key), {NAME: [record_of(key)]})) == ["pass"]


async def test_shorter_keys_do_not_count() -> None:
    # Nobody makes a key of 512 bits any more; this is one of the corpus.
    short = (
        b"v=DKIM1; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBALgSoqXVSEmfcIsOzw7oRuCCOwsmtX/SJnTWxYyj2leF"
        b"xfS/AVJ+dYfY+hXqMsT7l+MZvvh/R1WzN4MO/kI/7XsCAwEAAQ=="
    )
    message = signed(rsa.generate_private_key(public_exponent=65537, key_size=1024))
    found = outcomes(await results_of(message, {NAME: [short]}))
    assert found == ["policy: a key of 512 bits does not count"]


async def test_a_key_in_its_older_wrapping_is_read() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    der = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.PKCS1
    )
    record = b"p=" + base64.b64encode(der)
    (result,) = await results_of(signed(key), {NAME: [record]})
    assert result.result == "pass"


async def test_dns_in_trouble_is_no_verdict(key: PrivateKey) -> None:
    resolver = FakeResolver(broken=frozenset({NAME}))
    message = signed(key)
    results = await verify(header_of(message), body_of(message), resolver, lambda: THEN)
    assert outcomes(results) == ["temperror: DNS does not answer"]
    assert summary(results) == "temperror"


async def test_only_five_signatures_are_looked_at(key: PrivateKey) -> None:
    field = signed(key).removesuffix(MESSAGE)
    broken = field.replace(b"v=1;", b"v=2;")
    records = {NAME: [record_of(key)]}
    assert len(await results_of(broken * 5 + field + MESSAGE, records)) == 5
    assert summary(await results_of(broken * 5 + field + MESSAGE, records)) == "permerror"
    assert summary(await results_of(broken * 4 + field + MESSAGE, records)) == "pass"
