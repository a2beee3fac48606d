"""DMARC records (RFC 7489, 6.3; `np` and `psd` of RFC 9091 and RFC 9989).

What is wrong in a record counts as not said, as the standard wants; a record without any policy and
without a valid address for reports is none.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

from mailgov.addresses import Address
from mailgov.errors import InputError

Policy = Literal["none", "quarantine", "reject"]

_POLICIES: dict[str, Policy] = {
    "none": "none",
    "quarantine": "quarantine",
    "reject": "reject",
}
_VERSION = re.compile(r"\s*[vV]\s*=\s*DMARC1\s*;")
_TAG_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_SIZE = re.compile(r"(.*)!([0-9]{1,12})([kmgt]?)", re.IGNORECASE | re.DOTALL)
_MAILTO = re.compile(r"mailto:([^?]+)", re.IGNORECASE)
_UNITS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}
_MAX_ADDRESSES = 10
_MAX_OCTETS = 4096  # of a record; those in use have a tenth of it


@dataclass(frozen=True, slots=True)
class ReportAddress:
    """Where reports go. `max_bytes` None: any size."""

    address: Address
    max_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class DmarcRecord:
    """What a domain wants done with mail in its name that is not its own."""

    policy: Policy
    subdomains: Policy  # sp; that of the domain when it says nothing
    missing: Policy  # np: for names that do not exist
    strict_dkim: bool = False
    strict_spf: bool = False
    percent: int = 100
    is_testing: bool = False  # t=y of RFC 9989
    is_suffix: bool = False  # psd=y: a registry speaks for those below it
    reports: tuple[ReportAddress, ...] = ()
    failure_options: str = "0"

    def published(self) -> dict[str, str]:
        """What an aggregate report repeats (RFC 7489, Appendix C)."""
        return {
            "p": self.policy,
            "sp": self.subdomains,
            "np": self.missing,
            "adkim": "s" if self.strict_dkim else "r",
            "aspf": "s" if self.strict_spf else "r",
            "pct": str(self.percent),
            "fo": self.failure_options,
        }


def find_record(texts: Sequence[bytes]) -> DmarcRecord | None:
    """The record among a name's texts; two are none (RFC 7489, 6.6.3)."""
    read = (data[:_MAX_OCTETS].decode("utf-8", "replace") for data in texts)
    found = [text for text in read if _VERSION.match(text)]
    return read_record(found[0]) if len(found) == 1 else None


def read_record(text: str) -> DmarcRecord | None:
    """Read one text; None when it is no valid record."""
    if not _VERSION.match(text):
        return None
    tags = _tags(text)
    if tags is None:
        return None
    reports = report_addresses(tags.get("rua", ""))
    policy = _POLICIES.get(tags.get("p", "").lower())
    subdomains = _POLICIES.get(tags.get("sp", "").lower())
    if policy is None or ("sp" in tags and subdomains is None):
        if not reports:
            return None
        policy, subdomains = "none", None  # RFC 7489, 6.6.3
    subdomains = subdomains or policy
    percent = tags.get("pct", "")
    return DmarcRecord(
        policy=policy,
        subdomains=subdomains,
        missing=_POLICIES.get(tags.get("np", "").lower(), subdomains),
        strict_dkim=tags.get("adkim", "").lower() == "s",
        strict_spf=tags.get("aspf", "").lower() == "s",
        percent=int(percent) if re.fullmatch(r"[0-9]{1,2}|100", percent) else 100,
        is_testing=tags.get("t", "").lower() == "y",
        is_suffix=tags.get("psd", "").lower() == "y",
        reports=reports,
        failure_options=fo if re.fullmatch(r"[01ds](:[01ds])*", fo := tags.get("fo", "")) else "0",
    )


def _tags(text: str) -> Mapping[str, str] | None:
    """Tags in lower case; None when one stands twice. What is no tag is passed over."""
    tags: dict[str, str] = {}
    for part in text.split(";"):
        name, equals, value = part.partition("=")
        name = name.strip().lower()
        if equals and _TAG_NAME.fullmatch(name):
            if name in tags:
                return None
            tags[name] = value.strip()
    return tags


def report_addresses(text: str) -> tuple[ReportAddress, ...]:
    """The mail addresses of a list of URIs (RFC 7489, 6.2); others can't be written to."""
    found = (_report_address(uri.strip()) for uri in text.split(",")[:_MAX_ADDRESSES])
    return tuple(one for one in found if one is not None)


def _report_address(uri: str) -> ReportAddress | None:
    limit = None
    if "!" in uri:
        sized = _SIZE.fullmatch(uri)
        if sized is None:
            return None
        uri, limit = sized[1], int(sized[2]) << _UNITS[sized[3].lower()]
    mailto = _MAILTO.match(uri)
    if mailto is None:
        return None
    try:
        return ReportAddress(Address.parse(unquote(mailto[1])), limit or None)
    except InputError:
        return None
