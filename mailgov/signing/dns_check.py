"""Whether a domain publishes what it should."""

from dataclasses import dataclass
from enum import StrEnum

from mailgov.resolver import Resolver
from mailgov.signing.dns_records import Record


class State(StrEnum):
    """What DNS has in place of a record."""

    OK = "ok"  # the record, or one that does the same
    DIFFERS = "differs"  # another record in its place
    MISSING = "missing"
    UNCHECKED = "unchecked"  # of a type that is not looked up here


@dataclass(frozen=True, slots=True)
class Checked:
    """A record to publish, and what DNS has under its name."""

    record: Record
    state: State
    found: tuple[str, ...] = ()


# Text records begin with their version; others under the same name belong to somebody else.
_VERSIONS = {
    "spf": "v=spf1",
    "dkim": "v=DKIM1",
    "dmarc": "v=DMARC1",
    "mta-sts": "v=STSv1",
    "tls-rpt": "v=TLSRPTv1",
}
# Where any record of the version will do: policies and report addresses are the agency's to choose.
_FREE = {"spf", "dmarc", "mta-sts", "tls-rpt"}


async def check(record: Record, resolver: Resolver) -> Checked:
    """Compare one record with DNS. Raises Unavailable `resolver-unavailable`."""
    match record.type:
        case "MX":
            found = [entry.exchange for entry in (await resolver.mx(record.name)).records]
            wanted = record.value.partition(" ")[2]
            return Checked(record, _state(found, right=wanted in found), tuple(sorted(found)))
        case "TXT":
            return await _check_text(record, resolver)
        case _:
            return Checked(record, State.UNCHECKED)


async def _check_text(record: Record, resolver: Resolver) -> Checked:
    version = _VERSIONS[record.purpose]
    lookup = await resolver.txt(record.name)
    texts = [text.decode("utf-8", "replace") for text in lookup.records]
    found = [text for text in texts if text.replace(" ", "").startswith(version)]
    if record.purpose in _FREE:
        # Two records of one kind count as none (RFC 7208, 4.5; RFC 7489, 6.6.3).
        right = len(found) == 1
    else:
        right = _key_of(record.value) in {_key_of(text) for text in found}
    return Checked(record, _state(found, right=right), tuple(found))


def _state(found: list[str], *, right: bool) -> State:
    if right:
        return State.OK
    return State.DIFFERS if found else State.MISSING


def _key_of(text: str) -> str:
    """The p= tag of a key record; white space in it means nothing (RFC 6376, 3.2)."""
    for tag in text.split(";"):
        name, _, value = tag.partition("=")
        if name.strip() == "p":
            return "".join(value.split())
    return ""
