"""What the pages ask of a mailbox. `imap.py` answers it over IMAP; tests answer it from memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

Role = Literal["inbox", "drafts", "sent", "archive", "junk", "trash", ""]
Filter = Literal["", "unread", "flag"]

SEEN, FLAGGED, ANSWERED = "\\Seen", "\\Flagged", "\\Answered"
FORWARDED = "$Forwarded"  # RFC 5788


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder with its counts. `role` is its special use (RFC 6154); empty: the user's own."""

    name: str
    role: Role
    total: int = 0
    unread: int = 0


@dataclass(frozen=True, slots=True)
class Summary:
    """One row of a list."""

    uid: int
    flags: frozenset[str]
    from_name: str
    from_address: str
    to: tuple[str, ...]  # names, or addresses where there is no name
    subject: str
    received_at: datetime
    size_bytes: int
    has_files: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """Part of a folder, newest first. `total` counts what the filter lets through."""

    folder: str
    uidvalidity: int
    total: int
    rows: tuple[Summary, ...]


@dataclass(frozen=True, slots=True)
class Quota:
    """Space taken and granted, in bytes; a limit of 0 means none is set."""

    used_bytes: int
    limit_bytes: int


class Mailbox(Protocol):
    """One person's mail. Every method raises Unavailable `mailstore-unavailable`,

    and NotFound `folder-missing` where the folder named does not exist.
    """

    async def folders(self) -> Sequence[Folder]:
        """All folders, those with a role first."""

    async def page(self, folder: str, offset: int, limit: int, filter: Filter = "") -> Listing:  # noqa: A002 - the word of the address bar
        """Rows from `offset` on, newest first."""

    async def fetch_raw(self, folder: str, uidvalidity: int, uid: int) -> bytes:
        """The bytes of a message. Raises NotFound `message-missing`."""

    async def uidvalidity(self, folder: str) -> int:
        """The value under which UIDs of the folder hold (RFC 3501, 2.3.1.1)."""

    async def flags(self, folder: str, uidvalidity: int, uid: int) -> frozenset[str]:
        """The flags of a message. Raises NotFound `message-missing`."""

    async def set_flags(
        self,
        folder: str,
        uids: Sequence[int],
        *,
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
    ) -> None:
        """Set and clear flags."""

    async def move(self, folder: str, uids: Sequence[int], to: str) -> Sequence[int]:
        """Move messages; their UIDs in the other folder, empty when the store does not say."""

    async def append(self, folder: str, data: bytes, flags: Sequence[str]) -> None:
        """Put a message into a folder."""

    async def delete(self, folder: str, uids: Sequence[int]) -> None:
        """Remove messages for good."""

    async def search(self, folder: str, criteria: str, limit: int) -> Listing:
        """The newest messages for which the search keys hold (RFC 3501, 6.4.4)."""

    async def quota(self) -> Quota | None:
        """Space of the mailbox; None when the store does not say."""


MailFactory = Callable[[str], Mailbox]
"""The mail of a mailbox, by its address."""
