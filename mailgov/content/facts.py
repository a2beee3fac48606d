"""From the bytes of a message to its facts: the only door of this room."""

from mailgov.config import Limits
from mailgov_policies.facts import Content

READER_VERSION = 1  # Raise it whenever the same bytes could give other facts.


def read_message(data: bytes, limits: Limits | None = None) -> Content:
    """Everything that the bytes say. Equal bytes give equal facts.

    Never raises on bad input: what keeps the message from having one reading is named in
    `malformed`, what could not be opened in `unscannable` or in the state of the attachment.
    """
    limits = limits or Limits()
    if len(data) > limits.message_bytes:
        return Content(len(data), unscannable="message too large", reader=READER_VERSION)
    return Content(len(data), unscannable="not opened", reader=READER_VERSION)
