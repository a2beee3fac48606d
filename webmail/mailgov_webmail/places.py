"""Folders and messages as addresses of pages name them, and the undo that a notice carries."""

import hashlib
import hmac
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from mailgov.errors import NotFound
from mailgov_webmail.mailbox import Folder, Role
from mailgov_webmail.words import Words

UNDO_SHOWN = timedelta(seconds=30)  # a notice that comes back with an old page stays away

_ROLES: tuple[Role, ...] = ("inbox", "drafts", "sent", "archive", "junk", "trash")
_REF = re.compile(r"([0-9a-f]{1,8})\.([0-9a-f]{1,8})")


def slug(folder: Folder) -> str:
    """The folder in an address: its role, or its name in letters that addresses may have."""
    if folder.role:
        return folder.role
    return "~" + urlsafe_b64encode(folder.name.encode()).decode().rstrip("=")


def folder_of(text: str, folders: Iterable[Folder]) -> Folder:
    """The folder that an address names. Raises NotFound `folder-missing`."""
    for folder in folders:
        if slug(folder) == text:
            return folder
    raise NotFound("folder-missing", folder=_name_in(text))


def name_of(folder: Folder, words: Words) -> str:
    """What people call the folder."""
    return words(f"folder.{folder.role}") if folder.role else folder.name


def usual_folders() -> list[Folder]:
    """The folders that every mailbox has, for pages shown while the store is away."""
    return [Folder("", role) for role in _ROLES]


def _name_in(text: str) -> str:
    if not text.startswith("~"):
        return text
    try:
        return urlsafe_b64decode(text[1:] + "==").decode()
    except (Base64Error, ValueError):
        return text


@dataclass(frozen=True, slots=True)
class MessageRef:
    """A message in a folder: its UID, and the UIDVALIDITY under which that holds (RFC 3501)."""

    uidvalidity: int
    uid: int

    def __str__(self) -> str:
        return f"{self.uidvalidity:x}.{self.uid:x}"

    @classmethod
    def parse(cls, text: str) -> "MessageRef":
        """Read from an address. Raises NotFound `message-missing`."""
        found = _REF.fullmatch(text)
        if found is None:
            raise NotFound("message-missing", folder="")
        return cls(int(found[1], 16), int(found[2], 16))


@dataclass(frozen=True, slots=True)
class Done:
    """What was just done to messages, and enough to undo it."""

    verb: str
    count: int
    folder: str = ""  # where they are now
    uidvalidity: int = 0
    uids: Sequence[int] = ()
    back_to: str = ""  # folder to move them back to
    add: Sequence[str] = ()  # flags to set again
    remove: Sequence[str] = ()  # flags to clear again
    to: str = ""  # where they went, for the notice
    draft: str = ""  # a dropped draft

    @property
    def can_undo(self) -> bool:
        """Whether there is a way back."""
        return bool(self.uids and (self.back_to or self.add or self.remove)) or bool(self.draft)

    def sealed(self, key: str, now: datetime) -> str:
        """For an address: only this sign-in can have made it."""
        fields = {name: value for name, value in asdict(self).items() if value}
        text = json.dumps({**fields, "at": int(now.timestamp())}, separators=(",", ":"))
        return f"{urlsafe_b64encode(text.encode()).decode()}.{_seal(text, key)}"

    @classmethod
    def opened(cls, sealed: str, key: str, now: datetime) -> "tuple[Done, bool] | None":
        """What a seal holds, and whether it is fresh enough to be shown; None when it is not ours."""
        packed, _, seal = sealed.partition(".")
        try:
            text = urlsafe_b64decode(packed.encode()).decode()
        except (Base64Error, ValueError):
            return None
        if not hmac.compare_digest(seal.encode(), _seal(text, key).encode()):
            return None
        fields = json.loads(text)
        age = now.timestamp() - fields.pop("at")
        return cls(**fields), age <= UNDO_SHOWN.total_seconds()


def _seal(text: str, key: str) -> str:
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()[:32]
