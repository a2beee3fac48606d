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
from mailgov.resolver import IpAddress, Lookup, Mx


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

    def _exists(self, name: str) -> bool:
        if name in self.broken:
            raise Unavailable("resolver-unavailable", name=name, type="any", reason="ServFail")
        return name in {*self.mx_of, *self.txt_of, *self.addresses_of, *self.names_of}

    async def mx(self, domain: str) -> Lookup[Mx]:
        """Mail exchangers."""
        exists = self._exists(domain)
        return Lookup(tuple(Mx(*row) for row in self.mx_of.get(domain, ())), exists)

    async def txt(self, name: str) -> Lookup[bytes]:
        """Text records."""
        name = name.lower()
        return Lookup(exists=self._exists(name), records=tuple(self.txt_of.get(name, ())))

    async def addresses(self, name: str) -> Lookup[IpAddress]:
        """Addresses."""
        exists = self._exists(name)
        return Lookup(tuple(ip_address(text) for text in self.addresses_of.get(name, ())), exists)

    async def names(self, address: str) -> Lookup[str]:
        """Host names of an address."""
        return Lookup(exists=self._exists(address), records=tuple(self.names_of.get(address, ())))


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
        response.flags |= dns.flags.RA
        if name in self.failing:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif records := self.zone.get((name, kind)):
            response.answer.append(dns.rrset.from_text(question.name, 300, "IN", kind, *records))
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
