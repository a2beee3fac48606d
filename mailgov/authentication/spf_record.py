"""SPF records (RFC 7208, 4.6, 5, 6): read whole before anything of them is looked up."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Literal

from mailgov.authentication.spf_macros import (
    MacroError,
    MacroString,
    read_domain_spec,
    read_macros,
)

Kind = Literal["all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"]
Effect = Literal["pass", "fail", "softfail", "neutral"]

_EFFECTS: dict[str, Effect] = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}
_MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*)=(.*)", re.DOTALL)
_MECHANISM = re.compile(r"([+~?-]?)([A-Za-z0-9]+)(.*)", re.DOTALL)
_LENGTHS = re.compile(r"(.*?)(?:/(0|[1-9][0-9]?))?(?://(0|[1-9][0-9]{0,2}))?", re.DOTALL)
_KINDS: dict[str, Kind] = {
    kind: kind for kind in ("all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists")
}
_NEEDS_DOMAIN = frozenset({"include", "exists"})


class RecordError(ValueError):
    """The record is not valid; its words say what is wrong."""


@dataclass(frozen=True, slots=True)
class Mechanism:
    """A term that may match. `domain` None means the domain of the record."""

    kind: Kind
    effect: Effect
    domain: MacroString | None = None
    network: IPv4Network | IPv6Network | None = None
    ip4_length: int = 32
    ip6_length: int = 128
    text: str = ""  # as written


@dataclass(frozen=True, slots=True)
class SpfRecord:
    """What a domain says of its senders."""

    mechanisms: tuple[Mechanism, ...]
    redirect: MacroString | None = None
    explanation: MacroString | None = None


def find_records(texts: Sequence[bytes]) -> list[bytes]:
    """Those of a domain's text records that are SPF of version 1 (4.5)."""
    return [text for text in texts if text[:6].lower() == b"v=spf1" and text[6:7] in (b"", b" ")]


def read_record(data: bytes) -> SpfRecord:
    """Read a record. Raises RecordError."""
    try:
        text = data.decode("ascii")  # RFC 7208, 3.1
    except UnicodeDecodeError:
        raise RecordError("record is not ASCII") from None
    mechanisms: list[Mechanism] = []
    modifiers: dict[str, MacroString] = {}
    try:
        for term in text[6:].split(" "):
            if found := _MODIFIER.fullmatch(term):
                _add_modifier(modifiers, found[1].lower(), found[2])
            elif term:
                mechanisms.append(_mechanism(term))
    except MacroError as exc:
        raise RecordError(f"macro is not valid: {exc}") from None
    return SpfRecord(tuple(mechanisms), modifiers.get("redirect"), modifiers.get("exp"))


def _add_modifier(modifiers: dict[str, MacroString], name: str, value: str) -> None:
    if name not in ("redirect", "exp"):
        read_macros(value)  # unknown ones must be well-formed too (6)
        return
    if name in modifiers:
        raise RecordError(f"{name} stands twice")
    modifiers[name] = read_domain_spec(value)


def _mechanism(term: str) -> Mechanism:
    found = _MECHANISM.fullmatch(term)
    kind = _KINDS.get(found[2].lower()) if found else None
    if found is None or kind is None or found[3][:1] not in ("", ":", "/"):
        raise RecordError(f"unknown term: {term[:40]}")
    effect, rest = _EFFECTS[found[1] or "+"], found[3]
    if kind == "all":
        if rest:
            raise RecordError("all takes no value")
        return Mechanism(kind, effect, text=term)
    if kind in ("ip4", "ip6"):
        return Mechanism(kind, effect, network=_network(kind, rest), text=term)
    if kind in ("a", "mx"):
        return _with_lengths(kind, effect, rest, term)
    return Mechanism(kind, effect, _domain(kind, rest), text=term)


def _with_lengths(kind: Kind, effect: Effect, rest: str, term: str) -> Mechanism:
    found = _LENGTHS.fullmatch(rest)
    assert found is not None  # its first group takes anything
    ip4, ip6 = int(found[2] or 32), int(found[3] or 128)
    if ip4 > 32 or ip6 > 128:
        raise RecordError(f"length of a network is not valid: {term[:40]}")
    return Mechanism(kind, effect, _domain(kind, found[1]), None, ip4, ip6, term)


def _domain(kind: Kind, rest: str) -> MacroString | None:
    if not rest and kind not in _NEEDS_DOMAIN:
        return None
    if not rest.startswith(":"):
        raise RecordError(f"{kind} needs a domain")
    return read_domain_spec(rest[1:])


def _network(kind: str, rest: str) -> IPv4Network | IPv6Network:
    address, slash, length = rest[1:].partition("/")
    if slash and not re.fullmatch(r"0|[1-9][0-9]{0,2}", length):
        raise RecordError(f"length of a network is not valid: {length[:20]}")
    if not rest.startswith(":") or "%" in address:
        raise RecordError(f"{kind} needs an address")
    try:
        network = ip_network(rest[1:], strict=False)
    except ValueError:
        raise RecordError(f"address is not valid: {address[:40]}") from None
    if network.version != int(kind[2]):
        raise RecordError(f"address is not of {kind}: {address[:40]}")
    return network
