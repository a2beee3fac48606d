"""What is asked for: which agencies go into which, when, and what becomes of addresses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Literal

from mailgov.addresses import parse_domain
from mailgov.errors import InputError

Addresses = Literal["keep", "alias", "rename"]
ADDRESSES: tuple[Addresses, ...] = ("keep", "alias", "rename")
"""keep: addresses stay as they are; alias: new ones, to which the old ones lead until a day; rename:
new ones, and mail to the old ones is refused at once."""
DUAL_DELIVERY = timedelta(
    days=365
)  # for so long old addresses lead on, unless another day is named


@dataclass(frozen=True, slots=True, kw_only=True)
class Merger:
    """Agencies that end, and the one that takes over their people, mailboxes and units.

    `domains` names for old domains the new ones; a pair holds for the domains below it too. Without
    any, addresses move to the domain of the agency that takes over. `on` is the first day of the new
    order, `alias_until` the last one on which old addresses are taken.
    """

    sources: tuple[str, ...]
    into: str
    on: date
    addresses: Addresses = "keep"
    domains: Mapping[str, str] = field(default_factory=dict)
    alias_until: date | None = None
    closing: bool = False  # one agency ends without a new order

    def arguments(self) -> dict[str, Any]:
        """The merger as a plan keeps it."""
        return {
            "sources": list(self.sources),
            "into": self.into,
            "addresses": self.addresses,
            "domains": dict(self.domains),
            "alias_until": self.alias_until.isoformat() if self.alias_until else "",
            "closing": self.closing,
        }

    @classmethod
    def planned(cls, on: date, arguments: Mapping[str, Any]) -> "Merger":
        """The merger that a plan has kept."""
        until = arguments["alias_until"]
        return cls(
            sources=tuple(arguments["sources"]),
            into=arguments["into"],
            on=on,
            addresses=arguments["addresses"],
            domains=arguments["domains"],
            alias_until=date.fromisoformat(until) if until else None,
            closing=arguments["closing"],
        )


def merger(
    sources: tuple[str, ...],
    into: str,
    on: date,
    *,
    addresses: str,
    domains: tuple[str, ...] = (),
    alias_until: date | None = None,
) -> Merger:
    """The merger that somebody asks for; `domains` are pairs such as `cu.gov.vn=moi.gov.vn`.

    Raises InputError `merge-addresses`, `merge-domain-pair`, `merge-domains-kept`, `merge-until`,
    `domain-not-valid`.
    """
    if addresses not in ADDRESSES:
        raise InputError("merge-addresses", value=addresses, known=", ".join(ADDRESSES))
    pairs = dict(_pair(text) for text in domains)
    if pairs and addresses == "keep":
        raise InputError("merge-domains-kept")
    if alias_until is not None and (addresses != "alias" or alias_until < on):
        raise InputError("merge-until", until=alias_until, on=on)
    if addresses == "alias" and alias_until is None:
        alias_until = on + DUAL_DELIVERY
    return Merger(
        sources=sources,
        into=into,
        on=on,
        addresses=addresses,
        domains=pairs,
        alias_until=alias_until,
    )


def closure(code: str, mailboxes_to: str, last_day: date) -> Merger:
    """The end of one agency, whose mailboxes go on in another under their addresses."""
    return Merger(sources=(code,), into=mailboxes_to, on=last_day + timedelta(days=1), closing=True)


def _pair(text: str) -> tuple[str, str]:
    old, found, new = text.partition("=")
    if not found:
        raise InputError("merge-domain-pair", pair=text)
    return parse_domain(old.strip()), parse_domain(new.strip())
