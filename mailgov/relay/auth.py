"""AUTH PLAIN (RFC 4616), LOGIN, OAUTHBEARER (RFC 7628), XOAUTH2, EXTERNAL: what the client says.

An exchange is a generator: it yields what to ask and is sent what was answered.
"""

import base64
import binascii
import re
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from mailgov.relay.commands import CommandError

MAX_LINE_OCTETS = 12_288  # RFC 4954, 4.1: with the command, without CRLF

Exchange = Generator[bytes, bytes, "Credentials | BearerToken"]


@dataclass(frozen=True, slots=True)
class Credentials:
    """A name and a password, as typed."""

    name: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class BearerToken:
    """A token of an identity provider (RFC 6750), and for whom it is; the name may be empty."""

    name: str
    token: str = field(repr=False)


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


def _oauthbearer(initial: bytes | None) -> Exchange:
    """RFC 7628, 3.1: a GS2 header, then fields between control characters of the value 1."""
    header, *fields = _fields(initial if initial is not None else (yield b""))
    actor = re.fullmatch(rb"[ny],(?:a=([^,]*))?,", header)
    if actor is None:
        raise CommandError("login-syntax")
    return _bearer(actor[1] or b"", fields)


def _xoauth2(initial: bytes | None) -> Exchange:
    """The form from before the standard: `user=…`, then the same fields."""
    user, *fields = _fields(initial if initial is not None else (yield b""))
    if not user.startswith(b"user="):
        raise CommandError("login-syntax")
    return _bearer(user.removeprefix(b"user="), fields)


def _fields(response: bytes) -> list[bytes]:
    if not response.endswith(b"\1\1"):
        raise CommandError("login-syntax")
    return response[:-2].split(b"\1")


def _bearer(name: bytes, fields: list[bytes]) -> "BearerToken":
    said = next((f for f in fields if f.lower().startswith(b"auth=bearer ")), None)
    if said is None:
        raise CommandError("login-syntax")
    try:
        return BearerToken(name.decode(), said[len(b"auth=bearer ") :].decode("ascii").strip())
    except UnicodeDecodeError:
        raise CommandError("login-syntax") from None


MECHANISMS: dict[str, Callable[[bytes | None], Exchange]] = {
    "PLAIN": _plain,
    "LOGIN": _login,
    "OAUTHBEARER": _oauthbearer,
    "XOAUTH2": _xoauth2,
}


def identity(response: bytes) -> str:
    """Who the client of EXTERNAL wants to be (RFC 4422, A.1); empty: whoever it is.

    Raises CommandError `login-syntax`.
    """
    try:
        text = response.decode()
    except UnicodeDecodeError:
        raise CommandError("login-syntax") from None
    if "\0" in text:
        raise CommandError("login-syntax")
    return text


def parse(argument: str) -> tuple[str, bytes | None]:
    """The mechanism that an AUTH command names, in capitals, and its initial response.

    Raises CommandError `no-argument` or `login-syntax`.
    """
    mechanism, _, initial = argument.partition(" ")
    if not mechanism:
        raise CommandError("no-argument")
    if not initial:
        return mechanism.upper(), None
    # RFC 4954, 4: `=` is empty
    return mechanism.upper(), b"" if initial == "=" else decode(initial)


def decode(response: str | bytes) -> bytes:
    """Base64 of a response. Raises CommandError `login-syntax`."""
    try:
        return base64.b64decode(response, validate=True)
    except (binascii.Error, ValueError):
        raise CommandError("login-syntax") from None


def answer(line: bytes) -> bytes:
    """What the client answers to a challenge.

    Raises CommandError `line-end`, `login-aborted`, `login-too-long` or `login-syntax`.
    """
    if not line.endswith(b"\r\n"):
        raise CommandError("line-end")
    if len(line) > MAX_LINE_OCTETS + len(b"\r\n"):
        raise CommandError("login-too-long")
    response = line[:-2]
    if response == b"*":  # RFC 4954, 4
        raise CommandError("login-aborted")
    return decode(response)


def _credentials(name: bytes, password: bytes) -> Credentials:
    try:
        return Credentials(name.decode(), password.decode())
    except UnicodeDecodeError:
        raise CommandError("login-syntax") from None
