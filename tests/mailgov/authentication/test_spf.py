"""SPF beyond the published suite: time, cost, addresses with other letters, hostile records."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailgov.authentication.received_spf import received_spf_field
from mailgov.authentication.spf import SpfResult, check_spf
from mailgov.authentication.spf_macros import MacroError, read_macros
from mailgov.authentication.spf_record import RecordError, read_record
from mailgov.resolver import Lookup

from ...support.dns import FakeResolver

IP = "192.0.2.7"


def zone(**texts: str) -> FakeResolver:
    return FakeResolver(
        txt_of={name.replace("__", "."): [text.encode()] for name, text in texts.items()},
        addresses_of={"mail.a.test": [IP], "old.a.test": ["192.0.2.99"]},
        mx_of={"a.test": [(10, "mail.a.test"), (20, "old.a.test")]},
    )


async def result(
    resolver: FakeResolver, sender: str = "an@a.test", ip: str = IP, helo: str = "mail.a.test"
) -> SpfResult:
    local, _, domain = sender.rpartition("@")
    return await check_spf(ip, helo, (local, domain) if sender else None, resolver)


async def test_the_term_that_decided_is_told() -> None:
    found = await result(zone(a__test="v=spf1 a mx -all"))
    assert (found.result, found.mechanism, found.sender) == ("pass", "mx", "an@a.test")
    found = await result(zone(a__test="v=spf1 mx -all"), ip="192.0.2.8")
    assert (found.result, found.mechanism) == ("fail", "-all")


async def test_without_a_sender_the_name_in_helo_is_checked() -> None:
    resolver = FakeResolver(txt_of={"mail.a.test": [b"v=spf1 ip4:192.0.2.0/24 -all"]})
    found = await result(resolver, sender="")
    assert (found.result, found.identity) == ("pass", "helo")
    assert (found.sender, found.domain) == ("postmaster@mail.a.test", "mail.a.test")
    assert (await result(resolver, sender="", helo="[192.0.2.7]")).result == "none"
    assert (await result(resolver, sender="", helo="")).result == "none"


@pytest.mark.parametrize("ip", ["::ffff:192.0.2.7", "192.0.2.7"])
async def test_a_mapped_address_is_the_one_of_ipv4(ip: str) -> None:
    assert (await result(zone(a__test="v=spf1 ip4:192.0.2.7 -all"), ip=ip)).result == "pass"


@pytest.mark.parametrize("ip", ["", "unknown", "1.2.3"])
async def test_without_an_address_nothing_is_checked(ip: str) -> None:
    assert (await result(zone(a__test="v=spf1 +all"), ip=ip)).result == "none"


async def test_a_local_part_with_other_letters_matches_no_macro_of_it() -> None:
    """RFC 8616, 4."""
    resolver = zone(a__test="v=spf1 exists:%{l}.a.test include:b.test ~all", b__test="v=spf1 -all")
    assert (await result(resolver, sender="nguyễn@a.test")).result == "softfail"


async def test_trouble_with_dns_is_temporary() -> None:
    broken = FakeResolver(broken=frozenset({"a.test"}))
    assert (await result(broken)).result == "temperror"
    inner = FakeResolver(
        txt_of={"a.test": [b"v=spf1 include:b.test +all"]}, broken=frozenset({"b.test"})
    )
    assert (await result(inner)).result == "temperror"


@dataclass
class _Silent(FakeResolver):
    async def txt(self, name: str) -> Lookup[bytes]:
        await asyncio.Event().wait()
        raise AssertionError(name)


async def test_a_domain_that_never_answers_ends_with_the_time() -> None:
    found = await check_spf(IP, "x", ("a", "a.test"), _Silent(), seconds=0.01)
    assert (found.result, found.reason) == ("temperror", "DNS takes too long")


async def test_a_loop_of_includes_costs_ten_look_ups() -> None:
    resolver = zone(a__test="v=spf1 include:b.test", b__test="v=spf1 include:a.test")
    found = await result(resolver)
    assert (found.result, found.reason) == ("permerror", "too many look-ups")
    assert sum(resolver.asked.values()) <= 12


async def test_a_tree_of_includes_costs_ten_look_ups() -> None:
    wide = " ".join(["include:b.test"] * 9)
    resolver = zone(a__test=f"v=spf1 {wide} -all", b__test=f"v=spf1 {wide} ?all")
    assert (await result(resolver)).reason == "too many look-ups"
    assert sum(resolver.asked.values()) <= 12


@dataclass
class _Slow(FakeResolver):
    """Every answer needs all other questions to have been asked first."""

    def __post_init__(self) -> None:
        self.gate = asyncio.Barrier(10)

    async def addresses4(self, name: str) -> Lookup[object]:  # type: ignore[override]  # any will do
        await self.gate.wait()
        return Lookup()


async def test_exchangers_are_looked_up_side_by_side() -> None:
    resolver = _Slow(
        txt_of={"a.test": [b"v=spf1 mx ?all"]},
        mx_of={"a.test": [(n, f"mx{n}.a.test") for n in range(10)]},
    )
    async with asyncio.timeout(10):
        assert (await result(resolver)).result == "permerror"  # ten names that do not exist


async def test_two_records_are_an_error_and_none_is_none() -> None:
    two = FakeResolver(txt_of={"a.test": [b"v=spf1 -all", b"V=SPF1 +all"]})
    assert (await result(two)).reason == "two records"
    assert (await result(FakeResolver(txt_of={"a.test": [b"v=spf10 -all"]}))).result == "none"


@given(st.text(alphabet="%{}slodiphcrtvSLr0123456789.-+,/_= ab:", max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_text_is_macros_or_none(text: str) -> None:
    values = dict.fromkeys("slodiphcrtv", "a.b")
    try:
        read = read_macros(text, explanation=True)
    except MacroError:
        return
    read.fill(values)


@given(st.binary(max_size=80))
@settings(max_examples=200, deadline=None)
def test_any_record_is_read_or_refused(data: bytes) -> None:
    try:
        read_record(b"v=spf1 " + data)
    except RecordError:
        return


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("v=spf1 a:b.test/33", "length of a network"),
        ("v=spf1 ip4:192.0.2.1/033", "length of a network"),
        ("v=spf1 ip6:192.0.2.1", "address is not of ip6"),
        ("v=spf1 ip6:fe80::1%eth0", "ip6 needs an address"),
        ("v=spf1 exp=a.test exp=b.test", "exp stands twice"),
        ("v=spf1 all:x", "all takes no value"),
        ("v=spf1 include", "include needs a domain"),
        ("v=spf1 foo", "unknown term"),
        ("v=spf1 a:%{x}.test", "macro is not valid"),
        ("v=spf1 a:%{d0}.test", "macro is not valid"),
        ("v=spf1 a:%{t}.test", "macro is not valid"),
    ],
)
def test_what_is_wrong_with_a_record_is_said(text: str, problem: str) -> None:
    with pytest.raises(RecordError, match=problem):
        read_record(text.encode())


HOSTILE: Mapping[str, SpfResult] = {
    "sender": SpfResult("pass", "a.test", sender='a"\r\nX-Evil: 1\r\n(@a.test'),
    "explanation": SpfResult("fail", "a.test", sender="a@a.test", explanation=") X\r\nSubject: x"),
    "mechanism": SpfResult("fail", "a.test", sender="a@a.test", mechanism='"; x=y\r\nX: 1'),
    "long": SpfResult("fail", "a.test", sender="a" * 5000 + "@a.test"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_value_leaves_its_place_in_the_field(name: str) -> None:
    field = received_spf_field(HOSTILE[name], "mail.b.test", IP, "he\r\nlo (\x00")
    lines = field.decode("ascii").split("\r\n")
    assert lines.pop() == ""
    assert lines[0].startswith("Received-SPF: ")
    assert all(line.startswith("\t") and len(line) < 900 for line in lines[1:])
    comment = lines[0].partition("(")[2]
    assert comment.endswith(")")
    assert not set("()") & set(comment[:-1])


def test_the_field_says_what_the_check_went_by() -> None:
    found = SpfResult("softfail", "a.test", sender="an@a.test", mechanism="~all")
    field = received_spf_field(found, "mail.b.test", IP, "host.a.test").decode()
    assert field == (
        "Received-SPF: softfail (mail.b.test: domain of an@a.test hardly designates 192.0.2.7"
        " as permitted sender)\r\n"
        '\treceiver="mail.b.test";\r\n\tclient-ip="192.0.2.7";\r\n'
        '\tenvelope-from="an@a.test";\r\n\thelo="host.a.test";\r\n'
        '\tidentity="mailfrom";\r\n\tmechanism="~all";\r\n'
    )
