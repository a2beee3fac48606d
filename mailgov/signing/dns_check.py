"""Whether DNS shows the public half of a key as it must."""

from mailgov.resolver import Resolver
from mailgov.signing.dns_records import Record

_VERSION = "v=DKIM1"


async def published_keys(record: Record, resolver: Resolver) -> list[str]:
    """The key records under its name. Raises Unavailable `resolver-unavailable`."""
    lookup = await resolver.txt(record.name)
    texts = [text.decode("utf-8", "replace") for text in lookup.records]
    return [text for text in texts if text.replace(" ", "").startswith(_VERSION)]


async def is_published(record: Record, resolver: Resolver) -> bool:
    """Whether verifiers find this key. Raises Unavailable `resolver-unavailable`."""
    return shows_key(record, await published_keys(record, resolver))


def shows_key(record: Record, found: list[str]) -> bool:
    """Whether these texts are this key: a second one under the name could be taken for it."""
    return [_key_of(text) for text in found] == [_key_of(record.value)]


def _key_of(text: str) -> str:
    """The p= tag of a key record; white space in it means nothing (RFC 6376, 3.2)."""
    for tag in text.split(";"):
        name, _, value = tag.partition("=")
        if name.strip() == "p":
            return "".join(value.split())
    return ""
