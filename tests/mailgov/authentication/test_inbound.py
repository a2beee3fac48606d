"""All checks together: what rules, readers and reports learn, and when the sender must try again."""

from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from mailgov.addresses import Address
from mailgov.authentication import Authenticated, InboundAuthentication
from mailgov.authentication.inbound import MAX_AUTHORS
from mailgov.authentication.vouching import is_vouched_for
from mailgov.errors import Unavailable
from mailgov.message import Client, Envelope, Recipient
from mailgov.signing.arc import ArcResult
from mailgov.signing.canonical import RelaxedBody, body_hash, split_fields
from mailgov.signing.keys import public_key
from mailgov.signing.sign import signature_field
from mailgov_policies import facts

from ...support.dns import FakeResolver
from ..queue.samples import body_of
from ..signing.samples import MESSAGE, THEN, header_of

KEY = ed25519.Ed25519PrivateKey.generate()
AUTHOR = "so.tinhmau.gov.vn"
TEXTS = {
    "_dmarc.tinhmau.gov.vn": [b"v=DMARC1; p=reject; rua=mailto:r@tinhmau.gov.vn"],
    "k._domainkey.tinhmau.gov.vn": [b"v=DKIM1; k=ed25519; p=" + public_key(KEY).encode()],
    "so.tinhmau.gov.vn": [b"v=spf1 ip4:192.0.2.7 -all"],
    "evil.test": [b"v=spf1 +all"],
}


def checker(broken: Sequence[str] = (), **more: Any) -> InboundAuthentication:
    resolver = FakeResolver(txt_of=TEXTS, broken=frozenset(broken))
    return InboundAuthentication(
        "mail.vidu.gov.vn", resolver, lambda: THEN, chance=lambda: 0.0, **more
    )


def envelope(sender: str = f"an@{AUTHOR}", ip: str = "192.0.2.7") -> Envelope:
    return Envelope(
        direction="inbound",
        mail_from=Address.parse(sender) if sender else None,
        recipients=(Recipient(Address.parse("binh@vidu.gov.vn")),),
        client=Client(ip=ip, helo="mail.so.tinhmau.gov.vn"),
    )


def signed(domain: str = "tinhmau.gov.vn") -> bytes:
    digest = body_hash([MESSAGE], RelaxedBody())
    fields = split_fields(header_of(MESSAGE))
    return signature_field(KEY, "k", domain, fields, digest, int(THEN.timestamp())) + MESSAGE


async def check(
    message: bytes = MESSAGE,
    env: Envelope | None = None,
    authors: Sequence[str] = (AUTHOR,),
    broken: Sequence[str] = (),
    **more: Any,
) -> Authenticated:
    header, body = header_of(message), body_of(message)
    return await checker(broken, **more).check(env or envelope(), header, body, authors)


async def test_everything_in_order() -> None:
    found = await check(signed())
    assert found.results == facts.Authentication(
        spf="pass", dkim="pass", dmarc="pass", dmarc_policy="reject"
    )
    text = found.field.decode("ascii")
    results, _, received = text.partition("Received-SPF:")
    assert results.startswith("Authentication-Results: mail.vidu.gov.vn;\r\n\tspf=pass ")
    assert f"smtp.mailfrom=an@{AUTHOR}" in results
    assert "dkim=pass header.d=tinhmau.gov.vn header.s=k header.a=ed25519-sha256" in results
    assert f"dmarc=pass header.from={AUTHOR}\r\n" in results
    assert received.startswith(" pass (mail.vidu.gov.vn: domain of")


async def test_a_forged_author_is_refuted_and_reported() -> None:
    found = await check(env=envelope("x@evil.test", "203.0.113.9"))
    assert found.results == facts.Authentication(spf="pass", dmarc="fail", dmarc_policy="reject")
    assert f"dmarc=fail header.from={AUTHOR} policy.dmarc=reject" in found.field.decode()
    part = found.contribution
    assert part is not None
    assert (part.policy_domain, part.source_ip) == ("tinhmau.gov.vn", "203.0.113.9")
    assert (part.dkim, part.spf) == ("fail", "fail")
    assert part.auth["spf"] == {"domain": "evil.test", "scope": "mfrom", "result": "pass"}


