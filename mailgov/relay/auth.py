"""AUTH PLAIN (RFC 4616) and LOGIN: what the client says, without socket and without directory.

An exchange is a generator: it yields what to ask and is sent what was answered.
"""

import base64
import binascii
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from mailgov.relay.commands import CommandError

MAX_LINE_OCTETS = 12_288  # RFC 4954, 4.1: with the command, without CRLF

Exchange = Generator[bytes, bytes, "Credentials"]


@dataclass(frozen=True, slots=True)
class Credentials:
    """A name and a password, as typed."""

    name: str
    password: str = field(repr=False)


def _plain(initial: bytes | None) -> Exchange:
    response = initial if initial is not None else (yield b"")
    try:
        acting_as, name, password = response.split(b"\0")
    except ValueError:
        raise CommandError("login-syntax") from None
    if acting_as and acting_as != name:
        raise CommandError("login-wrong")  # nobody acts for another with his own password
    return _credentials(name, password)


def _login(initial: bytes | None) -> Exchange:
    name = initial if initial is not None else (yield b"Username:")
    return _credentials(name, (yield b"Password:"))


MECHANISMS: dict[str, Callable[[bytes | None], Exchange]] = {"PLAIN": _plain, "LOGIN": _login}


def begin(argument: str) -> Exchange:
    """The exchange that an AUTH command starts.

    Raises CommandError `no-argument`, `login-mechanism` or `login-syntax`; so may each step, and
    with `login-wrong` too.
    """
    mechanism, _, initial = argument.partition(" ")
    if not mechanism:
        raise CommandError("no-argument")
    start = MECHANISMS.get(mechanism.upper())
    if start is None:
        raise CommandError("login-mechanism")
    if not initial:
        return start(None)
    return start(b"" if initial == "=" else decode(initial))  # RFC 4954, 4: `=` is empty


def decode(response: str | bytes) -> bytes:
    """Base64 of a response. Raises CommandError `login-syntax`."""
    try:
        return base64.b64decode(response, validate=True)
    except (binascii.Error, ValueError):
        raise CommandError("login-syntax") from None


def answer(line: bytes) -> bytes:
    """What the client answers to a challenge.

    Raises CommandError `login-aborted`, `login-too-long` or `login-syntax`.
    """
    if len(line) > MAX_LINE_OCTETS + len(b"\r\n"):
        raise CommandError("login-too-long")
    response = line.rstrip(b"\r\n")
    if response == b"*":  # RFC 4954, 4
        raise CommandError("login-aborted")
    return decode(response)


def _credentials(name: bytes, password: bytes) -> Credentials:
    try:
        return Credentials(name.decode(), password.decode())
    except UnicodeDecodeError:
        raise CommandError("login-syntax") from None
