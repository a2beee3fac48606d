"""Whose certificate signed: a person's or an agency's, by the names in its subject.

The rule, first match decides:
1. a given name, surname, pseudonym or title, or a personal number (citizen, identity card,
   passport) as user id: a person;
2. no common name: an agency when an organisation or unit is named, else not known;
3. a tax code or budget code as user id, or an organisation identifier: an agency;
4. common name and organisation are the same: an agency;
5. the common name begins as names of organisations do (`tables/organisation-words.txt`): an agency;
6. the common name is an e-mail address: not known;
7. anything else is the name of a person, with or without an organisation beside it.
Decree 30/2020, Article 5 asks for both; certificates follow RFC 5280, 4.1.2.6 and, for user ids,
the profiles of the Vietnamese authorities (`CCCD:`, `CMND:`, `HC:`, `MST:`, `MNS:`).
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Literal, NamedTuple

from asn1crypto import x509

_MAX_NAME = 200
_MAX_ADDRESSES = 20
_PERSONAL = ("given_name", "surname", "pseudonym", "title")
_PERSONAL_NUMBER = re.compile(r"(?:CCCD|CMND|CMTND|CC|HC|DDCN|SDDCN)\s*:", re.IGNORECASE)
_OFFICIAL_NUMBER = re.compile(r"(?:MST|MNS|MDV|MDD|BHXH)\s*:", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+")
_LINES = (
    files("mailgov.content")
    .joinpath("tables", "organisation-words.txt")
    .read_text("utf-8")
    .splitlines()
)

Holder = Literal["person", "agency", ""]


class Signer(NamedTuple):
    """What a certificate says of its holder."""

    name: str
    organisation: str
    holder: Holder
    addresses: tuple[str, ...]


def signer_of(certificate: x509.Certificate) -> Signer:
    """The holder of a certificate. Raises ValueError when its names can't be read."""
    subject = {key: tuple(_texts(value)) for key, value in certificate.subject.native.items()}
    name = _first(subject, "common_name")
    organisation = _first(subject, "organization_name") or _first(
        subject, "organizational_unit_name"
    )
    holder = _holder(subject, name, organisation)
    return Signer(name, organisation, holder, _addresses(certificate, subject))


def _holder(subject: Mapping[str, tuple[str, ...]], name: str, organisation: str) -> Holder:
    numbers = subject.get("user_id", ())
    personal = any(_first(subject, key) for key in _PERSONAL)
    if personal or any(_PERSONAL_NUMBER.match(number) for number in numbers):
        return "person"
    if not name:
        return "agency" if organisation else ""
    official = any(_OFFICIAL_NUMBER.match(number) for number in numbers)
    if official or _first(subject, "organization_identifier"):
        return "agency"
    words = _words(name)
    if words == _words(organisation) or words.startswith(_beginnings()):
        return "agency"
    return "" if "@" in name else "person"


def _words(text: str) -> str:
    """Words in small letters, one blank behind each, tone marks in one place."""
    text = unicodedata.normalize("NFC", text).lower().replace("uỷ", "ủy").replace("toà", "tòa")
    return "".join(f"{word} " for word in _WORD.findall(text))


@cache
def _beginnings() -> tuple[str, ...]:
    return tuple(_words(line) for line in _LINES if line and not line.startswith("#"))


def _texts(value: Any) -> Iterator[str]:
    """Attributes may be repeated; text of strangers is cut, and is Unicode."""
    for one in value if isinstance(value, list) else (value,):
        text = str(one)[:_MAX_NAME]
        yield text.encode("utf-8", "replace").decode("utf-8")


def _first(subject: Mapping[str, tuple[str, ...]], key: str) -> str:
    return next(iter(subject.get(key, ())), "").strip()


def _addresses(
    certificate: x509.Certificate, subject: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...]:
    """Addresses in the alternative name and in the subject (RFC 8550, 3), in small letters."""
    names = certificate.subject_alt_name_value or ()
    found = [name.native for name in names if name.name == "rfc822_name"]
    found += subject.get("email_address", ())
    return tuple(dict.fromkeys(text.lower() for text in _texts(found[:_MAX_ADDRESSES])))
