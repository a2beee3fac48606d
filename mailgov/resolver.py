"""DNS for everyone: one cache, one query at a time per question, one limit of time.

A name without records, or that does not exist, is an answer; only trouble is an error.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Generic, Protocol, TypeVar

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver
import dns.reversename

from mailgov.config import Dns
from mailgov.errors import ConfigError, Unavailable

T = TypeVar("T")
IpAddress = IPv4Address | IPv6Address

_PORT = 53
_CACHED_ANSWERS = 20_000
_UDP_OCTETS = 1232  # fits every path unfragmented


@dataclass(frozen=True, slots=True)
class Lookup(Generic[T]):
    """The records of a name; `exists` tells no records of this type from no such name."""

    records: tuple[T, ...] = ()
    exists: bool = True
    secure: bool = False  # validated by a resolver that we trust to say so


@dataclass(frozen=True, slots=True, order=True)
class Mx:
    """A mail exchanger. `exchange` is in lower case without a final dot; empty is the root."""

    preference: int
    exchange: str


@dataclass(frozen=True, slots=True, order=True)
class Srv:
    """A server of a service (RFC 2782). `target` is as an exchange's; empty: not offered."""

    priority: int
    weight: int
    port: int
    target: str


@dataclass(frozen=True, slots=True, order=True)
class Tlsa:
    """Which certificate a server has (RFC 6698, 2.1)."""

    usage: int
    selector: int
    matching: int
    data: bytes


class Resolver(Protocol):
    """Look-ups. Every method raises Unavailable `resolver-unavailable` when DNS gives no answer."""

    async def mx(self, domain: str) -> Lookup[Mx]:
        """Mail exchangers, in no order."""

    async def txt(self, name: str) -> Lookup[bytes]:
        """Text records, the strings of each joined."""

    async def addresses(self, name: str) -> Lookup[IpAddress]:
        """IPv6 and IPv4 addresses."""

    async def addresses4(self, name: str) -> Lookup[IpAddress]:
        """IPv4 addresses alone."""

    async def addresses6(self, name: str) -> Lookup[IpAddress]:
        """IPv6 addresses alone."""

    async def names(self, address: str) -> Lookup[str]:
        """Host names of an address, from its reverse zone."""

    async def srv(self, name: str) -> Lookup[Srv]:
        """Servers of a service, in no order."""

    async def tlsa(self, name: str) -> Lookup[Tlsa]:
        """What certificates a server may have; only to be believed where `secure`."""

    async def alias(self, name: str) -> Lookup[str]:
        """What the name is an alias of (CNAME)."""


