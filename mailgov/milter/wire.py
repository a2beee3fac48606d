"""The milter protocol on the wire: packets of a length, a letter and data. Pure but for reading.

Source: libmilter/mfdef.h and mfapi.h of Sendmail 8.18; MILTER_README of Postfix. Numbers are in
network order, strings end in NUL.
"""

import asyncio
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntFlag

VERSION = 6
OLDEST_VERSION = 2  # before protocol flags for single answers

_LENGTH = struct.Struct("!I")
_NEGOTIATION = struct.Struct("!III")
_LINE_ENDS = re.compile(rb"\r\n|\r|\n")


class ProtocolError(Exception):
    """The other side does not speak this protocol, or asks for more than we bear."""


class Actions(IntFlag):
    """What a filter may do to a message (SMFIF_*)."""

    ADD_HEADERS = 0x01
    CHANGE_HEADERS = 0x10
    QUARANTINE = 0x20


class Steps(IntFlag):
    """What a filter need not be told, or need not answer (SMFIP_*)."""

    NO_UNKNOWN = 0x100
    NO_DATA = 0x200
    UNANSWERED_HEADER = 0x80
    UNANSWERED_CONNECT = 0x1000
    UNANSWERED_HELO = 0x2000
    UNANSWERED_MAIL = 0x4000
    UNANSWERED_RCPT = 0x8000
    UNANSWERED_DATA = 0x10000
    UNANSWERED_UNKNOWN = 0x20000
    UNANSWERED_END_OF_HEADER = 0x40000
    UNANSWERED_BODY = 0x80000
    HEADER_LEADING_SPACE = 0x100000


# What waits for the letter `c` unless negotiation said that it need not.
_UNANSWERED: Mapping[bytes, Steps] = {
    b"C": Steps.UNANSWERED_CONNECT,
    b"H": Steps.UNANSWERED_HELO,
    b"M": Steps.UNANSWERED_MAIL,
    b"R": Steps.UNANSWERED_RCPT,
    b"T": Steps.UNANSWERED_DATA,
    b"L": Steps.UNANSWERED_HEADER,
    b"N": Steps.UNANSWERED_END_OF_HEADER,
    b"B": Steps.UNANSWERED_BODY,
    b"U": Steps.UNANSWERED_UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What both sides agreed on."""

    version: int
    actions: Actions
    steps: Steps

    def wants_answer(self, command: bytes) -> bool:
        """Whether the server waits for one after this command."""
        flag = _UNANSWERED.get(command)
        return flag is not None and flag not in self.steps


def negotiate(data: bytes) -> Negotiated:
    """What we take of the server's offer. Raises ProtocolError."""
    if len(data) < _NEGOTIATION.size:
        raise ProtocolError("short offer")
    version, actions, steps = _NEGOTIATION.unpack_from(data)
    if version < OLDEST_VERSION:
        raise ProtocolError(f"version {version}")
    return Negotiated(
        min(version, VERSION),
        Actions(actions & sum(Actions)),
        Steps(steps & sum(Steps)),
    )


async def read_packet(reader: asyncio.StreamReader, limit_bytes: int) -> tuple[bytes, bytes]:
    """The next command and its data; both empty at the end of the connection.

    Raises ProtocolError for an empty packet or one over the limit, before a byte of it is taken.
    """
    try:
        head = await reader.readexactly(_LENGTH.size)
    except asyncio.IncompleteReadError:
        return b"", b""
    (size,) = _LENGTH.unpack(head)
    if not 0 < size <= limit_bytes:
        raise ProtocolError(f"packet of {size} bytes")
    try:
        packet = await reader.readexactly(size)
    except asyncio.IncompleteReadError:
        return b"", b""
    return packet[:1], packet[1:]


def packet(command: bytes, data: bytes = b"") -> bytes:
    """One packet."""
    return _LENGTH.pack(1 + len(data)) + command + data


def strings(data: bytes) -> list[bytes]:
    """The NUL-terminated strings of a packet. Raises ProtocolError when the last has no end."""
    if not data:
        return []
    if not data.endswith(b"\0"):
        raise ProtocolError("string without an end")
    return data[:-1].split(b"\0")


def macros(data: bytes) -> tuple[bytes, dict[str, str]]:
    """The command that macros belong to, and their values by name without braces."""
    found = strings(data[1:])
    if len(found) % 2:
        raise ProtocolError("macro without a value")
    pairs = zip(found[::2], found[1::2], strict=True)
    named = {_text(name).strip("{}"): _text(value) for name, value in pairs}
    return data[:1], named


def client(data: bytes) -> tuple[str, str, int]:
    """Name, address and port of the SMTP client; empty and 0 where there is none."""
    name, end, rest = data.partition(b"\0")
    if not end or not rest:
        raise ProtocolError("connection without a client")
    family, rest = rest[:1], rest[1:]
    if family not in (b"4", b"6"):
        return _text(name), "", 0
    if len(rest) < 3 or not rest.endswith(b"\0"):
        raise ProtocolError("client without an address")
    (port,) = struct.unpack_from("!H", rest)
    address = _text(rest[2:-1])
    return _text(name), address.removeprefix("IPv6:"), port


def header_line(data: bytes, steps: Steps) -> bytes:
    """A header field as it stood, with its CRLF; folds end in LF on this wire."""
    found = strings(data)
    if len(found) != 2:
        raise ProtocolError("header field without a value")
    name, value = found
    space = b"" if Steps.HEADER_LEADING_SPACE in steps else b" "
    return name + b":" + space + _LINE_ENDS.sub(b"\r\n", value) + b"\r\n"


def offer(agreed: Negotiated) -> bytes:
    """The answer to a server's offer."""
    return packet(b"O", _NEGOTIATION.pack(agreed.version, agreed.actions, agreed.steps))


CONTINUE = packet(b"c")
ACCEPT = packet(b"a")
PROGRESS = packet(b"p")


def insert_header(name: str, value: str, steps: Steps) -> bytes:
    """Put a field before all others. Who sends us the space behind the colon leaves it to us too."""
    space = " " if Steps.HEADER_LEADING_SPACE in steps else ""
    return packet(b"i", _LENGTH.pack(0) + f"{name}\0{space}{value}\0".encode())


def remove_header(name: str, number: int) -> bytes:
    """Take out the field of that name, counted from 1."""
    return packet(b"m", _LENGTH.pack(number) + name.encode() + b"\0\0")


def quarantine(reason: str) -> bytes:
    """Keep the message in the server's own queue of held mail."""
    return packet(b"q", reason.encode() + b"\0")


def reply(lines: Sequence[str]) -> bytes:
    """Refuse with this SMTP reply. A `%` would be a place for something else in Sendmail."""
    text = "\r\n".join(lines).replace("%", " ")
    return packet(b"y", text.encode() + b"\0")


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
