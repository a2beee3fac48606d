"""DNS: no answer is not an empty answer, and a question is asked once."""

import asyncio
from ipaddress import ip_address
from types import SimpleNamespace
from typing import cast

import dns.flags
import pytest
from dns.resolver import Answer

from mailgov.config import Dns
from mailgov.errors import ConfigError, Unavailable
from mailgov.resolver import DnsResolver, Lookup, Mx, Srv, Tlsa, is_secure

from ..support.dns import StubServer, serving

ZONE = {
    ("tinhmau.gov.vn", "MX"): ["20 Mail2.tinhmau.gov.vn.", "10 mail.tinhmau.gov.vn."],
    ("khongnhan.vn", "MX"): ["0 ."],
    ("mail.tinhmau.gov.vn", "A"): ["192.0.2.1"],
    ("mail.tinhmau.gov.vn", "AAAA"): ["2001:db8::1"],
    ("chi4.tinhmau.gov.vn", "A"): ["192.0.2.4"],
    ("k._domainkey.tinhmau.gov.vn", "TXT"): ['"v=DKIM1; p=AB" "CD"'],
    ("_imaps._tcp.tinhmau.gov.vn", "SRV"): ["0 1 993 Mail.tinhmau.gov.vn."],
    ("_25._tcp.mail.tinhmau.gov.vn", "TLSA"): ["3 1 1 " + "ab" * 32],
    ("autoconfig.tinhmau.gov.vn", "CNAME"): ["mail.tinhmau.gov.vn."],
    ("1.2.0.192.in-addr.arpa", "PTR"): ["mail.tinhmau.gov.vn."],
}


def resolver(server: StubServer, seconds: float = 5) -> DnsResolver:
    return DnsResolver(Dns(nameservers=[server.address], timeout_seconds=seconds))


async def test_records_come_in_one_form() -> None:
    async with serving(StubServer(ZONE)) as server:
        names = resolver(server)
        assert set((await names.mx("tinhmau.gov.vn")).records) == {
            Mx(10, "mail.tinhmau.gov.vn"),
            Mx(20, "mail2.tinhmau.gov.vn"),
        }
        assert (await names.mx("khongnhan.vn")).records == (Mx(0, ""),)
        text = await names.txt("k._domainkey.tinhmau.gov.vn")
        assert text.records == (b"v=DKIM1; p=ABCD",)
        assert (await names.names("192.0.2.1")).records == ("mail.tinhmau.gov.vn",)
        addresses = (await names.addresses("mail.tinhmau.gov.vn")).records
        assert addresses == (ip_address("2001:db8::1"), ip_address("192.0.2.1"))


async def test_services_certificates_and_aliases() -> None:
    async with serving(StubServer(ZONE)) as server:
        names = resolver(server)
        services = await names.srv("_imaps._tcp.tinhmau.gov.vn")
        assert services.records == (Srv(0, 1, 993, "mail.tinhmau.gov.vn"),)
        certificates = await names.tlsa("_25._tcp.mail.tinhmau.gov.vn")
        assert certificates == Lookup((Tlsa(3, 1, 1, b"\xab" * 32),), secure=False)
        assert (await names.alias("autoconfig.tinhmau.gov.vn")).records == ("mail.tinhmau.gov.vn",)
        assert len((await names.addresses4("mail.tinhmau.gov.vn")).records) == 1
        assert (await names.addresses6("chi4.tinhmau.gov.vn")).records == ()


async def test_a_validating_resolver_on_this_machine_is_believed() -> None:
    async with serving(StubServer(ZONE, validates=True)) as server:
        assert (await resolver(server).tlsa("_25._tcp.mail.tinhmau.gov.vn")).secure
        assert (await resolver(server).mx("tinhmau.gov.vn")).secure


@pytest.mark.parametrize(
    ("server", "said", "believed"),
    [("127.0.0.1", True, True), ("::1", True, True), ("192.0.2.53", True, False),
     ("127.0.0.1", False, False), (None, True, False)],
)  # fmt: skip
def test_only_a_resolver_on_this_machine_is_believed(
    server: str | None, said: bool, believed: bool
) -> None:
    response = SimpleNamespace(flags=dns.flags.AD if said else 0)
    answer = cast("Answer", SimpleNamespace(response=response, nameserver=server))
    assert is_secure(answer) is believed


async def test_a_name_without_records_differs_from_no_such_name() -> None:
    async with serving(StubServer(ZONE)) as server:
        names = resolver(server)
        assert await names.mx("mail.tinhmau.gov.vn") == Lookup((), exists=True)
        assert await names.mx("khongco.gov.vn") == Lookup((), exists=False)
        assert await names.addresses("khongco.gov.vn") == Lookup((), exists=False)


async def test_what_is_no_name_does_not_exist() -> None:
    async with serving(StubServer(ZONE)) as server:
        names = resolver(server)
        for name in ("a..b", "x" * 64 + ".vn", "\\999.vn", ".".join(["nhan"] * 80)):
            assert await names.txt(name) == Lookup((), exists=False)
        assert not server.asked


async def test_a_question_asked_by_many_at_once_goes_out_once_and_is_kept() -> None:
    async with serving(StubServer(ZONE)) as server:
        names = resolver(server)
        await asyncio.gather(*(names.mx("tinhmau.gov.vn") for _ in range(50)))
        await names.mx("TINHMAU.gov.vn")
        assert server.asked == {("tinhmau.gov.vn", "MX"): 1}


async def test_one_who_leaves_takes_the_answer_from_nobody() -> None:
    async with serving(StubServer(ZONE)) as server:
        names = resolver(server)
        leaver, stayer = (asyncio.create_task(names.mx("tinhmau.gov.vn")) for _ in range(2))
        await asyncio.sleep(0)
        leaver.cancel()
        assert len((await stayer).records) == 2
        assert leaver.cancelled()


@pytest.mark.parametrize("how", ["failing", "silent"])
async def test_servers_in_trouble_are_trouble_not_an_answer(how: str) -> None:
    troubled = StubServer(ZONE)
    setattr(troubled, how, frozenset({"tinhmau.gov.vn"}))
    async with serving(troubled) as server:
        with pytest.raises(Unavailable, match="resolver-unavailable"):
            await resolver(server, seconds=0.2).mx("tinhmau.gov.vn")


async def test_addresses_of_one_kind_are_enough() -> None:
    async with serving(StubServer(ZONE)) as server:
        names = resolver(server)
        answer = await names.addresses("chi4.tinhmau.gov.vn")
        assert answer == Lookup((ip_address("192.0.2.4"),))


async def test_without_servers_nothing_is_said_to_be_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mailgov.resolver._of_the_system", list)
    with pytest.raises(Unavailable, match="resolver-unavailable"):
        await DnsResolver(Dns()).mx("tinhmau.gov.vn")


def test_a_server_is_named_by_address_and_port() -> None:
    DnsResolver(Dns(nameservers=["192.0.2.53", "192.0.2.53:5353", "2001:db8::53", "[::1]:53"]))
    with pytest.raises(ConfigError, match=r"dns.example"):
        DnsResolver(Dns(nameservers=["dns.example:53"]))
