"""ENVELOPE and BODYSTRUCTURE of a message (RFC 3501, 7.4.2), and the sections of BODY[…]."""

import re
from collections.abc import Iterable

from mailgov.imap import mime
from mailgov.imap.mime import Part
from mailgov.imap.wire import string

MAX_ADDRESSES = 1000
# What Dovecot writes where an address lacks a half: empty ones would look like groups.
NO_LOCAL_PART, NO_DOMAIN = b"MISSING_MAILBOX", b"MISSING_DOMAIN"
_TOKEN = re.compile(
    rb'"((?:[^"\\]|\\.)*)"?'  # quoted string
    rb"|(\[[^\]]*\]?)"  # domain literal
    rb"|([()<>@,;:])"
    rb'|([^\s"()<>@,;:\[]+)',  # atoms, with the dots between them
    re.DOTALL,
)

Address = tuple[bytes | None, bytes | None, bytes | None, bytes | None]
"""Name, route, local part, domain. A group has its name as local part and no domain; it closes with None
alone."""


def envelope(part: Part) -> bytes:
    """The ENVELOPE of a message."""
    sender = _addresses(part, b"from")
    people = [
        sender,
        _addresses(part, b"sender") or sender,
        _addresses(part, b"reply-to") or sender,
        _addresses(part, b"to"),
        _addresses(part, b"cc"),
        _addresses(part, b"bcc"),
    ]
    items = [string(part.get(b"date")), string(part.get(b"subject"))]
    items += [_address_list(list_) for list_ in people]
    items += [string(part.get(b"in-reply-to")), string(part.get(b"message-id"))]
    return b"(%b)" % b" ".join(items)


def _addresses(part: Part, name: bytes) -> list[Address]:
    found: list[Address] = []
    for key, value in part.fields:
        if key == name:
            found += read_addresses(value)
    return found[:MAX_ADDRESSES]


def _address_list(addresses: Iterable[Address]) -> bytes:
    written = b"".join(
        b"(%b)" % b" ".join(string(item) for item in address) for address in addresses
    )
    return b"(%b)" % written if written else b"NIL"


def read_addresses(value: bytes) -> list[Address]:
    """An address list (RFC 5322, 3.4), read leniently: whatever can't be one is left out."""
    reader = _AddressReader(value)
    reader.read()
    return reader.found


class _AddressReader:
    """One pass over the tokens of an address list."""

    def __init__(self, value: bytes) -> None:
        self.found: list[Address] = []
        self._value = value
        self._words: list[bytes] = []  # since the last separator
        self._comment = b""
        self._angle: list[bytes] | None = None  # what stood between < and >
        self._route: bytes | None = None
        self._in_angle = False
        self._in_group = False

    def read(self) -> None:
        depth, comment_start = 0, 0
        for token in _TOKEN.finditer(self._value):
            quoted, literal, special, atom = token.groups()
            if special == b"(":
                comment_start = token.end() if depth == 0 else comment_start
                depth += 1
            elif special == b")" and depth:
                depth -= 1
                if depth == 0:
                    self._comment = self._value[comment_start : token.start()].strip()
            elif depth:
                continue
            elif special is not None:
                self._special(special)
            else:
                word = re.sub(rb"\\(.)", rb"\1", quoted) if quoted is not None else literal or atom
                (self._angle if self._in_angle and self._angle is not None else self._words).append(
                    word
                )
        self._finish()
        if self._in_group:
            self.found.append((None, None, None, None))

    def _special(self, sign: bytes) -> None:
        if sign == b"<":
            self._angle, self._in_angle = [], True
        elif sign == b">":
            self._in_angle = False
        elif self._in_angle and self._angle is not None:
            if sign == b":":  # a route stood before the address (RFC 5322, 4.4)
                self._route, self._angle = b"".join(self._angle), []
            else:
                self._angle.append(sign)
        elif sign == b"@":
            self._words.append(sign)
        elif sign == b":":
            self.found.append((None, None, b" ".join(self._words), None))
            self._words, self._in_group = [], True
        else:
            self._finish()
            if sign == b";" and self._in_group:
                self.found.append((None, None, None, None))
                self._in_group = False

    def _finish(self) -> None:
        """Note the address that a separator has ended."""
        if self._angle is not None:
            name = b" ".join(self._words) or self._comment or None
            self._note(name, self._angle)
        elif self._words:
            self._note(self._comment or None, self._words)
        self._words, self._angle, self._in_angle, self._comment = [], None, False, b""
        self._route = None

    def _note(self, name: bytes | None, words: list[bytes]) -> None:
        if b"@" in words:
            at = words.index(b"@")
            domain = _domain(words[at + 1 :])
            self.found.append((name, self._route, b"".join(words[:at]), domain))
        elif len(words) == 1:
            self.found.append((name, self._route, words[0], NO_DOMAIN))
        elif words or name:
            self.found.append((name or b" ".join(words), self._route, NO_LOCAL_PART, NO_DOMAIN))