async def test_one_proof_is_enough() -> None:
    by_spf = await check()
    assert b";\r\n\tdkim=none;\r\n" in by_spf.field  # RFC 8601, 2.7.1: checked, and unsigned
    assert (by_spf.results.dkim, by_spf.results.dmarc) == ("none", "pass")
    by_dkim = await check(signed(), envelope("x@evil.test", "203.0.113.9"))
    assert (by_dkim.results.dkim, by_dkim.results.dmarc) == ("pass", "pass")


async def test_a_signature_of_the_suffix_is_a_stranger_s() -> None:
    texts = {**TEXTS, "k._domainkey.gov.vn": TEXTS["k._domainkey.tinhmau.gov.vn"]}
    strange = InboundAuthentication(
        "mail.vidu.gov.vn", FakeResolver(txt_of=texts), lambda: THEN, chance=lambda: 0.0
    )
    message = signed("gov.vn")
    found = await strange.check(
        envelope("x@evil.test"), header_of(message), body_of(message), [AUTHOR]
    )
    assert (found.results.dkim, found.results.dmarc) == ("neutral", "fail")


@pytest.mark.parametrize(
    ("broken", "message", "env"),
    [
        (["_dmarc.so.tinhmau.gov.vn"], signed(), envelope()),
        (["so.tinhmau.gov.vn"], MESSAGE, envelope()),
        (["k._domainkey.tinhmau.gov.vn"], signed(), envelope("x@evil.test")),
    ],
)
async def test_where_the_outcome_hangs_on_dns_the_sender_tries_again(
    broken: list[str], message: bytes, env: Envelope
) -> None:
    with pytest.raises(Unavailable, match="resolver-unavailable"):
        await check(message, env, broken=broken)


async def test_without_a_policy_trouble_with_spf_defers_too() -> None:
    with pytest.raises(Unavailable):
        await check(env=envelope("x@slow.test"), authors=["slow.test"], broken=["slow.test"])


@pytest.mark.parametrize(
    ("broken", "message", "env"),
    [
        (["so.tinhmau.gov.vn"], signed(), envelope()),  # DKIM suffices
        (["k._domainkey.tinhmau.gov.vn"], signed(), envelope()),  # SPF suffices
        (["evil.test"], MESSAGE, envelope("x@evil.test")),  # not the author's
    ],
)
async def test_where_it_does_not_nobody_waits(
    broken: list[str], message: bytes, env: Envelope
) -> None:
    found = await check(message, env, broken=broken)
    assert found.results.dmarc in ("pass", "fail")


async def test_the_worst_of_several_authors_counts() -> None:
    found = await check(signed(), authors=["evil.test", AUTHOR])
    assert found.results.dmarc == "none"  # of evil.test, which publishes nothing
    found = await check(env=envelope("x@evil.test"), authors=["evil.test", AUTHOR])
    assert (found.results.dmarc, found.results.dmarc_policy) == ("fail", "reject")


async def test_too_many_authors_are_refuted_without_asking_for_each() -> None:
    authors = [f"a{number}.test" for number in range(MAX_AUTHORS + 1)]
    gate = checker()
    found = await gate.check(envelope(), header_of(MESSAGE), body_of(MESSAGE), authors)
    assert found.results.dmarc == "fail"
    assert isinstance(gate.resolver, FakeResolver)
    asked = {name for name, _ in gate.resolver.asked if name.startswith("_dmarc.a")}
    assert len(asked) == MAX_AUTHORS


@pytest.mark.parametrize("authors", [[], [""], ["not a domain"], ["localhost"]])
async def test_an_author_that_is_no_domain_has_nobody_to_ask(authors: list[str]) -> None:
    found = await check(authors=authors)
    assert (found.results.dmarc, found.contribution) == ("none", None)


