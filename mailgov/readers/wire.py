"""What parent and reader process say to each other over their socket pair.

The parent sends its settings as one frame of JSON, then for each message eight bytes of size with
the descriptor of the body. The reader answers with frames: one kind byte, four bytes of length, the
content: `S` started (measures in force), `C` facts as JSON, `E` why there are none.
"""

import struct
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from mailgov.config import Limits, Readers
from mailgov_policies.facts import Content

MAX_RESULT_BYTES = 64 << 20
MAX_SETTINGS_BYTES = 1 << 16

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

    @classmethod
    def of(cls, readers: Readers, limits: Limits) -> "Settings":
        """From the configuration."""
        return cls(readers.cpu_seconds, readers.memory_bytes, limits.model_dump())


SETTINGS: TypeAdapter[Settings] = TypeAdapter(Settings)


def frame(kind: bytes, content: bytes) -> bytes:
    """A frame, ready to send."""
    return FRAME.pack(kind, len(content)) + content
