"""What parent and reader process say to each other over their socket pair.

The parent sends its settings as one frame of JSON, then for each message eight bytes of size with
the descriptor of the body. The reader answers with frames: one kind byte, four bytes of length, the
content: `S` started (measures in force), `C` facts as JSON, `E` why there are none.
"""

import struct
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from mailgov.config import Limits, Readers
from mailgov_policies.facts import Content

MAX_RESULT_BYTES = 64 << 20
MAX_SETTINGS_BYTES = 4 << 20

FRAME = struct.Struct("!cI")
REQUEST = struct.Struct("!Q")
STARTED, FACTS, FAILED = b"S", b"C", b"E"

CONTENT: TypeAdapter[Content] = TypeAdapter(Content)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a reader process must know."""

    cpu_seconds: float
    memory_bytes: int
    limits: dict[str, Any]
    trust_roots: tuple[str, ...] = ()  # DER in base64

    @classmethod
    def of(cls, readers: Readers, limits: Limits, trust_roots: Iterable[bytes] = ()) -> "Settings":
        """From the configuration."""
        roots = tuple(b64encode(root).decode() for root in trust_roots)
        return cls(readers.cpu_seconds, readers.memory_bytes, limits.model_dump(), roots)

    @property
    def roots(self) -> tuple[bytes, ...]:
        """The trust roots as DER."""
        return tuple(map(b64decode, self.trust_roots))


SETTINGS: TypeAdapter[Settings] = TypeAdapter(Settings)


def frame(kind: bytes, content: bytes) -> bytes:
    """A frame, ready to send."""
    return FRAME.pack(kind, len(content)) + content
