"""Names: agency codes, local parts of addresses, and the address schemes for people.

A Vietnamese name is family name, middle names, given name. The usual scheme of ministries is the
given name with the initials of the rest: Nguyễn Thị Minh Hà is `hantm`. Names of other order, of one
word, or of other letters may need a local part made by hand; it is taken wherever an address is given.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Literal

from mailgov.addresses import MAX_LOCAL_OCTETS
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
_MOST_LOCAL = MAX_LOCAL_OCTETS - 4  # room for a number, should it be taken
# Typed for Đ where the right letter is not at hand; they look the same in capitals.
_LOOKS_LIKE_DJ = str.maketrans({"\u00d0": "Đ", "\u00f0": "đ", "\u0189": "Đ", "\u0256": "đ"})

Scheme = Literal[
    "given-initials", "initials-given", "full", "given-initials.unit", "initials-given.unit"
]
SCHEMES: dict[Scheme, str] = {
    "given-initials": "hantm",
    "initials-given": "ntmha",
    "full": "nguyenthiminhha",
    "given-initials.unit": "hantm.snv",
    "initials-given.unit": "ntmha.snv",
}
"""How Nguyễn Thị Minh Hà of Sở Nội vụ (SNV) is called by each."""
DEFAULT_SCHEME: Scheme = "given-initials"


def require_code(code: str) -> None:
    """Raise InputError `agency-code-not-valid` unless it is a code as agencies have them."""
    if len(code) > MAX_CODE or not _CODE.fullmatch(code):
        raise InputError("agency-code-not-valid", code=code[: MAX_CODE + 1])


def require_level(level: str) -> None:
    """Raise InputError `agency-level-not-valid`."""
    if level not in LEVELS:
        raise InputError("agency-level-not-valid", level=level, levels=", ".join(LEVELS))


def require_scheme(scheme: str) -> Scheme:
    """The scheme of that name. Raises InputError `address-scheme-not-valid`."""
    if scheme not in SCHEMES:
        raise InputError("address-scheme-not-valid", scheme=scheme, known=", ".join(SCHEMES))
    return scheme


def require_local_part(local: str, kind: str) -> None:
    """Raise InputError `local-part-not-valid`, or `name-reserved` for a mailbox that is no office."""
    if not _LOCAL_PART.fullmatch(local) or ".." in local:
        raise InputError("local-part-not-valid", local=local)
    if kind != "office" and local in RESERVED:
        raise InputError("name-reserved", local=local, kind=kind)


def person_name(text: str) -> str:
    """A person's name in its one form: NFC, single spaces, the Vietnamese Đ.

    Raises InputError `person-name-not-valid` unless it has 2 to 80 letters and nothing that names
    do not have.
    """
    name = unicodedata.normalize("NFC", " ".join(text.split())).translate(_LOOKS_LIKE_DJ)
    letters = sum(sign.isalpha() for sign in name)
    if not 2 <= letters <= 80 or not all(sign.isalpha() or sign in " '’.-" for sign in name):
        raise InputError("person-name-not-valid", name=text[:100])
    return name


def _plain_words(name: str) -> list[str]:
    words = (
        re.sub(r"[^a-z]", "", without_marks(word.translate(_LOOKS_LIKE_DJ)).lower())
        for word in name.split()
    )
    return [word for word in words if word]


def local_part(name: str, scheme: Scheme = DEFAULT_SCHEME, unit: str = "") -> str:
    """The local part that a scheme gives a person, family name first; `unit` is an abbreviation.

    The full name where the scheme's form is too short, the given name with initials where the full
    one is too long. Empty for names that have too few Latin letters, or too many: those need a local
    part made by hand.
    """
    words = _plain_words(name)
    if not words:
        return ""
    *others, given = words
    initials, full = "".join(word[0] for word in others), "".join(words)
    form, _, with_unit = scheme.partition(".")
    by_form = {
        "given-initials": given + initials,
        "initials-given": initials + given,
        "full": full,
    }
    local = by_form[form]
    if len(local) < _LEAST_LOCAL:
        local = full
    if len(local) > _MOST_LOCAL:
        local = given + initials
    if with_unit and (suffix := _suffix(unit)) and len(local) + len(suffix) < _MOST_LOCAL:
        local = f"{local}.{suffix}"
    return local if _LEAST_LOCAL <= len(local) <= _MOST_LOCAL else ""


def is_doubtful(name: str) -> bool:
    """Whether the last word may not be what the person is called by: one word, or another people's order.

    Men's names of the Ê Đê begin with Y, women's with H', and the family comes last; K' and Ha begin
    names of the Cơ Ho.
    """
    words = name.split()
    return len(words) < 2 or words[0] in ("Y", "H") or bool(re.match(r"[A-Za-zĐđ]{1,2}['’]", name))


def _suffix(unit: str) -> str:
    return "".join(_plain_words(unit))


def free_forms(local: str, unit: str = "") -> Iterator[str]:
    """Local parts to try in turn when one is taken: with the unit, then numbered from 2.

    `unit` is the unit's abbreviation; empty where the domain is the unit's own. Those that are too
    long for an address are left out.
    """
    suffix = _suffix(unit)
    if suffix and not local.endswith(f".{suffix}") and len(local) + len(suffix) < MAX_LOCAL_OCTETS:
        yield f"{local}.{suffix}"
    for number in _NUMBERS:
        if len(form := f"{local}{number}") <= MAX_LOCAL_OCTETS:
            yield form
