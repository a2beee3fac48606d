"""What a domain publishes, against what it should: each record with what was found and how to mend it."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from mailgov.authentication.dmarc_record import find_record
from mailgov.authentication.spf import check_spf
from mailgov.authentication.spf_record import find_records
from mailgov.errors import Unavailable
from mailgov.resolver import Lookup, Resolver, Tlsa
from mailgov.signing.dns_check import published_keys, shows_key
from mailgov.signing.dns_records import Record

_AT_ONCE = 20


class State(StrEnum):
    """What DNS has in place of a record."""

    OK = "ok"  # the record, or one that does the same
    WARN = "warn"  # it works; more could be done
    DIFFERS = "differs"  # another record in its place
    MISSING = "missing"
    UNANSWERED = "unanswered"  # DNS gave no answer


FAULTS = frozenset({State.DIFFERS, State.MISSING})


@dataclass(frozen=True, slots=True)
class Checked:
    """A record to publish, and what DNS has under its name. `problem` names the words of its mend."""

    record: Record
    state: State
    found: tuple[str, ...] = ()
    problem: str = ""


async def check_records(
    records: Sequence[Record], resolver: Resolver, hostname: str
) -> list[Checked]:
    """Compare records with DNS, several at once; each in its place. Raises nothing."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(record: Record) -> Checked:
        async with gate:
            try:
                return await _CHECKS[record.purpose](record, resolver, hostname)
            except Unavailable:
                return Checked(record, State.UNANSWERED, (), "unanswered")

    return list(await asyncio.gather(*(one(record) for record in records)))


def _result(record: Record, found: Sequence[str], *, right: bool, problem: str = "") -> Checked:
    if right:
        return Checked(record, State.OK, tuple(found))
    if not found:
        return Checked(record, State.MISSING, (), problem or "missing")
    return Checked(record, State.DIFFERS, tuple(found), problem or "differs")


async def _texts(record: Record, resolver: Resolver) -> list[str]:
    lookup = await resolver.txt(record.name)
    return [text.decode("utf-8", "replace") for text in lookup.records]


async def _mx(record: Record, resolver: Resolver, hostname: str) -> Checked:
    entries = sorted((await resolver.mx(record.name)).records)
    found = [f"{entry.preference} {entry.exchange or '.'}" for entry in entries]
    if not any(entry.exchange == hostname for entry in entries):
        return _result(record, found, right=False)
    if not (await resolver.addresses(hostname)).records:
        return Checked(record, State.DIFFERS, tuple(found), "mx-without-address")
    return Checked(record, State.OK, tuple(found))


async def _spf(record: Record, resolver: Resolver, hostname: str) -> Checked:
    """Any record will do that permits our addresses, and refuses those it does not name."""
    lookup = await resolver.txt(record.name)
    found = [text.decode("utf-8", "replace") for text in find_records(lookup.records)]
    if len(found) != 1:  # two count as none (RFC 7208, 4.5)
        return _result(record, found, right=False, problem="two-records" if found else "")
    hosts = (await resolver.addresses(hostname)).records
    sender = ("postmaster", record.name)
    results = [await check_spf(str(ip), hostname, sender, resolver) for ip in hosts]
    for result in results:
        if result.result == "temperror":
            return Checked(record, State.UNANSWERED, tuple(found), "unanswered")
        if result.result == "permerror":
            return Checked(record, State.DIFFERS, tuple(found), "spf-not-valid")
        if result.result != "pass":
            return Checked(record, State.DIFFERS, tuple(found), "spf-without-us")
    stranger = await check_spf("192.0.2.1", hostname, sender, resolver)
    if stranger.result == "pass":
        return Checked(record, State.DIFFERS, tuple(found), "spf-permits-all")
    if stranger.result != "fail":
        return Checked(record, State.WARN, tuple(found), "spf-soft")
    return Checked(record, State.OK, tuple(found))


async def _dkim(record: Record, resolver: Resolver, hostname: str) -> Checked:  # noqa: ARG001
    found = await published_keys(record, resolver)
    problem = "two-records" if len(found) > 1 else ""
    return _result(record, found, right=shows_key(record, found), problem=problem)


async def _dmarc(record: Record, resolver: Resolver, hostname: str) -> Checked:  # noqa: ARG001
    texts = (await resolver.txt(record.name)).records
    found = [text.decode("utf-8", "replace") for text in texts]
    mine = [text for text in found if re.match(r"\s*v\s*=\s*DMARC1", text, re.IGNORECASE)]
    read = find_record(texts)
    if read is None:
        problem = "two-records" if len(mine) > 1 else "dmarc-not-valid" if mine else ""
        return _result(record, mine, right=False, problem=problem)
    if read.policy == "none":
        return Checked(record, State.WARN, tuple(mine), "dmarc-only-watches")
    if not read.reports:
        return Checked(record, State.WARN, tuple(mine), "dmarc-without-reports")
    return Checked(record, State.OK, tuple(mine))


