"""What strangers send to cost us time, or to say something in our name."""

import base64
import time
from collections.abc import Callable

import idna
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from mailgov.addresses import Address
from mailgov.authentication import InboundAuthentication
from mailgov.authentication.dmarc_record import find_record
from mailgov.authentication.spf import check_spf
from mailgov.authentication.spf_macros import as_name
from mailgov.authentication.spf_record import RecordError, read_record
from mailgov.authentication.vouching import is_vouched_for
from mailgov.config import Dns
from mailgov.message import Client, Envelope, Recipient
from mailgov.resolver import DnsResolver
from mailgov.signing.arc import ArcResult
from mailgov.signing.tags import NotValid, read_tags
from mailgov.signing.verify import verify, without_value

from ...support.dns import FakeResolver, StubServer, serving
from ..queue.samples import body_of
from ..signing.samples import MESSAGE, THEN, header_of

N = 60_000
CHAIN = ArcResult("pass", sealers=("t.test",), results=(b'"' + b'\\"' * N,))
COSTLY: dict[str, Callable[[], object]] = {
    "blanks in tags": lambda: read_tags(b"v=1;" + b" " * N + b"x"),
    "semicolons in tags": lambda: read_tags(b"v=1" + b";" * N),
    "blanks before b=": lambda: without_value((b"DKIM-Signature", b"v=1;" + b"; " * N)),
    "slashes in SPF": lambda: read_record(b"v=spf1 a:" + b"/1" * (N // 2)),
    "macros in SPF": lambda: read_record(b"v=spf1 a:" + b"%{d}" * (N // 4)),
    "open macros in SPF": lambda: read_record(b"v=spf1 a:" + b"%{" * (N // 2)),
    "terms in SPF": lambda: read_record(b"v=spf1 " + b"a " * (N // 2)),
    "a name of all labels": lambda: as_name("example.com." * 20_000),
    "blanks in DMARC": lambda: find_record([b"v=DMARC1; p=" + b" " * N + b"x"]),
    "addresses in DMARC": lambda: find_record([b"v=DMARC1; rua=" + b"mailto:a@b.vn!," * 4000]),
    "quotes in results": lambda: is_vouched_for(CHAIN, "a.test", ("t.test",)),
}


@pytest.mark.parametrize("name", COSTLY)
def test_length_costs_no_more_than_itself(name: str) -> None:
    began = time.process_time()
    try:
        COSTLY[name]()
    except (NotValid, RecordError):
        pass
    # Each of these would take ten seconds or more where the cost is the square of the length.
    assert time.process_time() - began < 3.0


def test_a_name_that_is_too_long_loses_whole_labels_from_the_left() -> None:
    assert as_name("a" * 60 + "." + ".".join(["b" * 62] * 4)) == ".".join(["b" * 62] * 4)
    assert as_name("x." + ".".join(["b" * 62] * 4)) == "x." + ".".join(["b" * 62] * 4)
    assert len(as_name("example.com." * 20_000)) <= 253


async def test_a_thousand_signatures_ask_for_five_keys() -> None:
    field = b"DKIM-Signature: v=1; a=rsa-sha256; d=d%d.test; s=k; h=from; bh=AAAA; b=AAAA\r\n"
    header = b"".join(field % number for number in range(1000)) + header_of(MESSAGE)
    resolver = FakeResolver()
    found = await verify(header, body_of(MESSAGE), resolver, lambda: THEN)
    assert len(found) == 5
    assert sum(resolver.asked.values()) == 5


async def test_a_key_of_monstrous_size_is_not_used() -> None:
    numbers = rsa.RSAPublicNumbers(65537, (1 << 16_384) + 1)
    data = numbers.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    record = b"v=DKIM1; p=" + base64.b64encode(data)
    resolver = FakeResolver(txt_of={"k._domainkey.a.test": [record]})
    field = b"DKIM-Signature: v=1; a=rsa-sha256; d=a.test; s=k; h=from; bh=AAAA; b=AAAA\r\n"
    (found,) = await verify(field + header_of(MESSAGE), body_of(MESSAGE), resolver, lambda: THEN)
    assert (found.result, found.reason) == ("policy", "a key of 16385 bits does not count")


NAMES = st.text(st.sampled_from("ab.\\\0 \r\n%_@()\"'éđำ\u200d😀-*/:[]0"), max_size=40)


async def test_no_name_breaks_the_resolver() -> None:
    names: list[str] = []

    @given(NAMES)
    @settings(max_examples=150, deadline=None)
    def collect(name: str) -> None:
        names.append(name)

    collect()
    async with serving(StubServer({})) as server:
        resolver = DnsResolver(Dns(nameservers=[server.address], timeout_seconds=10))
        for name in names:
            assert (await resolver.txt(name)).records == ()


@given(helo=st.text(max_size=60), local=st.text(max_size=30))
@settings(max_examples=60, deadline=None)
async def test_fields_hold_whatever_the_client_says(helo: str, local: str) -> None:
    resolver = FakeResolver(txt_of={"a.test": [b"v=spf1 exists:%{h}.%{l}.a.test -all"]})
    checks = InboundAuthentication("mail.vidu.gov.vn", resolver, lambda: THEN)
    envelope = Envelope(
        direction="inbound",
        mail_from=Address(local, "a.test"),
        recipients=(Recipient(Address("b", "vidu.gov.vn")),),
        client=Client(ip="192.0.2.7", helo=helo),
    )
    found = await checks.check(envelope, header_of(MESSAGE), body_of(MESSAGE), ["a.test"])
    assert found.field.isascii()
    lines = found.field.decode().split("\r\n")
    assert lines.pop() == ""
    assert sum(line[:1] != "\t" for line in lines) == 2
    assert not any(sign in line for line in lines for sign in "\r\n\0")
    assert found.results.spf in ("fail", "permerror")


async def test_a_name_in_other_letters_is_one_domain() -> None:
    shown = "tỉnhmẫu.vn"
    encoded = idna.encode(shown, uts46=True).decode()
    resolver = FakeResolver(txt_of={f"_dmarc.{encoded}": [b"v=DMARC1; p=reject"]})
    checks = InboundAuthentication("mail.vidu.gov.vn", resolver, lambda: THEN)
    envelope = Envelope("inbound", None, (), client=Client(ip="192.0.2.7", helo="x.test"))
    found = await checks.check(envelope, header_of(MESSAGE), body_of(MESSAGE), [shown, encoded])
    assert (found.results.dmarc, found.results.dmarc_policy) == ("fail", "reject")
    assert found.field.count(b"dmarc=fail") == 1


async def test_spf_spends_no_more_than_its_budget_on_a_maze() -> None:
    texts = {
        f"n{number}.test": [
            b" ".join([b"v=spf1", *(b"include:n%d.test" % other for other in range(20)), b"-all"])
        ]
        for number in range(20)
    }
    resolver = FakeResolver(txt_of=texts)
    found = await check_spf("192.0.2.7", "x", ("a", "n0.test"), resolver)
    assert found.result == "permerror"
    assert sum(resolver.asked.values()) <= 12
