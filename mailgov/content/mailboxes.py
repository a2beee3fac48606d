"""Address lists of header fields, read as mail programs read them, broken ones included.

RFC 5322, 3.4. The structure is found in the raw bytes, before encoded words are opened, so that no
decoded comma or bracket makes an address. One left-to-right pass.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from mailgov.addresses import Address
from mailgov.content.fields import decode_words
from mailgov.errors import InputError
from mailgov_policies.facts import Person

MAX_MAILBOXES = 1000  # of a field

_TOKEN = re.compile(
    r'"(?P<quoted>(?:[^"\\]|\\.)*+)(?:(?P<closed>")|\\?\Z)'  # unclosed ones end with the field
    r'|<(?P<angle>(?:"(?:[^"\\]|\\.)*+"|[^"<>])*+)>'
    r"|(?P<comment>\()"
    r"|(?P<sign>[,;:])"
    r'|(?P<text>[^"<(,;:]+)'
    r"|(?P<stray>.)",
    re.DOTALL,
)
_SPACE = re.compile(r"\s+")
_AROUND_AT = re.compile(r"\s*@\s*")  # RFC 5322, 4.4: spaces may stand there
_IN_THE_CLEAR = re.compile(r"[^\s<>]*@[^\s<>]*")
_FRAMES = "'`\"[]{}|"
_ROUTE = re.compile(r"^@[^:]*:")  # RFC 5322, 4.4: obsolete source route


@dataclass(frozen=True, slots=True)
class Mailboxes:
    """The people of a field, and whether a mailbox in it can be read in two ways."""

    people: tuple[Person, ...] = ()
    ambiguous: bool = False


@dataclass(slots=True)
class _Entry:
    """One mailbox while it is being read. Texts hold one character for each byte."""

    phrase: list[str] = field(default_factory=list)
    unquoted: list[str] = field(default_factory=list)  # the phrase without its quoted strings
    comments: list[str] = field(default_factory=list)
    angles: list[str] = field(default_factory=list)
    broken: bool = False  # quoted string, comment or bracket left open, or an address names a group

    def people(self) -> Iterator[Person]:
        phrase = "".join(self.phrase).strip()
        if self.angles:
            # What stands in comments beside a name is shown by some programs.
            beside = tuple(_name(comment) for comment in self.comments if comment.strip())
            for angle in self.angles:
                yield Person(_name(phrase), _address(angle), beside)
        elif "@" in phrase:
            name = _name(" ".join(self.comments))
            yield Person(name, _address(phrase))
        elif words := " ".join(filter(None, (phrase, *self.comments))):
            yield Person(_name(words), "")

    @property
    def ambiguous(self) -> bool:
        """Two addresses, or another in the clear beside one in brackets, as text not quoted.

        Dovecot and many programs take the one in the clear; others the one in brackets. What is left
        open ends where each program thinks it does.
        """
        if self.broken:
            return True
        unquoted = "".join(self.unquoted)
        if len(self.angles) != 1 or "@" not in unquoted:
            return len(self.angles) > 1
        own = _address(self.angles[0])
        shown = _AROUND_AT.sub("@", decode_words(unquoted.encode("latin-1")))
        in_the_clear = _IN_THE_CLEAR.findall(shown.encode().decode("latin-1"))
        return any(_address(found.strip(_FRAMES)) != own for found in in_the_clear)


def read_mailboxes(value: bytes) -> Mailboxes:
    """The mailboxes of a field in order; entries without an address have an empty one."""
    people: list[Person] = []
    ambiguous = False
    for entry in _entries(value.decode("latin-1")):
        ambiguous = ambiguous or entry.ambiguous
        people.extend(entry.people())
        if len(people) >= MAX_MAILBOXES:
            break
    return Mailboxes(tuple(people[:MAX_MAILBOXES]), ambiguous)


def _entries(text: str) -> Iterator[_Entry]:
    entry = _Entry()
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        assert match is not None  # the last alternative takes anything
        position = match.end()
        if match["comment"]:
            comment, position, closed = _comment(text, position)
            entry.comments.append(comment)
            entry.broken |= not closed
        elif match["sign"] in (",", ";"):
            yield entry
            entry = _Entry()
        elif match["sign"] == ":" and not entry.angles and "@" not in "".join(entry.phrase):
            # The name of a group; programs that open encoded words first may find an address in it.
            entry = _Entry(broken=entry.broken or "@" in _name("".join(entry.phrase)))
        elif match["angle"] is not None:
            entry.angles.append(match["angle"])
        elif match["quoted"] is not None:
            entry.phrase.append(_requoted(entry, text, match))
            entry.broken |= match["closed"] is None
        else:
            entry.phrase.append(match.group())
            entry.unquoted.append(match.group())
            entry.broken |= match["stray"] == "<"
    yield entry


def _requoted(entry: _Entry, text: str, match: re.Match[str]) -> str:
    """A quoted string: its content, or as it stands where it is the local part of an address."""
    if text.startswith("@", match.end()) and not "".join(entry.phrase).strip():
        return match.group()
    return re.sub(r"\\(.)", r"\1", match["quoted"], flags=re.DOTALL)


def _comment(text: str, position: int) -> tuple[str, int, bool]:
    """The comment whose bracket was opened just before, where it ends, and whether it does.

    Comments nest.
    """
    depth, start = 1, position
    while position < len(text):
        sign = text[position]
        if sign == "\\":
            position += 1
        elif sign == "(":
            depth += 1
        elif sign == ")":
            depth -= 1
            if depth == 0:
                return text[start:position], position + 1, True
        position += 1
    return text[start:], position, False


def _name(text: str) -> str:
    return _SPACE.sub(" ", decode_words(text.encode("latin-1")))


def _address(text: str) -> str:
    """The address in lower case and one form; as it stands where it is not valid."""
    text = decode_words(text.encode("latin-1"))
    bare = _ROUTE.sub("", _SPACE.sub("", text))
    for form in (text, bare):
        try:
            return Address.parse(form).key
        except InputError:
            continue
    return bare.lower()
