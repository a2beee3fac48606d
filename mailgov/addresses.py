"""Mail addresses and domains, parsed once at the edge and trusted inside.

One strict reading of RFC 5321 (4.1.2) with RFC 6531: dot-string or quoted local part, domain of
letters, digits and hyphens, no address literals, no routes, no comments. Domains are kept as
lower-case A-labels. Local parts keep their letters; ours compare without case. What each odd form
comes to stands in docs/addresses.md.
"""

import re
import unicodedata
from dataclasses import dataclass

import idna

from mailgov.errors import InputError

MAX_LOCAL_OCTETS = 64  # RFC 5321, 4.5.3.1.1
MAX_DOMAIN_OCTETS = 255  # RFC 5321, 4.5.3.1.2
MAX_PATH_OCTETS = 254  # RFC 5321, 4.5.3.1.3 without the angle brackets
MAX_TEXT = 1024  # letters that are looked at: the local part quoted, each letter escaped

_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010FFFF-]+"
_DOT_STRING = re.compile(rf"{_ATEXT}(?:\.{_ATEXT})*")
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~\u0080-\U0010FFFF]|\\[ -~])*)"')
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# Of other scripts: controls, invisible signs, private and unassigned letters, spaces, line ends.
_NO_LETTERS = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp"})
_A_LABEL = "xn--"


def parse_domain(text: str) -> str:
    """The domain in its one form: lower-case A-labels. A final dot is none of it (RFC 5321, 4.1.2).

    Raises InputError `domain-not-valid`.
    """
    name = text.lower()
    if len(text) <= MAX_DOMAIN_OCTETS and not name.isascii():
        name = _in_a_labels(name)
    labels = name.split(".")
    if (
        len(name) > MAX_DOMAIN_OCTETS
        or len(labels) < 2
        or not all(_LABEL.fullmatch(label) and _is_true(label) for label in labels)
        or labels[-1].isdigit()
    ):
        raise InputError("domain-not-valid", domain=text[:MAX_DOMAIN_OCTETS])
    return name


def _in_a_labels(name: str) -> str:
    """The name with U-labels encoded (RFC 5891, 4); empty unless each was written in its one form.

    Letters that are only mapped to a U-label, such as wide ones, would show a name that is not ours.
    """
    try:
        encoded = idna.encode(name, uts46=True).decode("ascii")
        return encoded if idna.decode(encoded) == name else ""
    except (idna.IDNAError, UnicodeError):
        return ""


def _is_true(label: str) -> bool:
    """False for an A-label that stands for no letters of another script, or not for these."""
    if not label.startswith(_A_LABEL):
        return True
    rest = label.removeprefix(_A_LABEL)
    try:
        letters = rest.encode("ascii").decode("punycode")
        return not letters.isascii() and letters.encode("punycode").decode("ascii") == rest
    except UnicodeError:
        return False


def _is_plain(text: str) -> bool:
    """No sign that cannot be seen, and letters of other scripts in one form (NFC)."""
    if _CONTROL.search(text):
        return False
    if text.isascii():
        return True
    return unicodedata.is_normalized("NFC", text) and not any(
        unicodedata.category(sign) in _NO_LETTERS for sign in text if not sign.isascii()
    )


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """A mailbox address. `local` is unquoted and unescaped; `domain` is in its one form."""

    local: str
    domain: str

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read `local@domain`. Raises InputError `address-not-valid`."""
        local, at, domain = text.rpartition("@")
        if not at or len(text) > MAX_TEXT or not _is_plain(text):
            raise InputError("address-not-valid", address=text[:MAX_PATH_OCTETS])
        if quoted := _QUOTED.fullmatch(local):
            local = re.sub(r"\\(.)", r"\1", quoted[1])
        elif not _DOT_STRING.fullmatch(local):
            raise InputError("address-not-valid", address=text[:MAX_PATH_OCTETS])
        try:
            domain = parse_domain(domain)
        except InputError:
            raise InputError("address-not-valid", address=text[:MAX_PATH_OCTETS]) from None
        octets = len(local.encode())
        if not local or octets > MAX_LOCAL_OCTETS or octets + 1 + len(domain) > MAX_PATH_OCTETS:
            raise InputError("address-not-valid", address=text[:MAX_PATH_OCTETS])
        return cls(local, domain)

    def __str__(self) -> str:
        if _DOT_STRING.fullmatch(self.local):
            return f"{self.local}@{self.domain}"
        escaped = re.sub(r'(["\\])', r"\\\1", self.local)
        return f'"{escaped}"@{self.domain}'

    @property
    def key(self) -> str:
        """The form under which our own mailboxes are looked up: no case."""
        return str(self).lower()

    @property
    def needs_smtputf8(self) -> bool:
        """Whether the address can travel only under RFC 6531."""
        return not self.local.isascii()


def is_within(domain: str, suffixes: "tuple[str, ...] | frozenset[str] | list[str]") -> bool:
    """Whether the domain is one of the suffixes or lies below one."""
    return any(domain == suffix or domain.endswith(f".{suffix}") for suffix in suffixes)
