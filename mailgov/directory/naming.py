"""Names: agency codes, local parts of addresses, and the address scheme for people.

A Vietnamese name is family name, middle names, given name. The usual scheme of ministries is the
given name with the initials of the rest: Nguyễn Thị Minh Hà is `hantm`.
"""

import re
import unicodedata
from collections.abc import Iterator

from mailgov.errors import InputError
from mailgov.texts import without_marks

# Form of Decision 20/2020/QĐ-TTg: first group a letter and two digits, lower levels after dots.
_CODE = re.compile(r"[A-Z][0-9]{2}(\.[A-Z0-9]{1,4})*")
MAX_CODE = 35

LEVELS = (
    "ministry",
    "ministry-unit",
    "province",
    "department",
    "department-unit",
    "ward",
    "commune",
    "special-zone",
)
TOP_LEVELS = ("ministry", "province")

# Held back for the offices that bear these duties (RFC 2142, and usage of state agencies).
RESERVED = frozenset(
    {
        "abuse",
        "admin",
        "baocao",
        "dpo",
        "hostmaster",
        "hotro",
        "khongtraloi",
        "noreply",
        "postmaster",
        "quantri",
        "security",
        "thongbao",
        "vanthu",
        "webmaster",
    }
)

_LOCAL_PART = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?")
_LEAST_LOCAL = 3
_NUMBERS = range(2, 1000)


def require_code(code: str) -> None:
    """Raise InputError `agency-code-not-valid` unless it is a code as agencies have them."""
    if len(code) > MAX_CODE or not _CODE.fullmatch(code):
        raise InputError("agency-code-not-valid", code=code[: MAX_CODE + 1])


def require_level(level: str) -> None:
    """Raise InputError `agency-level-not-valid`."""
    if level not in LEVELS:
        raise InputError("agency-level-not-valid", level=level, levels=", ".join(LEVELS))


def require_local_part(local: str, kind: str) -> None:
    """Raise InputError `local-part-not-valid`, or `name-reserved` for a mailbox that is no office."""
    if not _LOCAL_PART.fullmatch(local) or ".." in local:
        raise InputError("local-part-not-valid", local=local)
    if kind != "office" and local in RESERVED:
        raise InputError("name-reserved", local=local, kind=kind)


def person_name(text: str) -> str:
    """A person's name in its one form: NFC, single spaces.

    Raises InputError `person-name-not-valid` unless it has 2 to 80 letters and nothing that names
    do not have.
    """
    name = unicodedata.normalize("NFC", " ".join(text.split()))
    letters = sum(sign.isalpha() for sign in name)
    if not 2 <= letters <= 80 or not all(sign.isalpha() or sign in " '’.-" for sign in name):
        raise InputError("person-name-not-valid", name=text[:100])
    return name


def _plain_words(name: str) -> list[str]:
    words = (re.sub(r"[^a-z]", "", without_marks(word).lower()) for word in name.split())
    return [word for word in words if word]


def local_part(name: str) -> str:
    """Given name and initials of the rest, family name first; the full name if that is too short.

    Empty for names without Latin letters: those need a local part made by hand.
    """
    words = _plain_words(name)
    if not words:
        return ""
    *others, given = words
    short = given + "".join(word[0] for word in others)
    return short if len(short) >= _LEAST_LOCAL else "".join(words)


def free_forms(local: str, unit: str = "") -> Iterator[str]:
    """Local parts to try in turn when one is taken: with the unit, then numbered from 2.

    `unit` is the unit's abbreviation; empty where the domain is the unit's own.
    """
    if suffix := "".join(_plain_words(unit)):
        yield f"{local}.{suffix}"
    for number in _NUMBERS:
        yield f"{local}{number}"