def _one_text(pattern: str, problem: str) -> Callable[[Record, Resolver, str], Awaitable[Checked]]:
    """Exactly one text of this version, whatever policy it chooses."""

    async def check(record: Record, resolver: Resolver, hostname: str) -> Checked:
        if record.type == "CNAME":
            return await _leads_here(record, resolver, hostname)
        version = record.value.partition(";")[0]
        found = [
            text for text in await _texts(record, resolver) if re.match(rf"{version}\s*(;|$)", text)
        ]
        if len(found) > 1:
            return Checked(record, State.DIFFERS, tuple(found), "two-records")
        right = len(found) == 1 and re.fullmatch(pattern, found[0]) is not None
        return _result(record, found, right=right, problem=problem if found else "")

    return check


async def _leads_here(record: Record, resolver: Resolver, hostname: str) -> Checked:
    """An alias of the server, or a name with one of its addresses."""
    alias = (await resolver.alias(record.name)).records
    if hostname in alias:
        return Checked(record, State.OK, alias)
    ours = set((await resolver.addresses(hostname)).records)
    theirs = (await resolver.addresses(record.name)).records
    found = [*alias, *(str(ip) for ip in theirs)]
    return _result(record, found, right=bool(ours & set(theirs)))


async def _bimi(record: Record, resolver: Resolver, hostname: str) -> Checked:  # noqa: ARG001
    found = [text for text in await _texts(record, resolver) if text.startswith("v=BIMI1")]
    if any(re.search(r"(^|;)\s*[la]\s*=\s*[^;\s]", text) for text in found):
        return Checked(record, State.WARN, tuple(found), "bimi-on")
    return Checked(record, State.OK, tuple(found))  # without any record there is no logo either


async def _client_setup(record: Record, resolver: Resolver, hostname: str) -> Checked:
    if record.type == "CNAME":
        checked = await _leads_here(record, resolver, hostname)
    else:
        entries = sorted((await resolver.srv(record.name)).records)
        found = [f"{one.priority} {one.weight} {one.port} {one.target or '.'}" for one in entries]
        port = int(record.value.split()[2])
        right = any((one.port, one.target) == (port, hostname) for one in entries)
        checked = _result(record, found, right=right)
    if checked.state is State.MISSING:  # mail flows without it; programs are set up by hand
        return Checked(record, State.WARN, (), "setup-by-hand")
    return checked


async def _dane(record: Record, resolver: Resolver, hostname: str) -> Checked:  # noqa: ARG001
    lookup: Lookup[Tlsa] = await resolver.tlsa(record.name)
    found = [
        f"{one.usage} {one.selector} {one.matching} {one.data.hex()}" for one in lookup.records
    ]
    if not found:
        return Checked(record, State.WARN, (), "dane-missing")
    if record.value not in found:
        # Senders with DANE refuse to deliver when none of the records is right (RFC 7672, 2.2).
        return Checked(record, State.DIFFERS, tuple(found), "dane-differs")
    if not lookup.secure:
        return Checked(record, State.WARN, tuple(found), "dane-not-signed")
    return Checked(record, State.OK, tuple(found))


async def _ptr(record: Record, resolver: Resolver, hostname: str) -> Checked:
    hosts = (await resolver.addresses(hostname)).records
    if not hosts:
        return Checked(record, State.MISSING, (), "no-address")
    answers = await asyncio.gather(*(resolver.names(str(ip)) for ip in hosts))
    found = [
        f"{ip}: {', '.join(answer.records) or '-'}"
        for ip, answer in zip(hosts, answers, strict=True)
    ]
    right = all(hostname in answer.records for answer in answers)
    return Checked(record, State.OK if right else State.DIFFERS, tuple(found),
                   "" if right else "ptr")  # fmt: skip


_CHECKS: dict[str, Callable[[Record, Resolver, str], Awaitable[Checked]]] = {
    "mx": _mx,
    "spf": _spf,
    "dkim": _dkim,
    "dmarc": _dmarc,
    # RFC 8461, 3.1; RFC 8460, 3.
    "mta-sts": _one_text(r"v=STSv1\s*;\s*id\s*=\s*[A-Za-z0-9]{1,32}\s*(;.*)?", "sts-not-valid"),
    "tls-rpt": _one_text(
        r"v=TLSRPTv1\s*;\s*rua\s*=\s*(mailto:|https:)[^;\s]+\s*(;.*)?", "tlsrpt-not-valid"
    ),
    "bimi": _bimi,
    "client-setup": _client_setup,
    "dane": _dane,
    "ptr": _ptr,
}
