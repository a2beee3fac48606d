"""Which servers take the mail of a domain, in which order (RFC 5321, 5.1)."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from itertools import islice, zip_longest

from mailgov.errors import DeliveryRefused
from mailgov.resolver import IpAddress, Lookup, Mx, Resolver

MAX_EXCHANGERS = 10
"""More than these of one domain are not looked at."""

MAX_ADDRESSES = 8
"""More than these of one server are not looked at."""


@dataclass(frozen=True, slots=True)
class Hop:
    """A server: its name, and what to connect to, best first."""

    host: str
    addresses: tuple[str, ...]
    secure: bool = False  # name and addresses were validated by DNSSEC


@dataclass(frozen=True, slots=True)
class Router:
    """Finds the way to a domain. `is_own` tells our own addresses, `shuffle` is chance."""

    resolver: Resolver
    hostname: str
    allow_loopback: bool
    is_own: Callable[[IpAddress], bool]
    shuffle: Callable[[list[Mx]], None]

    async def route(self, domain: str) -> list[Hop]:
        """The servers to try in order; never empty.

        Raises Unavailable when DNS gives no answer, and DeliveryRefused: `domain-not-found`,
        `domain-takes-no-mail`, `domain-without-servers`, `domain-routes-to-us`.
        """
        answer = await self.resolver.mx(domain)
        exchangers = self._ordered(self._exchangers(domain, answer))
        looked_up = await asyncio.gather(
            *(self.resolver.addresses(mx.exchange) for mx in exchangers), return_exceptions=True
        )
        hops: list[tuple[int, Hop]] = []
        trouble: BaseException | None = None
        for mx, found in zip(exchangers, looked_up, strict=True):
            if isinstance(found, BaseException):
                trouble = found
            elif self._is_us(mx, found):
                # Servers of our own rank or lower would send it back to us.
                hops = [(rank, hop) for rank, hop in hops if rank < mx.preference]
                if not hops:
                    raise DeliveryRefused("domain-routes-to-us", domain=domain)
                break
            elif targets := self._targets(found.records):
                secure = answer.secure and found.secure
                hops.append((mx.preference, Hop(mx.exchange, targets, secure)))
        if hops:
            return [hop for _, hop in hops]
        if trouble is not None:
            raise trouble
        raise DeliveryRefused("domain-without-servers", domain=domain)

    @staticmethod
    def _exchangers(domain: str, answer: Lookup[Mx]) -> list[Mx]:
        if not answer.exists:
            raise DeliveryRefused("domain-not-found", domain=domain)
        if not answer.records:
            return [Mx(0, domain)]  # RFC 5321, 5.1: the domain itself, as if it were its own MX
        named = [mx for mx in answer.records if mx.exchange]
        if not named:
            raise DeliveryRefused("domain-takes-no-mail", domain=domain)  # RFC 7505
        return named

    def _ordered(self, exchangers: list[Mx]) -> list[Mx]:
        """By preference; those of one preference share the load by chance."""
        self.shuffle(exchangers)
        return sorted(exchangers, key=lambda mx: mx.preference)[:MAX_EXCHANGERS]

    def _is_us(self, mx: Mx, answer: Lookup[IpAddress]) -> bool:
        if self.allow_loopback:
            return False
        ours = (self.is_own(a) for a in answer.records if not a.is_loopback)
        return mx.exchange == self.hostname.lower() or any(ours)

    def _targets(self, addresses: Sequence[IpAddress]) -> tuple[str, ...]:
        """The addresses that a name in somebody's zone may make us connect to.

        The families take turns, so that the want of one costs one try before the other.
        """
        good = [a for a in addresses if self.allow_loopback or not self._is_here(a)]
        sixes, fours = ([a for a in good if a.version == version] for version in (6, 4))
        mixed = (a for pair in zip_longest(sixes, fours) for a in pair if a is not None)
        return tuple(str(a) for a in islice(mixed, MAX_ADDRESSES))

    def _is_here(self, address: IpAddress) -> bool:
        return is_never_a_server(address) or self.is_own(address)


def is_never_a_server(address: IpAddress) -> bool:
    """Whether an address means this host, this link, many hosts, or none."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or _behind_nat64(address)
        if inner is not None:
            return is_never_a_server(inner)
    return (
        address.is_loopback
        or address.is_unspecified
        or address.is_multicast
        or address.is_link_local
        or address.is_reserved  # 240.0.0.0/4 with broadcast; for IPv6 all that is not assigned
        or (address.version == 4 and address in _THIS_NETWORK)
    )


_THIS_NETWORK = IPv4Network("0.0.0.0/8")  # RFC 1122, 3.2.1.3
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052, 2.1


def _behind_nat64(address: IPv6Address) -> IPv4Address | None:
    return IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None


def is_own_address(address: IpAddress) -> bool:
    """Whether the address belongs to this machine. Sends nothing.

    The kernel reaches its own addresses from themselves, and all others from another one.
    """
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(address), 9))
        except OSError:
            return False  # no way there at all
        return ip_address(probe.getsockname()[0]) == address
