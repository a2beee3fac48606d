"""The letter as a message: RFC 5322 header, text and files as MIME, ASCII throughout.

Written line by line here, because the modern header classes of Python 3.11 lose spaces between
encoded words of long Vietnamese subjects. Same letter, same identity, same bytes: what was checked is
what is sent.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.base64mime import body_encode
from email.header import Header
from email.utils import format_datetime
from urllib.parse import quote

from mailgov.addresses import Address
from mailgov.clock import VIETNAM
from mailgov.errors import InputError
from mailgov_policies.document_types import document_types
from mailgov_webmail.compose.letter import Letter
from mailgov_webmail.people import Recipient

MAX_FILE_NAME = 150  # letters
_LINE = 76  # RFC 2045, 6.8: encoded lines; header lines keep to it where they can
_PIECE = 56  # of a parameter value, so that its line keeps to the limit
_ENDS_LINE = re.compile(r"[\r\n\0]")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]{1,60}")  # RFC 5322, 3.2.3
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,60}/[a-z0-9][a-z0-9!#$&^_.+-]{0,100}")


@dataclass(frozen=True, slots=True)
class Attached:
    """A file on its way into a message."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """A message ready for the gate, and the copy for the writer, which names hidden recipients."""

    data: bytes
    copy: bytes
    recipients: tuple[Address, ...]


def build(
    letter: Letter,
    sender: Recipient,
    files: Sequence[Attached],
    *,
    message_id: str,
    at: datetime,
) -> Message:
    """Make the message. `message_id` is without angle brackets.

    Raises InputError `header-not-valid` when a header text holds a line end or NUL.
    """
    boxes = {name: typed.recipients for name, typed in letter.recipients().items()}
    fields = [
        _people("From", [sender]),
        *(_people(name, boxes[name.lower()]) for name in ("To", "Cc") if boxes[name.lower()]),
        _text("Subject", letter.subject),
        _plain("Date", format_datetime(at.astimezone(VIETNAM))),
        _plain("Message-ID", f"<{message_id}>"),
        *_thread(letter),
        *_document(letter, at),
        _plain("MIME-Version", "1.0"),
    ]
    boundary = f"=_{hashlib.sha256(message_id.encode()).hexdigest()[:32]}"
    head, body = _body(letter.body, files, boundary)
    data = "".join([*fields, head, "\r\n", body]).encode()
    bcc = _people("Bcc", boxes["bcc"]).encode() if boxes["bcc"] else b""
    everyone = {person.address.key: person.address for box in boxes.values() for person in box}
    return Message(data, bcc + data, tuple(everyone.values()))


def file_name(text: str) -> str:
    """A name for a file as others will see it: no folders, no control characters, not too long."""
    name = unicodedata.normalize("NFC", re.split(r"[/\\]", text)[-1])
    # RFC 6266, 4.3 and common sense: overrides of writing direction make `gpj.exe` look like a picture.
    name = re.sub(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", "", name).strip()
    stem, dot, extension = name.rpartition(".")
    if len(name) > MAX_FILE_NAME and dot and len(extension) < 20:
        name = f"{stem[: MAX_FILE_NAME - len(extension) - 1]}.{extension}"
    return name[:MAX_FILE_NAME] if name.strip(".") else "tep"  # `..` is the folder above


def _thread(letter: Letter) -> Iterator[str]:
    """RFC 5322, 3.6.4: what this answers."""
    if letter.in_reply_to:
        yield _plain("In-Reply-To", letter.in_reply_to)
    if letter.references:
        yield _folded("References", letter.references.split())


def _document(letter: Letter, at: datetime) -> Iterator[str]:
    """What the writer declares: `type=…; number=…; symbol=…; date=…; urgency=…; due=…`."""
    if not letter.document:
        return
    number = re.match(r"\d+[a-z]?(?=/)", letter.symbol)
    is_type = letter.document in document_types()
    declared = {
        "type" if is_type else "category": letter.document,
        "number": number[0] if number else "",
        "symbol": letter.symbol.replace(";", ","),
        "date": f"{at.astimezone(VIETNAM):%Y-%m-%d}" if letter.symbol else "",
        "urgency": letter.urgency,
        "due": letter.due,
        "paper": letter.paper,
    }
    text = "; ".join(f"{name}={value}" for name, value in declared.items() if value)
    yield _text("Mailgov-Document", text)


def _body(text: str, files: Sequence[Attached], boundary: str) -> tuple[str, str]:
    """Header fields and content: the text alone, or text and files in one multipart/mixed."""
    if not files:
        return _text_part(text)
    parts = [_text_part(text), *map(_file_part, files)]
    content = "".join(f"--{boundary}\r\n{head}\r\n{body}" for head, body in parts)
    return (
        f'Content-Type: multipart/mixed; boundary="{boundary}"\r\n',
        f"{content}--{boundary}--\r\n",
    )


def _text_part(text: str) -> tuple[str, str]:
    lines = text.rstrip("\n").split("\n")
    content = "\r\n".join(lines) + "\r\n"
    if content.isascii() and all(len(line) <= 78 for line in lines):
        return "Content-Type: text/plain; charset=us-ascii\r\n", content
    return (
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n",
        body_encode(content.encode(), maxlinelen=_LINE, eol="\r\n"),
    )


def _file_part(file: Attached) -> tuple[str, str]:
    media_type = file.media_type.lower()
    # Message and multipart types may not be base64 (RFC 2045, 6.4), and unknown ones are just bytes.
    if not _MEDIA_TYPE.fullmatch(media_type) or media_type.startswith(("message/", "multipart/")):
        media_type = "application/octet-stream"
    head = (
        f"Content-Type: {media_type}{_parameter('name', file.name)}\r\n"
        "Content-Transfer-Encoding: base64\r\n"
        f"Content-Disposition: attachment{_parameter('filename', file.name)}\r\n"
    )
    return head, body_encode(file.content, maxlinelen=_LINE, eol="\r\n") or "\r\n"


def _parameter(name: str, value: str) -> str:
    """A parameter on lines of its own, in pieces and percent-encoded where needed (RFC 2231)."""
    _require_one_line(value)
    if value.isascii() and len(value) < 60:
        escaped = re.sub(r'(["\\])', r"\\\1", value)
        return f';\r\n {name}="{escaped}"'
    encoded = f"utf-8''{quote(value, safe='')}"
    pieces = _pieces(encoded)
    if len(pieces) == 1:
        return f";\r\n {name}*={encoded}"
    return "".join(f";\r\n {name}*{n}*={piece}" for n, piece in enumerate(pieces))


def _pieces(encoded: str) -> list[str]:
    """Percent-encoded text cut into lines' worth, never inside a `%XX`."""
    pieces = [""]
    for sign in re.findall(r"%[0-9A-F]{2}|[^%]", encoded):
        if len(pieces[-1]) + len(sign) > _PIECE:
            pieces.append("")
        pieces[-1] += sign
    return pieces


