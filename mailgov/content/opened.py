"""What opening a file tells, whatever its kind."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from mailgov.content.archives import Member

State = Literal["read", "encrypted", "unscannable", "bomb"]


@dataclass(frozen=True, slots=True)
class Opened:
    """A file looked into. `members` may be read once, and may raise Bomb or Damaged while read."""

    kind: str  # the true kind, containers told apart
    state: State = "read"
    why: str = ""
    macros: bool = False
    active: tuple[str, ...] = ()
    members: Iterable[Member] = ()
    properties: tuple[str, ...] = ()  # title, subject, keywords and the like
    captions: tuple[str, ...] = ()  # words of watermarks
    mime: bytes | None = None  # a MIME entity inside: what an S/MIME message signs
    is_archive: bool = False  # members are files that a person unpacks, not parts of a document
