"""Domains that imitate a state domain. Pure string work over `tables/lookalikes.toml`.

Authentication does not clear a look-alike: its owner can sign it as well as anyone.
"""

import tomllib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

from mailgov_policies.domains import is_within

_GOV_VN = "gov.vn"
_MAX_LABELS = 12  # names beyond that are no agency's; bounds the work


@dataclass(frozen=True, slots=True)
class _Table:
    letters: dict[int, str]
    groups: tuple[tuple[str, str], ...]
    state: frozenset[str]
    beside_gov: frozenset[str]
    honest_beside_gov: frozenset[str]
    added: tuple[str, ...]
    added_to_agency: tuple[str, ...]
    near: tuple[str, ...]
    second: frozenset[str]
    governments: frozenset[str]


@cache
def _table() -> _Table:
    raw = tomllib.loads(files(__package__).joinpath("tables", "lookalikes.toml").read_text("utf-8"))
    names, suffixes = raw["names"], raw["suffixes"]
    return _Table(
        letters={ord(drawn): meant for drawn, meant in raw["alike"]["letters"]},
        groups=tuple((drawn, meant) for drawn, meant in raw["alike"]["groups"]),
        state=frozenset(names["state"]),
        beside_gov=frozenset(names["beside_gov"]),
        honest_beside_gov=frozenset(names["honest_beside_gov"]),
        added=_longest_first(names["added"]),
        added_to_agency=_longest_first(names["added_to_agency"]),
        near=tuple(suffixes["near"]),
        second=frozenset(suffixes["second"]),
        governments=frozenset(suffixes["governments"]),
    )


def _longest_first(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(words, key=len, reverse=True))


@lru_cache(maxsize=4096)
def imitated(domain: str, suffixes: tuple[str, ...], agencies: tuple[str, ...]) -> str:
    """The state domain or name that `domain` imitates; empty when it imitates none.

    `domain` in A-labels, `suffixes` the official ones, `agencies` our own domains in the message.
    """
    if domain in agencies or "." not in domain:
        return ""
    shown = ".".join(_shown(label) for label in domain.split(".")[-_MAX_LABELS:])
    if is_within(domain, suffixes):
        return _drawn_like(shown, agencies)
    return (
        _drawn_like(shown, agencies)
        or _gov_vn_inside(shown)
        or _almost_gov_vn(shown, agencies)
        or _gov_beside_a_name(shown, agencies)
        or _name_elsewhere(shown, agencies)
    )


def _shown(label: str) -> str:
    """The label as people see it: punycode decoded (RFC 5890, 2.3.2.1)."""
    if not label.startswith("xn--"):
        return label
    try:
        return label[4:].encode("ascii").decode("punycode").lower()
    except UnicodeError:
        return label


def fold(text: str) -> str:
    """Letters and groups of letters that are drawn alike made equal, marks dropped."""
    plain = letters(text)
    for drawn, meant in _table().groups:
        plain = plain.replace(drawn, meant)
    return plain


def letters(text: str) -> str:
    """Single letters that are drawn alike made equal. Groups stay: `govvn` must not turn `gown`."""
    plain = "".join(
        c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c)
    )
    # Twice: ı is drawn like i, which is drawn like l.
    return plain.translate(_table().letters).translate(_table().letters)


def _drawn_like(shown: str, agencies: tuple[str, ...]) -> str:
    folded = fold(shown)
    return next((agency for agency in agencies if fold(agency) == folded), "")


def _gov_vn_inside(shown: str) -> str:
    """gov.vn before the end, glued to a name, or squeezed into one label."""
    labels = shown.split(".")
    if f".{_GOV_VN}." in f".{shown}." or any("govvn" in _squeezed(label) for label in labels):
        return _GOV_VN
    generic_end = len(labels[-1]) > 2
    if "gov" in labels[:-1] and generic_end:
        return _GOV_VN
    if labels[-1] == "vn" and labels[-2].endswith("gov") and labels[-2] != "gov":
        return _GOV_VN
    return ""


