"""The secret with which the webmail opens mailboxes in the name of whoever signed in to it.

IMAP user name `<address>*webmail`; the password is random, in a file that only we may read, made
once. So the webmail needs to keep nobody's password.
"""

import base64
import hashlib
import os
import secrets
from pathlib import Path

USER = "webmail"
SEPARATOR = "*"  # between the mailbox and the one who opens it


def login_name(address: str) -> str:
    """The IMAP user name under which the webmail opens a mailbox."""
    return f"{address}{SEPARATOR}{USER}"


def secret(data: Path) -> str:
    """The secret in `<data>/run/imap-master`, made when missing. Blocks on the disk.

    Several processes may ask at once: the file appears whole, and the first one's stays.
    """
    file = data / "run" / "imap-master"
    try:
        return file.read_text("ascii").strip()
    except FileNotFoundError:
        pass
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f".imap-master.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(secrets.token_urlsafe(32) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    try:
        os.link(draft, file)
    except FileExistsError:
        pass  # another process was first; its secret counts
    finally:
        draft.unlink()
    return file.read_text("ascii").strip()


def hashed(secret: str) -> str:
    """The secret as Dovecot's passwd-file holds it. A fast hash does for 256 random bits."""
    return "{SHA256}" + base64.b64encode(hashlib.sha256(secret.encode()).digest()).decode()
