"""Names and addresses as people type them: one box, many recipients, pasted from anywhere."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mailgov.addresses import Address
from mailgov.errors import InputError

_QUOTED_OR_SEPARATOR = re.compile(r'"(?:[^"\\]|\\.)*"|[,;\r\n]')
_NAMED = re.compile(r'(?P<name>"(?:[^"\\]|\\.)*"|[^<>]*?)\s*<\s*(?P<address>[^<>]*?)\s*>\s*')


@dataclass(frozen=True, slots=True)
class Recipient:
    """Somebody a letter goes to, as typed and understood."""

    address: Address
    name: str = ""

    def __str__(self) -> str:
        if not self.name:
            return str(self.address)
        # What would end the name early must be quoted (RFC 5322, 3.2.4).
        plain = not re.search(r'[,;<>"@()\\]', self.name)
        shown = self.name if plain else '"' + re.sub(r'(["\\])', r"\\\1", self.name) + '"'
        return f"{shown} <{self.address}>"


@dataclass(frozen=True, slots=True)
class Typed:
    """What a box of recipients holds: the understood ones, and texts that are no address."""

    recipients: tuple[Recipient, ...]
    wrong: tuple[str, ...] = ()


def read_typed(text: str) -> Typed:
    """Split at semicolons, line ends and commas outside quotes; each address once.

    A comma inside an unquoted name joins again: `Trần Thị B, Sở Nội vụ <b@x.gov.vn>` is one.
    """
    recipients: dict[str, Recipient] = {}
    wrong = []
    for piece in _pieces(text):
        try:
            recipient = _read_one(piece)
        except InputError:
            wrong.append(piece)
        else:
            recipients.setdefault(recipient.address.key, recipient)
    return Typed(tuple(recipients.values()), tuple(wrong))


def as_typed(recipients: Iterable[Recipient]) -> str:
    """The text of a box that holds these recipients."""
    return ", ".join(str(recipient) for recipient in recipients)


def without(text: str, address: str) -> str:
    """The box's text less one recipient; the rest stays as it was typed."""
    kept = []
    for piece in _pieces(text):
        try:
            if _read_one(piece).address.key == address.lower():
                continue
        except InputError:
            pass  # not an address yet: the writer is not finished with it
        kept.append(piece)
    return ", ".join(kept)


def _pieces(text: str) -> Iterator[str]:
    pending = ""
    for piece, ends_entry in _cut(text):
        joined = f"{pending}, {piece}" if pending else piece
        if "@" not in joined and "<" not in joined and not ends_entry:
            pending = joined
            continue
        if pending and "@" in piece and "<" not in piece:
            yield pending  # words before a bare address are not its name
            joined = piece
        if joined:
            yield joined
        pending = ""
    if pending:
        yield pending


def _cut(text: str) -> Iterator[tuple[str, bool]]:
    """Pieces between separators outside quotes, and whether the separator surely ends an entry."""
    start = 0
    for found in _QUOTED_OR_SEPARATOR.finditer(text):
        if found[0] in ",;\r\n":
            piece = text[start : found.start()].strip()
            if piece or found[0] != ",":
                yield piece, found[0] != ","
            start = found.end()
    if piece := text[start:].strip():
        yield piece, False


def _read_one(piece: str) -> Recipient:
    named = _NAMED.fullmatch(piece)
    if named is None:
        return Recipient(Address.parse(piece))
    name = named["name"].strip()
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    name = " ".join(name.split())
    return Recipient(Address.parse(named["address"]), name)