def _squeezed(label: str) -> str:
    return letters(label.replace("-", ""))


def _almost_gov_vn(shown: str, agencies: tuple[str, ...]) -> str:
    """The suffix with one letter changed, or our own domain with such a suffix."""
    table = _table()
    tail = ".".join(shown.split(".")[-2:])
    if fold(tail) == fold(_GOV_VN) or any(is_within(shown, (near,)) for near in table.near):
        return _GOV_VN
    name = shown.removesuffix(tail)
    if name and tail.partition(".")[0] not in table.second and _one_change(tail, _GOV_VN):
        return next((agency for agency in agencies if agency == f"{name}{_GOV_VN}"), "")
    return ""


def _one_change(a: str, b: str) -> bool:
    """Whether one letter more, less, other, or two letters swapped make `a` into `b`."""
    if abs(len(a) - len(b)) > 1 or a == b:
        return False
    start = 0
    while start < min(len(a), len(b)) and a[start] == b[start]:
        start += 1
    rest_a, rest_b = a[start:], b[start:]
    return (
        rest_a[1:] == rest_b[1:]
        or rest_a[1:] == rest_b
        or rest_a == rest_b[1:]
        or (rest_a[:2] == rest_b[:2][::-1] and rest_a[2:] == rest_b[2:])
    )


def is_foreign_government(domain: str) -> bool:
    """Whether the domain is laid out like those of other countries' governments: gov.uk, go.jp."""
    labels = domain.split(".")
    return len(labels[-1]) == 2 and bool(_table().governments & set(labels[-3:-1]))


def _gov_beside_a_name(shown: str, agencies: tuple[str, ...]) -> str:
    """`gov` in one label with a word of the State: thue-gov.net, vneidgov.com."""
    table = _table()
    labels = shown.split(".")
    if is_foreign_government(shown):
        return ""
    for label in labels[:-1]:
        squeezed = _squeezed(label)
        if "gov" not in squeezed:
            continue
        pieces = {letters(piece) for piece in label.split("-")}
        for name in sorted(table.state | table.beside_gov | _agency_names(agencies)):
            meant = letters(name)
            glued = squeezed in (f"{meant}gov", f"gov{meant}")
            if glued or ("gov" in pieces and meant in pieces):
                return name
        others = {*label.split("-")} - {"gov"}
        if len(labels[-1]) > 2 and "gov" in pieces and others - table.honest_beside_gov:
            return _GOV_VN
    return ""


def _agency_names(agencies: tuple[str, ...]) -> frozenset[str]:
    """The labels that name our agencies: tinhmau, sonoivu."""
    return frozenset(
        label
        for agency in agencies
        if is_within(agency, (_GOV_VN,))
        for label in agency.removesuffix(_GOV_VN).strip(".").split(".")
        if len(label) > 2
    )


def _name_elsewhere(shown: str, agencies: tuple[str, ...]) -> str:
    """A name of the State under another suffix, alone or with an added word."""
    table = _table()
    labels = shown.split(".")
    short = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in table.second
    registered = labels[-3 if short else -2]
    label = "".join(c for c in registered if c.isalpha())
    for name in sorted(table.state):
        if _stripped(label, name, table.added):
            return name
    pieces = {*registered.split("-")}
    for name in sorted(_agency_names(agencies)):
        hyphened = name in pieces and len(pieces) > 1 and pieces - {name} <= {*table.added}
        if hyphened or (label != name and _stripped(label, name, table.added_to_agency)):
            return name
    return ""


def _stripped(label: str, name: str, added: tuple[str, ...]) -> bool:
    """Whether the label is the name with nothing but added words before and after it."""
    before, found, after = label.partition(name)
    return bool(found) and _only_words(before, added) and _only_words(after, added)


def _only_words(text: str, words: tuple[str, ...]) -> bool:
    while text:
        word = next((word for word in words if text.startswith(word)), "")
        if not word:
            return False
        text = text.removeprefix(word)
    return True
