"""Which servers take the mail of a domain, in which order (RFC 5321, 5.1)."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from mailgov.errors import DeliveryRefused
from mailgov.resolver import IpAddress, Lookup, Mx, Resolver

MAX_EXCHANGERS = 10
"""More than these of one domain are not looked at."""


@dataclass(frozen=True, slots=True)
class Hop:
    """A server: its name, and what to connect to, best first."""

    host: str
    addresses: tuple[str, ...]


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
        exchangers = self._ordered(await self._exchangers(domain))
        looked_up = await asyncio.gather(
            *(self.resolver.addresses(mx.exchange) for mx in exchangers), return_exceptions=True
        )
        hops: list[tuple[int, Hop]] = []
        trouble: BaseException | None = None
        for mx, answer in zip(exchangers, looked_up, strict=True):
            if isinstance(answer, BaseException):
                trouble = answer
            elif self._is_us(mx, answer):
                # Servers of our own rank or lower would send it back to us.
                hops = [(rank, hop) for rank, hop in hops if rank < mx.preference]
                if not hops:
                    raise DeliveryRefused("domain-routes-to-us", domain=domain)
                break
            elif targets := self._targets(answer.records):
                hops.append((mx.preference, Hop(mx.exchange, targets)))
        if hops:
            return [hop for _, hop in hops]
        if trouble is not None:
            raise trouble
        raise DeliveryRefused("domain-without-servers", domain=domain)

    async def _exchangers(self, domain: str) -> list[Mx]:
        answer = await self.resolver.mx(domain)
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
        """The addresses that a name in somebody's zone may make us connect to."""
        return tuple(str(a) for a in addresses if self.allow_loopback or not _is_of_this_host(a))


def _is_of_this_host(address: IpAddress) -> bool:
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return (
        address.is_loopback
        or address.is_unspecified
        or address.is_multicast
        or address.is_link_local
    )


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
