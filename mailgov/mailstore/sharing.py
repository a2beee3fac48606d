"""Rights to mailboxes as Dovecot reads them: a file in the inbox, which all folders go by.

Holders of delegations find the mailboxes below `Dùng chung/` (plan.SHARED); what they may do there is in
`dovecot-acl`. A recalled mailbox that its holder may still read has the same file, about the owner.
https://doc.dovecot.org/2.3/configuration_manual/acl/
"""

from collections.abc import Iterable
from pathlib import Path

from mailgov.addresses import Address
from mailgov.mailstore import layout
from mailgov.mailstore.plan import SHARED
from mailgov.mailstore.users import User, write_whole

# RFC 4314, 2.1. Whoever reads for an office also notes what has been read; whoever writes in its name
# works there: flags, filing, folders. Only its own holder may remove folders.
READ = "lrs"
WORK = "lrswtipek"
ACL_FILE = "dovecot-acl"
DELIVERY_ID = "Mailgov-Delivery-Id"
REPEATS_FOR_SECONDS = 10 * 24 * 3600  # longer than a message is tried
FIRST_FILTER = f"""# Written by mailgov: a message whose delivery was repeated is kept once.
require ["duplicate"];
if duplicate :header "{DELIVERY_ID}" :seconds {REPEATS_FOR_SECONDS} {{
  discard;
  stop;
}}
"""


def rights_file(user: User) -> str:
    """The rights to a mailbox; empty when nobody but the owner has any, and the owner has all."""
    lines = [f"user={holder} {WORK if works else READ}\n" for holder, works in user.shared_with]
    if user.read_only:
        lines.insert(0, f"owner {READ[:2]}\n")
    return "".join(sorted(lines))


def shared_file(users: Iterable[User]) -> str:
    """Who finds whose mailbox: a file dictionary of Dovecot, its lines keys and values in turn."""
    pairs = sorted((holder, user.address) for user in users for holder, _ in user.shared_with)
    return "".join(f"shared/shared-boxes/user/{holder}/{of}\n1\n" for holder, of in pairs)


def pairs(text: str) -> set[tuple[str, str]]:
    """Holder and mailbox of every line of that file."""
    keys = [line.split("/") for line in text.splitlines()[::2]]
    return {(key[-2], key[-1]) for key in keys}


def write_rights(users: Iterable[User], data: Path) -> None:
    """Write, change or remove the file of each mailbox. Blocks on the disk."""
    for user in users:
        maildir = layout.maildir(data, Address.parse(user.home or user.address))
        file, text = maildir / ACL_FILE, rights_file(user)
        if text:
            for part in ("tmp", "new", "cur"):  # there, for others, before the first message
                (maildir / part).mkdir(mode=0o700, parents=True, exist_ok=True)
            if not file.exists() or file.read_text("utf-8") != text:
                write_whole(file, text)
        else:
            file.unlink(missing_ok=True)


def shared_inbox(address: str) -> str:
    """The folder in which a holder finds the inbox of a mailbox shared with them."""
    return f"{SHARED}/{address}"
