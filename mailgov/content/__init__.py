"""What is in the bytes of a message: from bytes to frozen facts, without judging.

    bytes → prescan → parts → header, texts, files → marks, documents → facts.Content

Everything here is pure: no clock, socket, file or log. Whoever reads mail from strangers calls it in
a sandboxed process (`mailgov.readers`).
"""

from mailgov.config import Limits
from mailgov_policies.facts import Content

READER_VERSION = 8  # Raise it whenever the same bytes could give other facts.


def read_message(
    data: bytes, limits: Limits | None = None, trust_roots: tuple[bytes, ...] = ()
) -> Content:
    """Everything that the bytes say. Equal bytes and roots give equal facts.

    `trust_roots` are certificates in DER that may vouch for signers.

    Never raises on bad input: what keeps the message from having one reading is named in
    `malformed`, what could not be opened in `unscannable` or in the state of the attachment. Only
    MemoryError passes.
    """
    # Imported at first use: the parsers of all formats cost 0.2 s, and most processes never read.
    from mailgov.content.facts import read

    return read(data, limits or Limits(), trust_roots)
