"""The published suite of RFC 7208: 203 cases with their zones."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import dns.name
import dns.reversename
import pytest
import yaml

from mailgov.authentication.spf import SpfResult, check_spf
from mailgov.errors import Unavailable
from mailgov.resolver import IpAddress, Lookup, Mx

from ...support.dns import FakeResolver

RECEIVER = "unknown"


@dataclass
class SuiteResolver(FakeResolver):
    """Answers from the zone of one scenario of the suite."""

    zone: Mapping[str, list[Any]] = field(default_factory=dict)

    def _found(self, name: str, kind: str, hops: int = 5) -> Lookup[Any]:
        try:
            dns.name.from_text(name)
        except dns.exception.DNSException:
            return Lookup(exists=False)
        entries = self.zone.get(name.lower().rstrip("."))
        if entries is None:
            return Lookup(exists=False)
        found, is_silent = [], False
        for entry in entries:
            if entry == "TIMEOUT":
                is_silent = True
                continue
            ((its, value),) = entry.items()
            if its == "CNAME" and kind != "CNAME" and hops:
                return self._found(value, kind, hops - 1)
            if its == kind and value != "NONE":
                found.append(value)
        has_texts = any(isinstance(entry, dict) and "TXT" in entry for entry in entries)
        if kind == "TXT" and not has_texts:
            found = [
                entry["SPF"] for entry in entries if isinstance(entry, dict) and "SPF" in entry
            ]
        if not found and is_silent:
            raise Unavailable("resolver-unavailable", name=name, type=kind, reason="Timeout")
        return Lookup(tuple(found))

    async def txt(self, name: str) -> Lookup[bytes]:
        found = self._found(name, "TXT")
        joined = ("".join([text] if isinstance(text, str) else text) for text in found.records)
        return Lookup(tuple(text.encode("utf-8") for text in joined), found.exists)

    async def mx(self, domain: str) -> Lookup[Mx]:
        found = self._found(domain, "MX")
        return Lookup(tuple(Mx(number, name.lower()) for number, name in found.records))

    async def addresses4(self, name: str) -> Lookup[IpAddress]:
        return Lookup(tuple(ip_address(text) for text in self._found(name, "A").records))

    async def addresses6(self, name: str) -> Lookup[IpAddress]:
        return Lookup(tuple(ip_address(text) for text in self._found(name, "AAAA").records))

    async def names(self, address: str) -> Lookup[str]:
        name = str(dns.reversename.from_address(address)).rstrip(".")
        return Lookup(tuple(text.lower() for text in self._found(name, "PTR").records))


async def checked(case: Mapping[str, Any], resolver: SuiteResolver) -> SpfResult:
    local, at, domain = str(case["mailfrom"]).rpartition("@")
    sender = (local, domain) if at else None
    return await check_spf(
        str(case["host"]), str(case["helo"]), sender, resolver, receiver=RECEIVER, moment=1
    )


@pytest.mark.corpus
async def test_the_published_suite(corpus: Path) -> None:
    text = (corpus / "third-party/auth/spf/rfc7208-tests.yml").read_text(encoding="utf-8")
    wrong, tried = [], 0
    for scenario in yaml.safe_load_all(text):
        zone = {name.lower(): entries for name, entries in scenario["zonedata"].items()}
        for name, case in scenario["tests"].items():
            found = await checked(case, SuiteResolver(zone=zone))
            wanted = case["result"] if isinstance(case["result"], list) else [case["result"]]
            said = case.get("explanation", "").replace("DEFAULT", "")
            tried += 1
            if found.result not in wanted:
                wrong.append(f"{name}: {found} and not {wanted}")
            elif "explanation" in case and found.explanation != said:
                wrong.append(f"{name}: says {found.explanation!r} and not {said!r}")
    assert wrong == []
    assert tried == 203