def _people(field: str, people: Iterable[Recipient]) -> str:
    return _folded(field, [_person(person) for person in people], ",")


def _person(person: Recipient) -> str:
    if not person.name:
        return str(person.address)
    _require_one_line(person.name)
    if _ATOMS.fullmatch(person.name) and "=?" not in person.name:
        return f"{person.name} <{person.address}>"
    if person.name.isascii() and "=?" not in person.name and len(person.name) < 60:
        escaped = re.sub(r'(["\\])', r"\\\1", person.name)
        return f'"{escaped}" <{person.address}>'
    name = Header(person.name, "utf-8", maxlinelen=75, header_name="From").encode(
        splitchars="", linesep="\r\n"
    )
    return f"{name} <{person.address}>"


def _text(field: str, value: str) -> str:
    _require_one_line(value)
    words = value.split(" ")
    # Words that look encoded, and words longer than a line, must be encoded to arrive as they are.
    if value.isascii() and "=?" not in value and all(0 < len(word) < 70 for word in words):
        return _folded(field, words)
    if not value:
        return f"{field}:\r\n"
    encoded = Header(value, "utf-8", maxlinelen=_LINE, header_name=field).encode(
        splitchars="", linesep="\r\n"
    )
    return f"{field}: {encoded}\r\n"


def _folded(field: str, words: Sequence[str], comma: str = "") -> str:
    """Words on as many lines as they need (RFC 5322, 2.2.3)."""
    lines = [f"{field}:"]
    for position, word in enumerate(words):
        _require_one_line(word.replace("\r\n ", ""))
        shown = word if position == len(words) - 1 else word + comma
        last = lines[-1].rpartition("\r\n")[2]
        if len(last) + 1 + len(shown) > _LINE and last != f"{field}:":
            lines.append(f" {shown}")
        else:
            lines[-1] += f" {shown}"
    return "\r\n".join(lines) + "\r\n"


def _plain(field: str, value: str) -> str:
    _require_one_line(value)
    return f"{field}: {value}\r\n"


def _require_one_line(value: str) -> None:
    if _ENDS_LINE.search(value):
        raise InputError("header-not-valid")
