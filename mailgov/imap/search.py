"""SEARCH (RFC 3501, 6.4.4): criteria become tests of a message.

Text is compared as people read it: transfer encodings, charsets and encoded words undone, letters
composed (NFC) and without case, any white space as one blank. So `ỦY BAN` finds `uỷ ban` written
with combining marks, quoted-printable or base64; so does `uy ban` (letters.py).
"""

import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from email.utils import parsedate_tz
from typing import Protocol

from mailgov.clock import VIETNAM
from mailgov.content.charsets import decode
from mailgov.content.fields import decode_base64, decode_words
from mailgov.imap import mime
from mailgov.imap.letters import Needle, folded
from mailgov.imap.structure import read_addresses
from mailgov.imap.wire import BadCommand, Scanner, SequenceSet

MAX_DEPTH = 20  # of criteria within criteria
MAX_KEYS = 200
CHARSETS = (b"US-ASCII", b"UTF-8")
_MONTHS = b"JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()
_DATE = re.compile(rb'"?(\d{1,2})-([A-Za-z]{3})-(\d{4})"?')
_ADDRESS_FIELDS = (b"from", b"to", b"cc", b"bcc")


class BadCharset(Exception):
    """The client searches in a charset that we do not know."""


class Candidate(Protocol):
    """A message as the criteria see it. `header` and `content` may read the disk."""

    @property
    def flags(self) -> frozenset[str]:
        """System flags and keywords, `\\Recent` too, as written in the folder."""

    @property
    def received(self) -> int:
        """Internal date in seconds since 1970."""

    @property
    def size(self) -> int:
        """Size in bytes."""

    def in_sequence(self, numbers: SequenceSet) -> bool:
        """Whether its sequence number is among these."""

    def in_uids(self, numbers: SequenceSet) -> bool:
        """Whether its UID is among these."""

    def header(self) -> mime.Fields:
        """The fields of its header."""

    def content(self) -> bytes:
        """All its bytes."""


Test = Callable[[Candidate], bool]


def parse(scanner: Scanner) -> Test:
    """The criteria of a SEARCH command. Raises BadCommand and BadCharset."""
    if scanner.skip(b"CHARSET "):
        if scanner.astring().upper() not in CHARSETS:
            raise BadCharset
        scanner.space()
    reader = _Criteria(scanner)
    test = reader.every()
    scanner.end()
    return test


@dataclass
class _Criteria:
    """Reads search keys; `_depth` and `_keys` bound what a client can make us hold."""

    scanner: Scanner
    _depth: int = 0
    _keys: int = 0

    def every(self) -> Test:
        """Keys that all must hold, up to the end or a closing parenthesis."""
        tests = [self.key()]
        while self.scanner.skip(b" "):
            tests.append(self.key())
        if len(tests) == 1:
            return tests[0]
        return lambda message: all(test(message) for test in tests)

    def key(self) -> Test:
        self._depth += 1
        self._keys += 1
        if self._depth > MAX_DEPTH or self._keys > MAX_KEYS:
            raise BadCommand("the search is too complex")
        test = self._one()
        self._depth -= 1
        return test

    def _one(self) -> Test:
        scanner = self.scanner
        if scanner.skip(b"("):
            test = self.every()
            scanner.expect(b")")
            return test
        if scanner.peek() in b"0123456789*" and scanner.peek():
            numbers = scanner.sequence_set()
            return lambda message: message.in_sequence(numbers)
        word = scanner.atom()
        if word in _SIMPLE:
            return _SIMPLE[word]
        reader = _WITH_ARGUMENT.get(word)
        if reader is None:
            raise BadCommand(f"unknown search key {word.decode()}")
        scanner.space()
        return reader(self)

    def negated(self) -> Test:
        test = self.key()
        return lambda message: not test(message)

    def either(self) -> Test:
        first = self.key()
        self.scanner.space()
        second = self.key()
        return lambda message: first(message) or second(message)

    def uid(self) -> Test:
        numbers = self.scanner.sequence_set()
        return lambda message: message.in_uids(numbers)

    def larger(self) -> Test:
        size = self.scanner.number()
        return lambda message: message.size > size

    def smaller(self) -> Test:
        size = self.scanner.number()
        return lambda message: message.size < size

    def keyword(self) -> Test:
        return _has(self.scanner.astring().decode("ascii", "replace"))

    def unkeyword(self) -> Test:
        return _lacks(self.scanner.astring().decode("ascii", "replace"))

    def header_field(self) -> Test:
        name = self.scanner.astring().lower()
        self.scanner.space()
        return _in_field(name, self._needle())

    def text(self) -> Test:
        needle = self._needle()
        return lambda message: (
            needle.found_in(_header_text(message)) or needle.found_in(_body_text(message.content()))
        )

    def body(self) -> Test:
        needle = self._needle()
        return lambda message: needle.found_in(_body_text(message.content()))

    def _needle(self) -> Needle:
        return Needle(self.scanner.astring().decode("utf-8", "replace"))

    def day(self) -> date:
        found = _DATE.fullmatch(self.scanner.take(_DATE, "a date"))
        assert found is not None
        try:
            return date(int(found[3]), _MONTHS.index(found[2].upper()) + 1, int(found[1]))
        except ValueError as exc:
            raise BadCommand("expected a date") from exc


