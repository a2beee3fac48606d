"""Passwords: how they are stored, what they must be, and checking them without stopping the rest.

Stored as argon2id PHC strings (RFC 9106), which Dovecot reads unchanged.
"""

import asyncio
import unicodedata
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from mailgov.directory.common_passwords import is_common
from mailgov.errors import InputError, Unavailable
from mailgov.texts import without_marks

# 19 MiB, two passes, one lane: about 30 ms of one core for each check.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)

MIN_LENGTH = 14  # rule password-length without a second factor: 14 characters, 4 classes
MAX_LENGTH = 256  # nobody types more; a bound on what a stranger can make us hash
_NAME_PART = 4  # letters of a name part from which on the password may not contain it


def hash_password(password: str) -> str:
    """The PHC string to store. Takes about 30 ms: not on the event loop."""
    return _HASHER.hash(_normal(password))


def matches(stored: str, password: str) -> bool:
    """Whether the password belongs to the PHC string. Takes about 30 ms: not on the event loop."""
    try:
        return _HASHER.verify(stored, _normal(password))
    except (VerificationError, InvalidHashError):
        return False


def _normal(password: str) -> str:
    # Keyboards differ in how they send Vietnamese letters; the same word must be the same password.
    return unicodedata.normalize("NFC", password)


@cache
def _nobody() -> str:
    """A hash that no password fits, so that an unknown name costs what a known one costs."""
    return _HASHER.hash("\0")


def require_good(password: str, *, local_part: str, names: Sequence[str] = ()) -> None:
    """Refuse weak passwords; says what is missing, never the password.

    Rules password-length (TCVN 14423:2026: without a second factor 14 characters of 4 classes) and
    password-content (not digits only, no account name, no part of the holder's name). `names` are
    the holder's and the mailbox's names. Raises InputError `password-too-long`,
    `password-length`, `password-content` or `password-common`.
    """
    if len(password) > MAX_LENGTH:
        raise InputError("password-too-long", most=MAX_LENGTH)
    classes = (str.isupper, str.islower, str.isdigit, _is_symbol)
    if len(password) < MIN_LENGTH or not all(any(map(kind, password)) for kind in classes):
        raise InputError("password-length", least=MIN_LENGTH)
    plain = without_marks(password).lower()
    parts = [local_part, *(word for name in names for word in name.split())]
    glued = ["".join(name.split()) for name in names]
    for part in parts + glued:
        word = without_marks(part).lower()
        if len(word) >= _NAME_PART and word in plain:
            raise InputError("password-content")
    if is_common(password):
        raise InputError("password-common")


def _is_symbol(sign: str) -> bool:
    return not sign.isalnum()


class PasswordChecks:
    """A few checks at once and a short queue; beyond it, an honest `not now`.

    Without the bound a burst of sign-ins would take every core and all memory.
    """

    def __init__(self, at_once: int, waiting: int) -> None:
        self._pool = ThreadPoolExecutor(at_once, "password")
        self._most = at_once + waiting
        self._pending = 0

    async def check(self, stored: str | None, password: str) -> bool:
        """Whether the password fits. `stored` None stands for an unknown name: same time, False.

        Raises Unavailable `too-busy` when the queue is full.
        """
        if self._pending >= self._most:
            raise Unavailable("too-busy")
        if len(password) > MAX_LENGTH:
            stored, password = None, ""
        self._pending += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._pool, _check, stored, password
            )
        finally:
            self._pending -= 1

    def close(self) -> None:
        """Let running checks finish and end the threads."""
        self._pool.shutdown()


def _check(stored: str | None, password: str) -> bool:
    fits = matches(stored or _nobody(), password)
    return fits and stored is not None
