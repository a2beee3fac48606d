"""DNS without a network: a resolver from a table, and a small server for the real one."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from mailgov.errors import Unavailable
from mailgov.resolver import IpAddress, Lookup, Mx, Srv, Tlsa


@dataclass
class FakeResolver:
    """Answers from tables, keyed by lower-case names. Names in no table do not exist.

    A name in `broken` is one whose servers do not answer.
    """

    mx_of: Mapping[str, Iterable[tuple[int, str]]] = field(default_factory=dict)
    txt_of: Mapping[str, Iterable[bytes]] = field(default_factory=dict)
    addresses_of: Mapping[str, Iterable[str]] = field(default_factory=dict)
    names_of: Mapping[str, Iterable[str]] = field(default_factory=dict)
    broken: frozenset[str] = frozenset()
    srv_of: Mapping[str, Iterable[tuple[int, int, int, str]]] = field(default_factory=dict)
    tlsa_of: Mapping[str, Iterable[Tlsa]] = field(default_factory=dict)
    alias_of: Mapping[str, Iterable[str]] = field(default_factory=dict)
    secure: frozenset[str] = frozenset()  # names whose answers are validated
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)

    def _exists(self, name: str, kind: str = "any") -> bool:
        self.asked[name, kind] += 1
        if name in self.broken:
            raise Unavailable("resolver-unavailable", name=name, type=kind, reason="ServFail")
        tables = (
            self.mx_of, self.txt_of, self.addresses_of, self.names_of,
            self.srv_of, self.tlsa_of, self.alias_of,
        )  # fmt: skip
        return any(name in table for table in tables)

    async def mx(self, domain: str) -> Lookup[Mx]:
        """Mail exchangers."""
        exists = self._exists(domain, "MX")
        rows = tuple(Mx(*row) for row in self.mx_of.get(domain, ()))
        return Lookup(rows, exists, secure=domain in self.secure)

    async def txt(self, name: str) -> Lookup[bytes]:
        """Text records."""
        name = name.lower()
        return Lookup(exists=self._exists(name, "TXT"), records=tuple(self.txt_of.get(name, ())))

    async def addresses(self, name: str) -> Lookup[IpAddress]:
        """Addresses."""
        exists = self._exists(name, "A")
        rows = tuple(ip_address(text) for text in self.addresses_of.get(name, ()))
        return Lookup(rows, exists, secure=name in self.secure)

    async def addresses4(self, name: str) -> Lookup[IpAddress]:
        """IPv4 addresses."""
        found = await self.addresses(name)
        return Lookup(tuple(one for one in found.records if one.version == 4), found.exists)

    async def addresses6(self, name: str) -> Lookup[IpAddress]:
        """IPv6 addresses."""
        found = await self.addresses(name)
        return Lookup(tuple(one for one in found.records if one.version == 6), found.exists)

    async def names(self, address: str) -> Lookup[str]:
        """Host names of an address."""
        return Lookup(
            exists=self._exists(address, "PTR"), records=tuple(self.names_of.get(address, ()))
        )

    async def srv(self, name: str) -> Lookup[Srv]:
        """Servers of a service."""
        exists = self._exists(name, "SRV")
        return Lookup(tuple(Srv(*row) for row in self.srv_of.get(name, ())), exists)

    async def tlsa(self, name: str) -> Lookup[Tlsa]:
        """Certificates of a server."""
        exists = self._exists(name, "TLSA")
        return Lookup(tuple(self.tlsa_of.get(name, ())), exists, secure=name in self.secure)

    async def alias(self, name: str) -> Lookup[str]:
        """What the name is an alias of."""
        return Lookup(
            exists=self._exists(name, "CNAME"), records=tuple(self.alias_of.get(name, ()))
        )


@dataclass
class StubServer:
    """A DNS server on loopback. `zone` maps (name, type) to records in their text form.

    Names in `failing` get SERVFAIL, names in `silent` no answer; `asked` counts questions.
    """

    zone: Mapping[tuple[str, str], list[str]]
    failing: frozenset[str] = frozenset()
    silent: frozenset[str] = frozenset()
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)
    address: str = ""
    validates: bool = False  # claims that answers were validated

    def _answer(self, name: str, kind: str) -> list[dns.rrset.RRset]:
        """Records of that kind, aliases followed as a resolver does, loops included."""
        answer: list[dns.rrset.RRset] = []
        for _ in range(10):
            if records := self.zone.get((name, kind)):
                return [*answer, dns.rrset.from_text(f"{name}.", 300, "IN", kind, *records)]
            alias = self.zone.get((name, "CNAME"))
            if alias is None:
                break
            answer.append(dns.rrset.from_text(f"{name}.", 300, "IN", "CNAME", *alias))
            name = alias[0].rstrip(".").lower()
        return answer

    def reply(self, wire: bytes) -> bytes | None:
        """The reply to one question."""
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked[name, kind] += 1
        if name in self.silent:
            return None
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA | (dns.flags.AD if self.validates else 0)
        if name in self.failing:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif answer := self._answer(name, kind):
            response.answer += answer
        elif not any(known == name for known, _ in self.zone):
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response.to_wire()


class _Protocol(asyncio.DatagramProtocol):
    def __init__(self, server: StubServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = self._server.reply(data)
        if reply is not None:
            self._transport.sendto(reply, addr)


@asynccontextmanager
async def serving(server: StubServer) -> AsyncIterator[StubServer]:
    """The server on a free port; its `address` is a value for the setting `dns.nameservers`."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Protocol(server), local_addr=("127.0.0.1", 0)
    )
    host, port = transport.get_extra_info("sockname")
    server.address = f"{host}:{port}"
    try:
        yield server
    finally:
        transport.close()