class DnsResolver:
    """The resolver of production, over the servers of the setting or of the system."""

    def __init__(self, settings: Dns) -> None:
        self._timeout = settings.timeout_seconds
        self._resolver = dns.asyncresolver.Resolver(configure=False)
        self._resolver.lifetime = settings.timeout_seconds
        self._resolver.cache = dns.resolver.LRUCache(_CACHED_ANSWERS)
        # AD in a query asks for AD in the reply, without the signatures (RFC 6840, 5.7).
        self._resolver.set_flags(dns.flags.RD | dns.flags.AD)
        self._resolver.use_edns(0, 0, _UDP_OCTETS)
        self._resolver.nameservers = [
            _nameserver(text) for text in settings.nameservers
        ] or _of_the_system()
        self._running: dict[tuple[str, str], asyncio.Task[Lookup[Any]]] = {}

    async def mx(self, domain: str) -> Lookup[Mx]:
        """Mail exchangers, in no order."""
        return await self._ask(domain, "MX", _mx)

    async def txt(self, name: str) -> Lookup[bytes]:
        """Text records, the strings of each joined."""
        return await self._ask(name, "TXT", lambda record: b"".join(record.strings))

    async def addresses(self, name: str) -> Lookup[IpAddress]:
        """IPv6 and IPv4 addresses; those of one kind are enough when the other can't be had."""
        answers = await asyncio.gather(
            self._ask(name, "AAAA", _address),
            self._ask(name, "A", _address),
            return_exceptions=True,
        )
        found = [answer for answer in answers if not isinstance(answer, BaseException)]
        records = tuple(record for answer in found for record in answer.records)
        for answer in answers:
            if isinstance(answer, BaseException) and not records:
                raise answer
        secure = len(found) == len(answers) and all(answer.secure for answer in found)
        return Lookup(records, exists=any(answer.exists for answer in found), secure=secure)

    async def addresses4(self, name: str) -> Lookup[IpAddress]:
        """IPv4 addresses alone."""
        return await self._ask(name, "A", _address)

    async def addresses6(self, name: str) -> Lookup[IpAddress]:
        """IPv6 addresses alone."""
        return await self._ask(name, "AAAA", _address)

    async def srv(self, name: str) -> Lookup[Srv]:
        """Servers of a service, in no order."""
        return await self._ask(name, "SRV", _srv)

    async def tlsa(self, name: str) -> Lookup[Tlsa]:
        """What certificates a server may have."""
        return await self._ask(name, "TLSA", _tlsa)

    async def alias(self, name: str) -> Lookup[str]:
        """What the name is an alias of."""
        return await self._ask(name, "CNAME", lambda record: _plain(record.target))

    async def names(self, address: str) -> Lookup[str]:
        """Host names of an address, from its reverse zone."""
        return await self._ask(
            str(dns.reversename.from_address(address)), "PTR", lambda record: _plain(record.target)
        )

    async def _ask(self, name: str, kind: str, read: Callable[[Any], T]) -> Lookup[T]:
        """Ask once, however many want to know; nobody's leaving disturbs the others."""
        key = (name.lower(), kind)
        task = self._running.get(key)
        if task is None:
            task = asyncio.create_task(self._query(name, kind, read))
            self._running[key] = task
            task.add_done_callback(lambda done: self._finished(key, done))
        return await asyncio.shield(task)

    def _finished(self, key: tuple[str, str], task: "asyncio.Task[Lookup[Any]]") -> None:
        del self._running[key]
        if not task.cancelled():
            task.exception()  # seen, even if everyone who asked has left

    async def _query(self, name: str, kind: str, read: Callable[[Any], T]) -> Lookup[T]:
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._resolver.resolve(
                    name, kind, raise_on_no_answer=False, search=False
                )
        except dns.resolver.NXDOMAIN:
            return Lookup(exists=False)
        except _BAD_NAME:
            return Lookup(exists=False)
        except (dns.exception.DNSException, OSError, TimeoutError) as exc:
            raise Unavailable(
                "resolver-unavailable", name=name, type=kind, reason=type(exc).__name__
            ) from exc
        records: Iterable[Any] = answer.rrset if answer.rrset is not None else ()
        return Lookup(tuple(read(record) for record in records), secure=is_secure(answer))


def is_secure(answer: dns.resolver.Answer) -> bool:
    """Whether it was validated: anyone between us and a resolver elsewhere could claim that."""
    said = answer.response.flags & dns.flags.AD
    return bool(said) and _is_loopback(answer.nameserver)


# What strangers call a name, in a signature for instance, need not be one.
_BAD_NAME = (
    dns.name.BadEscape,
    dns.name.EmptyLabel,
    dns.name.IDNAException,
    dns.name.LabelTooLong,
    dns.name.NameTooLong,
)


def _of_the_system() -> list[Any]:
    try:
        return list(dns.resolver.Resolver().nameservers)
    except dns.resolver.NoResolverConfiguration:
        return []  # every look-up then says that DNS can't be asked


def _nameserver(text: str) -> dns.nameserver.Do53Nameserver:
    """Read `address`, `address:port` or `[address]:port`."""
    host, port = text, str(_PORT)
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":") or port
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    try:
        return dns.nameserver.Do53Nameserver(str(ip_address(host)), int(port))
    except ValueError as exc:
        raise ConfigError(
            "config-not-valid",
            file="dns.nameservers",
            problems=f"`{text}`: expected address[:port]",
        ) from exc


def _mx(record: Any) -> Mx:
    return Mx(record.preference, _plain(record.exchange))


def _address(record: Any) -> IpAddress:
    return ip_address(record.address)


def _srv(record: Any) -> Srv:
    return Srv(record.priority, record.weight, record.port, _plain(record.target))


def _tlsa(record: Any) -> Tlsa:
    return Tlsa(record.usage, record.selector, record.mtype, record.cert)


def _is_loopback(nameserver: str | None) -> bool:
    try:
        return ip_address(nameserver or "").is_loopback
    except ValueError:
        return False


def _plain(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower().removesuffix(".")
