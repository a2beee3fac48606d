"""SPF: whether a host may send in the name of an envelope sender's domain (RFC 7208).

Asynchronous over the shared resolver, so that a stranger's slow name servers occupy no thread.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Literal, TypeVar

from mailgov.addresses import parse_domain
from mailgov.authentication.spf_macros import MacroError, MacroString, as_name, read_macros
from mailgov.authentication.spf_record import (
    Mechanism,
    RecordError,
    SpfRecord,
    find_records,
    read_record,
)
from mailgov.errors import InputError, Unavailable
from mailgov.resolver import Lookup, Resolver
from mailgov.signing.results import MethodResult

MAX_LOOKUPS = 10  # RFC 7208, 4.6.4
MAX_VOID_LOOKUPS = 2
MAX_NAMES = 10  # exchangers of a domain, names of an address
MAX_SECONDS = 15.0
_MAX_EXPLANATION_SIGNS = 200

Spf = Literal["none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"]
IpAddress = IPv4Address | IPv6Address
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class SpfResult:
    """What became of the check. `domain` is whose record was asked, in its one form."""

    result: Spf
    domain: str = ""
    identity: Literal["mailfrom", "helo"] = "mailfrom"
    sender: str = ""  # the address that was checked
    reason: str = ""  # for errors: what is wrong
    mechanism: str = ""  # the term that decided
    explanation: str = ""  # what the domain says to those it refuses; a stranger's words

    def as_method(self) -> MethodResult:
        """For the Authentication-Results field."""
        checked = self.sender if self.identity == "mailfrom" else self.domain
        prop = "smtp.mailfrom" if self.identity == "mailfrom" else "smtp.helo"
        return MethodResult("spf", self.result, ((prop, checked),), self.reason)


@dataclass(frozen=True, slots=True)
class Session:
    """What is known of the host that sends."""

    ip: IpAddress
    helo: str
    local: str  # of the sender
    sender_domain: str
    receiver: str = "unknown"
    moment: int = 0  # seconds of Unix time


class _Ended(Exception):
    """The check ends with an error, whatever follows in the record."""

    def __init__(self, result: Literal["temperror", "permerror"], reason: str) -> None:
        super().__init__(reason)
        self.result: Literal["temperror", "permerror"] = result
        self.reason = reason


async def check_spf(
    ip: str,
    helo: str,
    mail_from: tuple[str, str] | None,
    resolver: Resolver,
    *,
    receiver: str = "unknown",
    moment: int = 0,
    seconds: float = MAX_SECONDS,
) -> SpfResult:
    """Check the envelope sender, or the HELO name where there is none (2.4).

    `mail_from` is local part and domain. Raises nothing: trouble with DNS is `temperror`.
    """
    identity: Literal["mailfrom", "helo"] = "mailfrom" if mail_from else "helo"
    local, said = mail_from or ("postmaster", helo)
    try:
        domain = _checked_domain(said)
        address = _plain(ip_address(ip.partition("%")[0]))
    except (InputError, ValueError):
        return SpfResult("none", identity=identity, reason="no domain to ask")  # 4.3
    session = Session(address, helo, local or "postmaster", domain, receiver, moment)
    check = _Check(session, resolver)
    try:
        async with asyncio.timeout(seconds):
            found = await check.host(domain, explain=True)
    except _Ended as end:
        found = SpfResult(end.result, domain, reason=end.reason)
    except TimeoutError:
        found = SpfResult("temperror", domain, reason="DNS takes too long")
    return replace(found, domain=domain, identity=identity, sender=f"{session.local}@{domain}")


def _checked_domain(said: str) -> str:
    """The domain to ask. Raises InputError: also for names that are none (4.3).

    Labels that only DNS allows, such as `_spf`, may stand in front.
    """
    head, _, _ = said.partition(".")
    return parse_domain(said) if not head.startswith("_") else _with_underscores(said)


def _with_underscores(said: str) -> str:
    head, _, rest = said.lower().partition(".")
    if len(head) > 63 or not head.replace("_", "").replace("-", "").isalnum():
        raise InputError("domain-not-valid", domain=said[:255])
    return f"{head}.{parse_domain(rest)}"


def _plain(address: IpAddress) -> IpAddress:
    return getattr(address, "ipv4_mapped", None) or address


@dataclass(slots=True)
class _Check:
    """One check and what it has spent."""

    session: Session
    resolver: Resolver
    lookups: int = 0
    void_lookups: int = 0
    _validated: dict[str, tuple[str, ...]] = field(default_factory=dict)

    async def host(self, domain: str, *, explain: bool = False) -> SpfResult:
        """check_host() of RFC 7208, 4. Raises _Ended."""
        record = await self._record(domain)
        if record is None:
            return SpfResult("none", domain)
        for mechanism in record.mechanisms:
            if await self._matches(mechanism, domain):
                said = ""
                if explain and mechanism.effect == "fail" and record.explanation:
                    said = await self._explanation(record.explanation, domain)
                return SpfResult(
                    mechanism.effect, domain, mechanism=mechanism.text, explanation=said
                )
        if record.redirect is None:
            return SpfResult("neutral", domain)
        self._spend()
        target = await self._name(record.redirect, domain)
        found = await self.host(target, explain=explain) if target else SpfResult("none")
        if found.result == "none":
            raise _Ended("permerror", "redirect leads to no record")
        return found

    async def _record(self, domain: str) -> SpfRecord | None:
        answer = await self._ask(self.resolver.txt(domain))
        found = find_records(answer.records)
        if len(found) > 1:
            raise _Ended("permerror", "two records")
        try:
            return read_record(found[0]) if found else None
        except RecordError as exc:
            raise _Ended("permerror", str(exc)) from None

    async def _matches(self, mechanism: Mechanism, domain: str) -> bool:
        match mechanism.kind:
            case "all":
                return True
            case "ip4" | "ip6":
                assert mechanism.network is not None
                return self.session.ip in mechanism.network
        self._spend()
        target = await self._name(mechanism.domain, domain) if mechanism.domain else domain
        if target is None:
            return False  # RFC 8616, 4: a local part that has no form in ASCII
        match mechanism.kind:
            case "include":
                return await self._included(target)
            case "a":
                return await self._has_address(target, mechanism)
            case "mx":
                return await self._is_exchanger(target, mechanism)
            case "ptr":
                names = await self._validated_names()
                return any(name == target or name.endswith(f".{target}") for name in names)
            case _:
                answer = await self._ask(self.resolver.addresses4(target))  # 5.7: A, always
                return bool(self._counted(answer).records)

    async def _included(self, target: str) -> bool:
        found = await self.host(target)
        if found.result == "none":
            raise _Ended("permerror", "include leads to no record")  # 5.2
        return found.result == "pass"

    async def _has_address(self, name: str, mechanism: Mechanism) -> bool:
        ip = self.session.ip
        length = mechanism.ip4_length if ip.version == 4 else mechanism.ip6_length
        answer = self._counted(await self._addresses(name))
        return any(ip in ip_network((one, length), strict=False) for one in answer.records)

    async def _is_exchanger(self, name: str, mechanism: Mechanism) -> bool:
        answer = self._counted(await self._ask(self.resolver.mx(name)))
        if len(answer.records) > MAX_NAMES:
            raise _Ended("permerror", "too many exchangers")  # 4.6.4
        names = [one.exchange for one in sorted(answer.records) if one.exchange]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._outcome(one, mechanism)) for one in names]
        for task in tasks:
            found = task.result()
            if isinstance(found, _Ended):
                raise found
            if found:
                return True
        return False

    async def _outcome(self, name: str, mechanism: Mechanism) -> bool | _Ended:
        """As an exception an error of one name would cancel the look-ups of those before it."""
        try:
            return await self._has_address(name, mechanism)
        except _Ended as end:
            return end

    async def _validated_names(self) -> tuple[str, ...]:
        """Names of the address that lead back to it (5.5); none where DNS is in trouble."""
        if "names" not in self._validated:
            try:
                found = await self.resolver.names(str(self.session.ip))
            except Unavailable:
                return ()
            names = self._counted(found).records[:MAX_NAMES]
            back = await asyncio.gather(*(self._leads_back(name) for name in names))
            self._validated["names"] = tuple(
                name.lower() for name, is_so in zip(names, back, strict=True) if is_so
            )
        return self._validated["names"]

    async def _leads_back(self, name: str) -> bool:
        try:
            return self.session.ip in (await self._addresses(name)).records
        except _Ended:
            return False

    async def _addresses(self, name: str) -> Lookup[IpAddress]:
        ask = self.resolver.addresses4 if self.session.ip.version == 4 else self.resolver.addresses6
        return await self._ask(ask(name))

    async def _explanation(self, spec: MacroString, domain: str) -> str:
        """What the domain tells those it refuses (6.2); nothing when anything is wrong with it."""
        try:
            target = await self._name(spec, domain)
            texts = (await self.resolver.txt(target)).records if target else ()
            if len(texts) != 1:
                return ""
            words = read_macros(texts[0].decode("ascii"), explanation=True)
            return words.fill(await self._values(words, domain))[:_MAX_EXPLANATION_SIGNS]
        except (Unavailable, MacroError, UnicodeDecodeError):
            return ""

    async def _name(self, spec: MacroString, domain: str) -> str | None:
        if spec.letters & {"s", "l"} and not self.session.local.isascii():
            return None
        return as_name(spec.fill(await self._values(spec, domain)))

    async def _values(self, spec: MacroString, domain: str) -> dict[str, str]:
        session = self.session
        values = {
            "s": f"{session.local}@{session.sender_domain}",
            "l": session.local,
            "o": session.sender_domain,
            "d": domain,
            "i": _dotted(session.ip),
            "v": "in-addr" if session.ip.version == 4 else "ip6",
            "h": session.helo,
            "c": str(session.ip),
            "r": session.receiver,
            "t": str(session.moment),
            "p": "unknown",
        }
        if "p" in spec.letters:
            values["p"] = _chosen(await self._validated_names(), domain)
        return values

    def _spend(self) -> None:
        self.lookups += 1
        if self.lookups > MAX_LOOKUPS:
            raise _Ended("permerror", "too many look-ups")

    def _counted(self, answer: Lookup[_T]) -> Lookup[_T]:
        if not answer.records:
            self.void_lookups += 1
            if self.void_lookups > MAX_VOID_LOOKUPS:
                raise _Ended("permerror", "too many names that do not exist")
        return answer

    async def _ask(self, question: Awaitable[Lookup[_T]]) -> Lookup[_T]:
        try:
            return await question
        except Unavailable as exc:
            raise _Ended("temperror", "DNS does not answer") from exc


def _dotted(ip: IpAddress) -> str:
    """RFC 7208, 7.3: IPv6 as single hexadecimal digits."""
    return str(ip) if ip.version == 4 else ".".join(f"{int(ip):032X}")


def _chosen(names: tuple[str, ...], domain: str) -> str:
    """The name that `p` stands for: the domain itself, one below it, any (7.3)."""
    if domain in names:
        return domain
    below = next((name for name in names if name.endswith(f".{domain}")), "")
    return below or next(iter(names), "unknown")
