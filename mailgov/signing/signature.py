"""The bytes of signature fields: which fields are covered, in what form, and how they are written.

Pure: what needs a private key gets bytes and gives a signature.
"""

import base64
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from mailgov.signing.canonical import Field, relaxed_field

OVERSIGNED = (
    b"from",
    b"to",
    b"cc",
    b"subject",
    b"date",
    b"message-id",
    b"reply-to",
    b"content-type",
    b"mime-version",
)
"""Fields that nobody may add or change afterwards, absent ones included."""

SIGNED_WHERE_PRESENT = (
    b"sender",
    b"in-reply-to",
    b"references",
    b"content-transfer-encoding",
    b"mailgov-document",
)

_LINE_SIGNS = 76


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A signature field that lacks nothing but its value."""

    name: str
    value: bytes  # ends in `b=`
    covered: bytes  # what the key is to sign

    def with_signature(self, signature: bytes) -> bytes:
        """The whole field, with its final CRLF."""
        field = self.value + _folded(base64.b64encode(signature)) + b"\r\n"
        return self.name.encode() + b":" + field


def signed_names(fields: Iterable[Field]) -> list[bytes]:
    """The h= tag: each field as often as it occurs, and the oversigned ones once more."""
    count = Counter(name.strip().lower() for name, _ in fields)
    names: list[bytes] = []
    for name in OVERSIGNED:
        names += [name] * (count[name] + 1)
    for name in SIGNED_WHERE_PRESENT:
        names += [name] * count[name]
    return names


def signed_bytes(
    fields: Sequence[Field],
    names: Iterable[bytes],
    signature: Field,
    form: Callable[[Field], bytes] = relaxed_field,
) -> bytes:
    """What a signature covers: the named fields from the bottom up, then itself, in their form.

    A name that occurs more often than its field stands for nothing (RFC 6376, 5.4.2).
    """
    left: dict[bytes, list[Field]] = {}
    for field in fields:
        left.setdefault(field[0].strip().lower(), []).append(field)
    chosen = [left[name].pop() for name in names if left.get(name)]
    own = form(signature).removesuffix(b"\r\n")
    return b"".join(form(field) for field in chosen) + own


def message_signature(
    name: str,
    tags: Mapping[str, str],
    names: Sequence[bytes],
    fields: Sequence[Field],
    digest: bytes,
) -> Unsigned:
    """A signature over these fields and the body of this digest, relaxed/relaxed.

    `tags` come first, in their order; c=, h= and bh= are added (RFC 6376, 3.5).
    """
    value = (
        f"{_tag_lines(name, {**tags, 'c': 'relaxed/relaxed'})}\r\n"
        f"{_folded_names(names)};\r\n"
        f"\tbh={base64.b64encode(digest).decode()};\r\n"
        "\tb="
    ).encode()
    return Unsigned(name, value, signed_bytes(fields, names, (name.encode(), value)))


def _tag_lines(name: str, tags: Mapping[str, str]) -> str:
    """` v=1; a=…;` and so on, in lines of a bearable length; the field's name is in the first."""
    lines = [""]
    for tag, text in tags.items():
        piece = f" {tag}={text};"
        before = len(lines[-1]) + (len(name) + 1 if len(lines) == 1 else 0)
        if before + len(piece) > _LINE_SIGNS:
            lines.append(f"\t{piece.lstrip()}")
        else:
            lines[-1] += piece
    return "\r\n".join(lines)


def seal_value(name: str, tags: Mapping[str, str]) -> bytes:
    """The value of a field that covers other fields only: it ends in an empty b=."""
    return f"{_tag_lines(name, tags)}\r\n\tb=".encode()


def _folded_names(names: Sequence[bytes]) -> str:
    """The h= tag in lines that no server needs to break again."""
    lines = ["\th="]
    for position, name in enumerate(names):
        text = name.decode() + (":" if position < len(names) - 1 else "")
        if len(lines[-1]) + len(text) > _LINE_SIGNS:
            lines.append("\t ")
        lines[-1] += text
    return "\r\n".join(lines)


def _folded(text: bytes) -> bytes:
    pieces = [text[at : at + _LINE_SIGNS - 4] for at in range(0, len(text), _LINE_SIGNS - 4)]
    return b"\r\n\t ".join(pieces)
