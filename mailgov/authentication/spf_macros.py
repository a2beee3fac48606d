"""Macros of SPF (RFC 7208, 7): read strictly, filled in with what is known of the session."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

_MAX_NAME_SIGNS = 253
_EXPAND = re.compile(
    r"%(?:\{(?P<letter>[slodiphcrtvSLODIPHCRTV])(?P<digits>[0-9]{0,3})(?P<reverse>[rR]?)"
    r"(?P<delimiters>[.\-+,/_=]*)\}|(?P<sign>[%_-]))"
)
_LITERAL = re.compile(r"[\x21-\x24\x26-\x7e]+")
_LITERAL_AND_BLANKS = re.compile(r"[\x20-\x24\x26-\x7e]+")
_TOP_LABEL = re.compile(r"\.(?=[a-z0-9-]*[a-z-])[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.?$", re.IGNORECASE)
_SIGNS = {"%": "%", "_": " ", "-": "%20"}
_ONLY_EXPLANATIONS = frozenset("crt")


class MacroError(ValueError):
    """The text is no macro string."""


@dataclass(frozen=True, slots=True)
class Macro:
    """`%{…}`: which value, how many labels of it from the right, in what order."""

    letter: str
    labels: int = 0  # 0: all
    reverse: bool = False
    delimiters: str = "."


@dataclass(frozen=True, slots=True)
class MacroString:
    """Literals and macros in their order."""

    parts: tuple[str | Macro, ...]

    @property
    def letters(self) -> frozenset[str]:
        """The values it needs, in lower case."""
        return frozenset(part.letter.lower() for part in self.parts if isinstance(part, Macro))

    def fill(self, values: Mapping[str, str]) -> str:
        """The text, given the value of each lower-case letter."""
        return "".join(
            part if isinstance(part, str) else _filled(part, values[part.letter.lower()])
            for part in self.parts
        )


def read_macros(text: str, *, explanation: bool = False) -> MacroString:
    """Read a macro string; an explanation may hold blanks and three more letters (7.3).

    Raises MacroError.
    """
    literal = _LITERAL_AND_BLANKS if explanation else _LITERAL
    parts: list[str | Macro] = []
    at = 0
    while at < len(text):
        if found := literal.match(text, at):
            parts.append(found[0])
        elif found := _EXPAND.match(text, at):
            parts.append(_part(found, explanation=explanation))
        else:
            raise MacroError(text[at : at + 20])
        at = found.end()
    return MacroString(tuple(parts))


def _part(found: re.Match[str], *, explanation: bool) -> str | Macro:
    if found["sign"]:
        return _SIGNS[found["sign"]]
    letter, digits = found["letter"], found["digits"]
    if letter.lower() in _ONLY_EXPLANATIONS and not explanation:
        raise MacroError(found[0])
    if digits and not int(digits):
        raise MacroError(found[0])  # RFC 7208, 7.3: zero labels are an error
    return Macro(letter, int(digits or 0), bool(found["reverse"]), found["delimiters"] or ".")


def read_domain_spec(text: str) -> MacroString:
    """Read a domain-spec: it ends in a macro or in a label that could be a top one (7.1).

    Raises MacroError.
    """
    read = read_macros(text)
    if not read.parts:
        raise MacroError("empty")
    if not re.search(r"%\{[^}]*\}$|%%$|%_$|%-$", text) and not _TOP_LABEL.search(text):
        raise MacroError(text[-20:])
    return read


def as_name(text: str) -> str:
    """A filled domain-spec as a name to look up; labels fall from the left until it fits (7.3)."""
    name = text.removesuffix(".").lower()
    if len(name) <= _MAX_NAME_SIGNS:
        return name
    return name[-_MAX_NAME_SIGNS - 1 :].partition(".")[2]


def _filled(macro: Macro, value: str) -> str:
    labels: Sequence[str] = re.split(f"[{re.escape(macro.delimiters)}]", value)
    if macro.reverse:
        labels = labels[::-1]
    text = ".".join(labels[-macro.labels :] if macro.labels else labels)
    return quote(text, safe="-._~") if macro.letter.isupper() else text
