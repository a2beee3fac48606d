"""Tag lists, as signatures and keys have them (RFC 6376, 3.2), and the values in them.

dkimpy reads the lists; whatever is not as it must be raises NotValid with the result that it means.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Literal

from dkim.util import InvalidTagValueList, parse_tag_value

from mailgov.addresses import parse_domain
from mailgov.errors import InputError

DkimResult = Literal["none", "pass", "fail", "policy", "neutral", "temperror", "permerror"]
"""RFC 8601, 2.7.1: `policy` is a signature that verifies in a way we do not count."""

Tags = Mapping[str, bytes]

_BLANKS = re.compile(rb"[ \t\r\n]+")
_CLOCK_SLACK_SECONDS = 36_000  # as other verifiers allow


class NotValid(Exception):
    """A signature that ends with this result for this reason."""

    def __init__(self, result: DkimResult, reason: str) -> None:
        super().__init__(reason)
        self.result: DkimResult = result
        self.reason = reason


def read_tags(value: bytes) -> dict[str, bytes]:
    """A tag list. Raises NotValid."""
    try:
        tags = parse_tag_value(_BLANKS.sub(b" ", value))
    except InvalidTagValueList as exc:
        raise NotValid("permerror", "tag list is not well-formed") from exc
    return {name.decode("ascii", "replace"): content for name, content in tags.items()}


def require(tags: Tags, *names: str) -> None:
    """Raise NotValid for the first of these tags that is missing or empty."""
    for name in names:
        if not tags.get(name):
            raise NotValid("permerror", f"tag {name}= is missing")


def without_blanks(value: bytes) -> bytes:
    """The value less its white space, which means nothing in base64."""
    return _BLANKS.sub(b"", value)


def decoded(value: bytes) -> bytes:
    """Base64. Raises NotValid."""
    try:
        return base64.b64decode(without_blanks(value), validate=True)
    except binascii.Error as exc:
        raise NotValid("permerror", "base64 is not well-formed") from exc


def domain_of(value: bytes) -> str:
    """A domain in its one form. Raises NotValid."""
    try:
        return parse_domain(value.decode("utf-8", "replace"))
    except InputError as exc:
        raise NotValid("permerror", "domain is not valid") from exc


def names_of(value: bytes) -> tuple[bytes, ...]:
    """The h= tag: names of fields in lower case."""
    return tuple(name.strip().lower() for name in value.split(b":"))


def words_of(tags: Tags, tag: str) -> set[bytes]:
    """A list with colons, in lower case."""
    return {word.strip().lower() for word in tags.get(tag, b"").split(b":")}


def moment_of(tags: Tags, tag: str) -> int | None:
    """Seconds of Unix time; None without the tag. Raises NotValid."""
    if tag not in tags:
        return None
    if not re.fullmatch(rb"[0-9]{1,12}", tags[tag]):
        raise NotValid("permerror", f"tag {tag}= is no number")
    return int(tags[tag])


def check_times(tags: Tags, now: float) -> None:
    """Raise NotValid for a signature of the future or one that has expired (RFC 6376, 3.5)."""
    made, expires = moment_of(tags, "t"), moment_of(tags, "x")
    if made is not None and made > now + _CLOCK_SLACK_SECONDS:
        raise NotValid("permerror", "signed in the future")
    if expires is not None and expires < now - _CLOCK_SLACK_SECONDS:
        raise NotValid("fail", "signature has expired")
    if made is not None and expires is not None and expires < made:
        raise NotValid("permerror", "expires before it was made")
