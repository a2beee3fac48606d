"""Where a mailbox lives: `<data>/mail/<domain>/<local>/Maildir`, the same for every engine.

Files are named so that Dovecot need not open them for their size: `<unique>,S=<bytes>,W=<bytes>`.
W counts line ends as two bytes; ours always are, so both numbers are equal.
"""

from pathlib import Path
from urllib.parse import quote

from mailgov.addresses import Address

# Folders that every mailbox has beside INBOX, with their use (RFC 6154). The names are those on the
# wire; the webmail shows Vietnamese ones. All folder names are UTF-8 on the disk (Maildir++).
SPECIAL_FOLDERS = {
    "Drafts": r"\Drafts",
    "Sent": r"\Sent",
    "Archive": r"\Archive",
    "Junk": r"\Junk",
    "Trash": r"\Trash",
}


def home(data: Path, address: Address) -> Path:
    """The folder of one mailbox, holding Maildir and index. Pure: makes nothing."""
    name = quote(address.local.lower(), safe="+=_")
    if name.startswith("."):  # `.` and `..` are not names of their own
        name = f"%2E{name[1:]}"
    return data / "mail" / address.domain / name


def maildir(data: Path, address: Address) -> Path:
    """The Maildir of one mailbox."""
    return home(data, address) / "Maildir"