def _domain(words: list[bytes]) -> bytes:
    """The domain at the start of these words; blanks and comments may stand around its dots."""
    found = b""
    for word in words:
        if found and not found.endswith(b".") and not word.startswith(b"."):
            break
        found += word
    return found or NO_DOMAIN


def body(data: bytes, part: Part, *, extended: bool) -> bytes:
    """BODY, or with its extension data BODYSTRUCTURE."""
    if part.children:
        inner = b"".join(body(data, child, extended=extended) for child in part.children)
        items = [inner, string(part.sub)]
        if extended:
            items += [_parameter_list(part.parameters), *_extension(part)]
        return b"(%b)" % b" ".join(items)
    content = data[part.body_start : part.end]
    parameters = part.parameters
    if part.main == b"text" and not any(n.startswith(b"charset") for n, _ in parameters):
        parameters = (*parameters, (b"charset", b"us-ascii"))  # RFC 2045, 5.2
    items = [
        string(part.main),
        string(part.sub),
        _parameter_list(parameters),
        string(part.get(b"content-id")),
        string(part.get(b"content-description")),
        string(part.encoding or b"7bit"),
        b"%d" % len(content),
    ]
    if part.message is not None:
        items += [envelope(part.message), body(data, part.message, extended=extended)]
    if part.message is not None or part.main == b"text":
        items.append(b"%d" % content.count(b"\n"))
    if extended:
        items += [string(part.get(b"content-md5")), *_extension(part)]
    return b"(%b)" % b" ".join(items)


def _parameter_list(parameters: mime.Parameters) -> bytes:
    words = [string(word) for pair in parameters for word in pair]
    return b"(%b)" % b" ".join(words) if words else b"NIL"


def _extension(part: Part) -> list[bytes]:
    """Disposition, language and location."""
    disposition = b"NIL"
    if value := part.get(b"content-disposition"):
        kind, _, _ = value.partition(b";")
        details = _parameter_list(mime.parameters(value[len(kind) :]))
        disposition = b"(%b %b)" % (string(kind.strip().lower()), details)
    languages = [word.strip() for word in (part.get(b"content-language") or b"").split(b",")]
    written = b" ".join(string(word) for word in languages if word)
    language = b"(%b)" % written if written else b"NIL"
    return [disposition, language, string(part.get(b"content-location"))]


def section(
    data: bytes, root: Part, path: tuple[int, ...], kind: bytes, names: frozenset[bytes]
) -> bytes | None:
    """The bytes of BODY[path.kind]; None for a part that is not there (RFC 3501, 6.4.5).

    `kind` is empty, HEADER, HEADER.FIELDS, HEADER.FIELDS.NOT, TEXT or MIME; `names`, in lower
    case, are those of HEADER.FIELDS.
    """
    part = _find(root, path)
    if part is None:
        return None
    if kind == b"MIME":
        return data[part.header_start : part.body_start]
    if not kind:
        return data[part.body_start if path else part.header_start : part.end]
    message = part.message if path else part  # of a part, HEADER and TEXT are those of its message
    if message is None:
        return None
    if kind == b"TEXT":
        return data[message.body_start : message.end]
    header = data[message.header_start : message.body_start]
    if kind == b"HEADER":
        return header
    wanted = kind == b"HEADER.FIELDS"
    chosen = (raw for name, raw in mime.raw_fields(header) if (name in names) == wanted)
    return b"".join(chosen) + b"\r\n"


def _find(root: Part, path: tuple[int, ...]) -> Part | None:
    """The part under a number such as 2.1; a message that is not a multipart has part 1 alone."""
    part = root
    for depth, number in enumerate(path):
        inside = part if depth == 0 else part.message or part
        if inside.children:
            if number > len(inside.children):
                return None
            part = inside.children[number - 1]
        elif number == 1 and (depth == 0 or part.message is not None):
            part = inside
        else:
            return None
    return part
