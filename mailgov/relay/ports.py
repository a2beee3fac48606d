"""What the relay needs of the rest of the platform, and nothing more.

Every method may raise Unavailable: trouble that passes, answered with a 4xx reply.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from mailgov.addresses import Address
from mailgov.message import Body, Envelope
from mailgov_policies.verdict import Verdict


class Account(Protocol):
    """Somebody who signed in."""

    @property
    def address(self) -> str:
        """The mailbox's own address, in the form of `Address.key`."""

    @property
    def state(self) -> str:
        """`active`, `suspended`, `locked`, `recalled`, or `reading` when it may only be read."""

    @property
    def credentials_ended_at(self) -> datetime | None:
        """The last time a password of any kind was revoked."""

    @property
    def may_send_as(self) -> tuple[str, ...]:
        """Addresses that may stand in MAIL FROM, in the form of `Address.key`."""


class Mailbox(Protocol):
    """A mailbox of ours."""

    @property
    def state(self) -> str:
        """`active`, `suspended`, `recalled`, or `passing` when a successor gets its mail."""

    @property
    def contact(self) -> str:
        """Whom to write to instead of a recalled one; may be empty."""


class AppPassword(Protocol):
    """A password that a client may prove to know."""

    @property
    def verifier(self) -> str:
        """What SCRAM-SHA-256 is checked against (RFC 5803)."""


class Scram(Protocol):
    """A sign-in by SCRAM that has begun."""

    @property
    def salt(self) -> bytes:
        """Of all the name's passwords; nobody's name has one too."""

    @property
    def iterations(self) -> int:
        """Of PBKDF2."""

    @property
    def apps(self) -> Sequence[AppPassword]:
        """Those that may be proved."""


class Tokens(Protocol):
    """An identity provider whose tokens we take."""

    async def open(self, name: str, token: str, *, ip: str) -> Account | None:
        """The account that the token opens; the name must be its own, or empty.

        Raises NotAllowed `sign-in-later`.
        """


class Directory(Protocol):
    """Who is who."""

    async def sign_in(
        self, name: str, password: str, *, channel: Literal["smtp"], ip: str
    ) -> Account | None:
        """The account that the password opens; None in the same time for unknown names.

        Writes the attempt into the ledger. Raises NotAllowed `sign-in-later` when too much was
        guessed, Unavailable `too-busy` when too many passwords wait to be checked.
        """

    async def begin_scram(self, name: str, *, channel: Literal["smtp"], ip: str) -> Scram:
        """What a client needs to prove a password. Then `end_scram` must be called.

        Raises NotAllowed `sign-in-later`.
        """

    async def end_scram(self, scram: Any, app: Any) -> Account | None:
        """The account that the proved password opens; None, with None, for a failure."""

    async def sign_in_by_certificate(
        self, name: str, *, good: bool, channel: Literal["smtp"], ip: str
    ) -> Account | None:
        """The account whose certificate was shown; None unless it is `good` and the mailbox active.

        Writes the attempt into the ledger. Raises NotAllowed `sign-in-later`.
        """

    async def account(self, address: str) -> Account | None:
        """The account of this own address as it is now, whatever its state."""

    async def is_local_domain(self, domain: str) -> bool:
        """Whether we receive mail for the domain."""

    async def find_mailbox(self, address: Address) -> Mailbox | None:
        """The mailbox behind an address or alias, whatever its state."""

    async def return_path(self, address: Address) -> Address | None:
        """Whom a bounce to a rewritten sender of ours goes to; None for all other addresses.

        Raises InputError `return-path-forged`, `return-path-old`.
        """


@dataclass(frozen=True, slots=True)
class Sent:
    """What a user has had taken, refused messages not counted."""

    recipients_hour: int = 0
    recipients_day: int = 0
    messages_day: int = 0


class Records(Protocol):
    """What the database knows of mail that was taken."""

    async def sent(self, login: str) -> Sent:
        """What a user has sent in the last hour and day, by any way."""

    async def backlog(self) -> int:
        """Recipients that wait in the queue."""

    async def has_come_back(self, network: bytes, triplet: bytes) -> bool:
        """Whether a sender may pass the greylist; if not, it is asked to come again."""


class BodyWriter(Protocol):
    """Takes the bytes of one message. Methods may block: call them in a thread."""

    def write(self, data: bytes) -> None:
        """Add bytes. Raises Unavailable `disk-full` or the like; then only `abandon` is left."""

    def finish(self) -> Body:
        """The body as written."""

    def abandon(self) -> None:
        """Forget the bytes."""


class Spool(Protocol):
    """Where bodies wait for their verdict."""

    def writer(self) -> BodyWriter:
        """A place for a new body."""

    def discard(self, body: Body) -> None:
        """Remove a body unless it was kept meanwhile. Blocks."""


class Outcome(Protocol):
    """What became of a message."""

    @property
    def queue_id(self) -> str:
        """The name of the message from now on."""

    @property
    def verdict(self) -> Verdict:
        """Queued up to WARN, held at HOLD and QUARANTINE, else not kept."""


class Intake(Protocol):
    """The gate."""

    async def receive(self, envelope: Envelope, body: Body) -> Outcome:
        """Judge, sign and store. When it returns an accepted outcome, the message is durable."""
