"""Forwarders whose word we take: what they found when the message reached them (RFC 8617, 7.2.1)."""

import re
from collections.abc import Collection

from mailgov.addresses import is_within
from mailgov.signing.arc import ArcResult

_COMMENT = re.compile(rb"\([^()]*\)")
_QUOTED = re.compile(rb'"(?:[^"\\]|\\.)*"')
_MAX_NESTED = 20
_MAX_OCTETS = 4096


def is_vouched_for(chain: ArcResult, author: str, trusted: Collection[str]) -> bool:
    """Whether a trusted sealer, behind none but trusted ones, saw DMARC pass for this author."""
    if chain.state != "pass":
        return False
    suffixes = tuple(domain.lower() for domain in trusted)
    for sealer, results in zip(reversed(chain.sealers), reversed(chain.results), strict=True):
        if not is_within(sealer, suffixes):
            return False
        if _says_pass(results, author):
            return True
    return False


def _says_pass(results: bytes, author: str) -> bool:
    plain = _QUOTED.sub(b"x", results[:_MAX_OCTETS])
    for _ in range(_MAX_NESTED):
        plain, count = _COMMENT.subn(b" ", plain)
        if not count:
            break
    for part in plain.lower().split(b";"):
        words = b" ".join(part.split()).replace(b" = ", b"=").split()
        if words[:1] == [b"dmarc=pass"]:
            return b"header.from=" + author.encode() in words[1:]
    return False
