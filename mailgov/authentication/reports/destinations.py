"""Where a domain wants its reports, and whether those who shall get them agree (RFC 7489, 7.1)."""

import asyncio
import re
from collections.abc import Sequence

from mailgov.authentication.dmarc_record import ReportAddress, find_record, report_addresses
from mailgov.authentication.organisation import organisation_of
from mailgov.resolver import Resolver

_TLS_VERSION = re.compile(r"v=TLSRPTv1\s*;")
_AGREES = re.compile(rb"\s*v\s*=\s*DMARC1\s*(;|$)")


async def dmarc_addresses(domain: str, resolver: Resolver) -> list[ReportAddress]:
    """Addresses for the reports of a domain that has a record; others' only where they agree.

    Raises Unavailable `resolver-unavailable`.
    """
    record = find_record((await resolver.txt(f"_dmarc.{domain}")).records)
    if record is None:
        return []
    agreed = await asyncio.gather(
        *(_agrees(domain, one.address.domain, resolver) for one in record.reports)
    )
    return [one for one, yes in zip(record.reports, agreed, strict=True) if yes]


async def _agrees(domain: str, host: str, resolver: Resolver) -> bool:
    if organisation_of(domain) == organisation_of(host):
        return True
    answer = await resolver.txt(f"{domain}._report._dmarc.{host}")
    return any(_AGREES.match(text) for text in answer.records)


async def tls_addresses(domain: str, resolver: Resolver) -> list[ReportAddress]:
    """Mail addresses for the TLS reports of a domain (RFC 8460, 3).

    Raises Unavailable `resolver-unavailable`.
    """
    answer = await resolver.txt(f"_smtp._tls.{domain}")
    texts = [text.decode("utf-8", "replace") for text in answer.records]
    return list(read_tls_record([text for text in texts if _TLS_VERSION.match(text)]))


def read_tls_record(texts: Sequence[str]) -> tuple[ReportAddress, ...]:
    """The mail addresses of the one record; two records count as none."""
    if len(texts) != 1:
        return ()
    uris = tls_uris(texts[0])
    return tuple(one for uri in uris for one in report_addresses(uri))


_EXTENSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_VALUE = re.compile(r"[\x21-\x3a\x3c\x3e-\x7e]+")


def tls_uris(text: str) -> tuple[str, ...]:
    """The URIs of a TLS-RPT record; none of one that is not valid (RFC 8460, 3)."""
    version, *fields = text.split(";")
    if version.strip() != "v=TLSRPTv1":
        return ()
    if fields and not fields[-1].strip():
        fields.pop()
    uris: list[str] = []
    for field in fields:
        name, equals, value = (part.strip() for part in field.partition("="))
        if not equals or not _EXTENSION.fullmatch(name):
            return ()
        if name == "rua":
            found = [uri.strip() for uri in value.split(",")]
            if not all(re.fullmatch(r"(mailto:|https:)[^\s,;!]+", uri) for uri in found):
                return ()
            uris += found
        elif not _VALUE.fullmatch(value):
            return ()
    return tuple(uris)