async def test_an_author_in_other_letters_is_asked_for_in_one_form() -> None:
    found = await check(signed(), authors=["SO.tinhmau.gov.vn", AUTHOR])
    assert found.field.count(b"dmarc=") == 1


async def test_the_operator_may_not_apply_a_policy() -> None:
    found = await check(env=envelope("x@evil.test"), overridden=(AUTHOR.upper(),))
    assert (found.results.dmarc, found.results.dmarc_override) == ("fail", "local-policy")
    assert found.contribution is not None
    assert found.contribution.reasons == (("local_policy", ""),)
    waiting = await check(broken=["_dmarc.so.tinhmau.gov.vn"], overridden=(AUTHOR,))
    assert waiting.results.dmarc == "temperror"


async def test_gateways_and_a_switch_that_is_off() -> None:
    networks = (ip_network("192.0.2.0/24"),)
    for found in (await check(signed(), exempt=networks), await check(signed(), enabled=False)):
        assert found.results == facts.Authentication()
        assert found.field == b"Authentication-Results: mail.vidu.gov.vn; none\r\n" or (
            found.field == b"Authentication-Results: mail.vidu.gov.vn;\r\n\tnone\r\n"
        )


async def test_hostile_names_stay_in_their_fields() -> None:
    helo = "x\r\nSubject: forged (\x00"
    env = Envelope(
        direction="inbound",
        mail_from=Address.parse('"a\\"; dmarc=pass (x"@evil.test'),
        recipients=(),
        client=Client(ip="192.0.2.7", helo=helo),
    )
    found = await check(env=env)
    for line in found.field.decode("ascii").removesuffix("\r\n").split("\r\n"):
        assert line.startswith(("\t", "Authentication-Results: ", "Received-SPF: "))
    assert b"dmarc=fail header.from" in found.field
    assert found.field.count(b"\r\n\tdmarc=") == 1


AAR = b" i=1; lists.test; spf=fail; dmarc=pass (p=reject) header.from=so.tinhmau.gov.vn\r\n"


@pytest.mark.parametrize(
    ("chain", "trusted", "wanted"),
    [
        (ArcResult("pass", sealers=("lists.test",), results=(AAR,)), ("lists.test",), True),
        (ArcResult("pass", sealers=("a.lists.test",), results=(AAR,)), ("LISTS.test",), True),
        (ArcResult("pass", sealers=("lists.test",), results=(AAR,)), ("other.test",), False),
        (ArcResult("fail", sealers=("lists.test",), results=(AAR,)), ("lists.test",), False),
        (
            ArcResult("pass", sealers=("lists.test", "evil.test"), results=(AAR, AAR)),
            ("lists.test",),
            False,
        ),
        (
            ArcResult("pass", sealers=("evil.test", "lists.test"), results=(AAR, b" i=2; x; none")),
            ("lists.test",),
            False,
        ),
        (
            ArcResult("pass", sealers=("lists.test", "lists.test"), results=(AAR, b" i=2; x")),
            ("lists.test",),
            True,
        ),
        (
            ArcResult("pass", sealers=("lists.test",), results=(AAR.replace(b"pass", b"fail"),)),
            ("lists.test",),
            False,
        ),
        (
            ArcResult(
                "pass",
                sealers=("lists.test",),
                results=(b" i=1; x; spf=fail (; dmarc=pass header.from=so.tinhmau.gov.vn)",),
            ),
            ("lists.test",),
            False,
        ),
        (
            ArcResult(
                "pass",
                sealers=("lists.test",),
                results=(b" i=1; x; dmarc=pass header.from=evil.test",),
            ),
            ("lists.test",),
            False,
        ),
    ],
)
def test_whose_word_is_taken(chain: ArcResult, trusted: tuple[str, ...], wanted: bool) -> None:
    assert is_vouched_for(chain, AUTHOR, trusted) is wanted
