"""The way to a domain, case by case of RFC 5321, section 5.1."""

from collections.abc import AsyncIterator
from ipaddress import ip_address

import pytest

from mailgov.config import Dns
from mailgov.delivery.mx import Hop, Router, is_own_address
from mailgov.errors import DeliveryRefused, Unavailable
from mailgov.resolver import DnsResolver, IpAddress, Mx

from ...support.dns import FakeResolver, StubServer, serving

OWN = ip_address("192.0.2.25")


def router(resolver: FakeResolver, *, allow_loopback: bool = False) -> Router:
    def is_own(address: IpAddress) -> bool:
        return address == OWN

    return Router(resolver, "Mail.tinhmau.gov.vn", allow_loopback, is_own, list[Mx].reverse)


async def hosts(resolver: FakeResolver, domain: str = "a.vn") -> list[str]:
    return [hop.host for hop in await router(resolver).route(domain)]


async def test_the_lowest_preference_comes_first_and_chance_decides_among_equals() -> None:
    dns = FakeResolver(
        mx_of={"a.vn": [(20, "c.a.vn"), (10, "b.a.vn"), (10, "a.a.vn")]},
        addresses_of={f"{host}.a.vn": ["198.51.100.1"] for host in "abc"},
    )
    assert await hosts(dns) == ["a.a.vn", "b.a.vn", "c.a.vn"]  # reversed, then by preference


async def test_a_domain_without_mx_takes_its_own_mail() -> None:
    dns = FakeResolver(addresses_of={"a.vn": ["2001:db8::1", "198.51.100.1"]})
    assert await router(dns).route("a.vn") == [Hop("a.vn", ("2001:db8::1", "198.51.100.1"))]


async def test_with_mx_the_domain_itself_is_no_way() -> None:
    dns = FakeResolver(mx_of={"a.vn": [(10, "gone.a.vn")]}, addresses_of={"a.vn": ["198.51.100.1"]})
    with pytest.raises(DeliveryRefused, match="domain-without-servers"):
        await hosts(dns)


async def test_a_null_mx_is_a_no() -> None:
    dns = FakeResolver(mx_of={"a.vn": [(0, "")]}, addresses_of={"a.vn": ["198.51.100.1"]})
    with pytest.raises(DeliveryRefused, match="domain-takes-no-mail"):
        await hosts(dns)


async def test_no_such_domain_is_a_no() -> None:
    with pytest.raises(DeliveryRefused, match="domain-not-found"):
        await hosts(FakeResolver())


async def test_no_answer_is_no_no() -> None:
    with pytest.raises(Unavailable, match="resolver-unavailable"):
        await hosts(FakeResolver(broken=frozenset({"a.vn"})))


async def test_a_server_whose_address_is_not_known_now_is_passed_over() -> None:
    dns = FakeResolver(
        mx_of={"a.vn": [(10, "x.a.vn"), (20, "y.a.vn")]},
        addresses_of={"y.a.vn": ["198.51.100.2"]},
        broken=frozenset({"x.a.vn"}),
    )
    assert await hosts(dns) == ["y.a.vn"]


async def test_if_that_was_the_only_server_it_is_tried_again_later() -> None:
    dns = FakeResolver(mx_of={"a.vn": [(10, "x.a.vn")]}, broken=frozenset({"x.a.vn"}))
    with pytest.raises(Unavailable):
        await hosts(dns)


@pytest.mark.parametrize("us", ["mail.tinhmau.gov.vn", "alias.a.vn"])
async def test_as_a_backup_we_go_only_to_better_servers(us: str) -> None:
    dns = FakeResolver(
        mx_of={"a.vn": [(10, "x.a.vn"), (20, us), (20, "z.a.vn"), (30, "y.a.vn")]},
        addresses_of={
            "x.a.vn": ["198.51.100.1"],
            "y.a.vn": ["198.51.100.2"],
            "z.a.vn": ["198.51.100.3"],
            us: [str(OWN)],
        },
    )
    assert await hosts(dns) == ["x.a.vn"]


async def test_mail_that_would_come_back_to_us_is_refused() -> None:
    dns = FakeResolver(
        mx_of={"a.vn": [(10, "mail.tinhmau.gov.vn"), (20, "y.a.vn")]},
        addresses_of={"mail.tinhmau.gov.vn": [str(OWN)], "y.a.vn": ["198.51.100.2"]},
    )
    with pytest.raises(DeliveryRefused, match="domain-routes-to-us"):
        await hosts(dns)


LOCAL = "127.0.0.1 127.9.9.9 ::1 ::ffff:127.0.0.1 0.0.0.0 :: 224.0.0.1 169.254.169.254 fe80::1"


@pytest.mark.parametrize("address", LOCAL.split())
async def test_nobodys_zone_sends_us_to_this_host(address: str) -> None:
    dns = FakeResolver(mx_of={"a.vn": [(10, "x.a.vn")]}, addresses_of={"x.a.vn": [address]})
    with pytest.raises(DeliveryRefused, match="domain-without-servers"):
        await hosts(dns)


async def test_a_demonstration_may_deliver_to_loopback() -> None:
    dns = FakeResolver(addresses_of={"a.vn": ["127.0.0.1"]})
    assert await router(dns, allow_loopback=True).route("a.vn") == [Hop("a.vn", ("127.0.0.1",))]


def test_the_kernel_knows_which_addresses_are_ours() -> None:
    assert is_own_address(ip_address("127.0.0.1"))
    assert not is_own_address(ip_address("198.51.100.1"))


ALIASES = {
    ("alias.vn", "CNAME"): ["a.vn."],
    ("a.vn", "MX"): ["10 mx.a.vn.", "20 real.a.vn."],
    ("mx.a.vn", "CNAME"): ["real.a.vn."],
    ("real.a.vn", "A"): ["198.51.100.1"],
    ("looped.vn", "MX"): ["10 one.looped.vn."],
    ("one.looped.vn", "CNAME"): ["two.looped.vn."],
    ("two.looped.vn", "CNAME"): ["one.looped.vn."],
    ("dangling.vn", "MX"): ["10 gone.dangling.vn."],
    ("gone.dangling.vn", "CNAME"): ["nowhere.vn."],
}


@pytest.fixture
async def dns() -> AsyncIterator[DnsResolver]:
    async with serving(StubServer(ALIASES)) as server:
        yield DnsResolver(Dns(nameservers=[server.address]))


@pytest.mark.parametrize("domain", ["a.vn", "alias.vn"])
async def test_aliases_of_domains_and_servers_are_followed(dns: DnsResolver, domain: str) -> None:
    found = Router(dns, "mail.tinhmau.gov.vn", False, lambda _: False, lambda _: None)
    hops = await found.route(domain)
    assert [hop.host for hop in hops] == ["mx.a.vn", "real.a.vn"]
    assert {hop.addresses for hop in hops} == {("198.51.100.1",)}


async def test_aliases_that_lead_nowhere_end_soon(dns: DnsResolver) -> None:
    found = Router(dns, "mail.tinhmau.gov.vn", False, lambda _: False, lambda _: None)
    with pytest.raises(DeliveryRefused, match="domain-without-servers"):
        await found.route("dangling.vn")
    with pytest.raises((DeliveryRefused, Unavailable)):
        await found.route("looped.vn")
