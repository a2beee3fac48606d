"""The tokens with which the webmail opens mailboxes in the name of whoever signed in to it.

IMAP user name `<address>*webmail`, the password a token that is good for a quarter of an hour at most.
It is an HMAC (RFC 2104) of the number of a period of time, made with a key in a file that only we may
read. So the webmail keeps nobody's password, and what it says to the mail store soon opens nothing.

A token is used in its own period, and good from half a period before it until half a period after it:
a clock that is a little off, and a server that hears of the next one a moment late, do no harm. Two
tokens are good at any time, one of an even number and one of an odd.
"""

import base64
import hashlib
import hmac
import os
import secrets
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from mailgov.clock import Clock, utc_now

USER = "webmail"
SEPARATOR = "*"  # between the mailbox and the one who opens it
PERIOD_SECONDS = 600
_BLOCK_BYTES = 64  # of SHA-256; RFC 2104, 2


class Good(NamedTuple):
    """The two tokens that are good at a moment."""

    even: str
    odd: str


def login_name(address: str) -> str:
    """The IMAP user name under which the webmail opens a mailbox."""
    return f"{address}{SEPARATOR}{USER}"


def token(data: Path, clock: Clock = utc_now) -> str:
    """What opens mailboxes now. Made for each connection anew, never kept. Blocks on the disk."""
    return _token(key(data), int(clock().timestamp() // PERIOD_SECONDS))


def good(key: bytes, now: datetime) -> Good:
    """The tokens that a mail store takes at a moment."""
    first = first_number(now)
    even, odd = sorted((first, first + 1), key=lambda number: number % 2)
    return Good(_token(key, even), _token(key, odd))


def opens(key: bytes, password: str, now: datetime) -> bool:
    """Whether a password is a token that is good at a moment."""
    even, odd = (hmac.compare_digest(password.encode(), known.encode()) for known in good(key, now))
    return even or odd


def first_number(now: datetime) -> int:
    """The number of the older of the two tokens that are good; changes in the middle of periods."""
    return int((now.timestamp() - PERIOD_SECONDS / 2) // PERIOD_SECONDS)


def _token(key: bytes, number: int) -> str:
    return hmac.new(key, str(number).encode(), hashlib.sha256).hexdigest()


def pads(key: bytes) -> tuple[str, str]:
    """Inner and outer pad of the HMAC in hexadecimal, for those who have a plain SHA-256 only."""
    block = key.ljust(_BLOCK_BYTES, b"\0")  # RFC 2104, 2; a key of ours is shorter than a block
    return bytes(b ^ 0x36 for b in block).hex(), bytes(b ^ 0x5C for b in block).hex()


def key(data: Path) -> bytes:
    """The key in `<data>/run/imap-master`, made when missing. Blocks on the disk.

    Several processes may ask at once: the file appears whole, and the first one's stays.
    """
    file = data / "run" / "imap-master"
    try:
        return file.read_bytes().strip()
    except FileNotFoundError:
        pass
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f".imap-master.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(secrets.token_urlsafe(32) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    try:
        os.link(draft, file)
    except FileExistsError:
        pass  # another process was first; its key counts
    finally:
        draft.unlink()
    return file.read_bytes().strip()


def hashed(token: str) -> str:
    """A token as Dovecot's passwd-file holds it. A fast hash does for 256 bits."""
    return "{SHA256}" + base64.b64encode(hashlib.sha256(token.encode()).digest()).decode()