def _has(flag: str) -> Test:
    wanted = flag.lower()
    return lambda message: any(have.lower() == wanted for have in message.flags)


def _lacks(flag: str) -> Test:
    has = _has(flag)
    return lambda message: not has(message)


_SIMPLE: dict[bytes, Test] = {
    b"ALL": lambda _: True,
    b"ANSWERED": _has("\\Answered"),
    b"DELETED": _has("\\Deleted"),
    b"DRAFT": _has("\\Draft"),
    b"FLAGGED": _has("\\Flagged"),
    b"RECENT": _has("\\Recent"),
    b"SEEN": _has("\\Seen"),
    b"UNANSWERED": _lacks("\\Answered"),
    b"UNDELETED": _lacks("\\Deleted"),
    b"UNDRAFT": _lacks("\\Draft"),
    b"UNFLAGGED": _lacks("\\Flagged"),
    b"UNSEEN": _lacks("\\Seen"),
    b"OLD": _lacks("\\Recent"),
    b"NEW": lambda message: "\\Recent" in message.flags and "\\Seen" not in message.flags,
}


def _in_field(name: bytes, needle: Needle) -> Test:
    return lambda message: any(
        key == name and needle.found_in(_field_text(key, value)) for key, value in message.header()
    )


def _field_text(name: bytes, value: bytes) -> str:
    text = decode_words(value)
    if name in _ADDRESS_FIELDS:
        # Comments and folds may stand inside an address: look at the bare addresses too.
        bare = (
            (local or b"") + b"@" + (domain or b"") for _, _, local, domain in read_addresses(value)
        )
        text += " " + decode(b" ".join(bare))
    return folded(text)


def _header_text(message: Candidate) -> str:
    return " ".join(_field_text(key, value) for key, value in message.header())


def _body_text(data: bytes) -> str:
    """The readable text of a message below its header, attached messages included."""
    found: list[str] = []
    waiting = [mime.parse(data)]
    while waiting:
        part = waiting.pop()
        waiting += part.children
        if part.message is not None:
            found += (decode_words(value) for _, value in part.message.fields)
            waiting.append(part.message)
        elif part.main == b"text" and not part.children:
            found.append(_part_text(data[part.body_start : part.end], part))
        # Names of attached files are words that people look for.
        found += (decode(value) for name, value in part.parameters if name == b"name")
    return folded(" ".join(found))


def _part_text(content: bytes, part: mime.Part) -> str:
    if part.encoding == b"base64":
        content = decode_base64(content)
    elif part.encoding == b"quoted-printable":
        content = binascii.a2b_qp(content)
    return decode(content, dict(part.parameters).get(b"charset", b"").decode("ascii", "replace"))


def _received_on(message: Candidate) -> date:
    return datetime.fromtimestamp(message.received, VIETNAM).date()


def _sent_on(message: Candidate) -> date | None:
    """The day of the Date field, as its writer's calendar showed it."""
    value = next((value for name, value in message.header() if name == b"date"), b"")
    parsed = parsedate_tz(value[:200].decode("ascii", "replace"))
    try:
        return date(*parsed[:3]) if parsed else None
    except ValueError:
        return None


def _by_date(
    read: Callable[[Candidate], date | None], holds: Callable[[date, date], bool]
) -> Callable[[_Criteria], Test]:
    def key(criteria: _Criteria) -> Test:
        day = criteria.day()

        def test(message: Candidate) -> bool:
            found = read(message)
            return found is not None and holds(found, day)

        return test

    return key


def _field_key(name: bytes) -> Callable[[_Criteria], Test]:
    return lambda criteria: _in_field(name, criteria._needle())  # noqa: SLF001 - same module


_WITH_ARGUMENT: dict[bytes, Callable[[_Criteria], Test]] = {
    b"BCC": _field_key(b"bcc"),
    b"BEFORE": _by_date(_received_on, lambda found, day: found < day),
    b"BODY": _Criteria.body,
    b"CC": _field_key(b"cc"),
    b"FROM": _field_key(b"from"),
    b"HEADER": _Criteria.header_field,
    b"KEYWORD": _Criteria.keyword,
    b"LARGER": _Criteria.larger,
    b"NOT": _Criteria.negated,
    b"ON": _by_date(_received_on, lambda found, day: found == day),
    b"OR": _Criteria.either,
    b"SENTBEFORE": _by_date(_sent_on, lambda found, day: found < day),
    b"SENTON": _by_date(_sent_on, lambda found, day: found == day),
    b"SENTSINCE": _by_date(_sent_on, lambda found, day: found >= day),
    b"SINCE": _by_date(_received_on, lambda found, day: found >= day),
    b"SMALLER": _Criteria.smaller,
    b"SUBJECT": _field_key(b"subject"),
    b"TEXT": _Criteria.text,
    b"TO": _field_key(b"to"),
    b"UID": _Criteria.uid,
    b"UNKEYWORD": _Criteria.unkeyword,
}
