"""What is in the bytes of a message: from bytes to frozen facts, without judging.

    bytes → prescan → parts → header, texts, files → marks, documents → facts.Content

Everything here is pure: no clock, socket, file or log. Whoever reads mail from strangers calls it in
a sandboxed process (`mailgov.readers`).
"""

from mailgov.content.facts import READER_VERSION, read_message

__all__ = ["READER_VERSION", "read_message"]
