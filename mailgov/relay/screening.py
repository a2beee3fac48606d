"""What strangers must pass before their mail is looked at: block lists and the greylist.

Each is off unless it is set. Trusted hosts and users never come here.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable
from ipaddress import IPv4Network

from mailgov import config
from mailgov.addresses import Address
from mailgov.errors import Unavailable
from mailgov.logs import logger
from mailgov.relay.limits import Allowance, IPAddress, network_of
from mailgov.relay.ports import Records
from mailgov.resolver import Resolver

# What lists answer: RFC 5782, 2.1; the last /24 tells of errors, such as a resolver they don't serve.
_LISTED = IPv4Network("127.0.0.0/8")
_ERRORS = IPv4Network("127.255.255.0/24")

_GREYLISTED_PER_HOUR = 3600  # looked up and written for one network

log = logger("relay")


class Screening:
    """The checks that are set."""

    def __init__(
        self,
        settings: config.Screening,
        resolver: Resolver,
        records: Records,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self._resolver = resolver
        self._records = records
        self._writes = Allowance(_GREYLISTED_PER_HOUR, 3600.0)
        self._now = now

    async def listed(self, ip: IPAddress) -> str:
        """The first zone, in order of the setting, that lists the address; empty when none does."""
        zones = self.settings.dnsbl
        answers = await asyncio.gather(*(self._is_listed(ip, zone) for zone in zones))
        return next((zone for zone, found in zip(zones, answers, strict=True) if found), "")

    async def _is_listed(self, ip: IPAddress, zone: str) -> bool:
        try:
            found = await self._resolver.addresses(f"{_reversed(ip)}.{zone}")
        except Unavailable as exc:
            # The verdict does not rest on it: who passes is looked at like everybody else.
            log.warning("dnsbl.unavailable", zone=zone, why=str(exc))
            return False
        if any(record in _ERRORS for record in found.records):
            log.warning("dnsbl.refuses", zone=zone)
            return False
        return any(record in _LISTED for record in found.records)

    async def may_pass(self, ip: IPAddress, sender: Address | None, recipient: Address) -> bool:
        """Whether the greylist lets a message by. Raises Unavailable."""
        if not self.settings.greylist:
            return True
        network = network_of(ip)
        if not self._writes.spend(network, self._now()):
            return False  # a flood of made-up senders is not written down
        triplet = "\0".join([network.hex(), sender.key if sender else "", recipient.key])
        return await self._records.has_come_back(
            hashlib.sha256(network).digest(), hashlib.sha256(triplet.encode()).digest()
        )


def _reversed(ip: IPAddress) -> str:
    """The address as lists are asked for it (RFC 5782, 2.1 and 2.4)."""
    return ip.reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")
