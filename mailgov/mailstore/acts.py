"""What people did to their mail, as Dovecot's log tells (plugin mail_log).

Lines look like `imap(an@x.vn)<><session>: Info: flag_change: box=INBOX, uid=3, msgid=<1@x.vn>,
flags=(\\\\Seen)`; between the first angle brackets stands who opened the mailbox in whose name.
"""

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["read", "flagged", "answered", "filed", "removed", "saved"]
_WHO = re.compile(r"imap\((?P<address>[^)]+)\)<(?P<opener>[^>]*)><[^>]*>")
_WHAT = re.compile(
    r"(?:Mailbox .*?: )?(?P<event>[a-z_]+)(?: [^:]*)?: box=(?P<folder>.*?), uid=[^,]*, msgid=(?P<id>.*?), flags=\((?P<flags>[^)]*)\)"
)
_EVENTS: dict[str, Kind] = {
    "copy": "filed",
    "delete": "removed",
    "expunge": "removed",
    "save": "saved",
}
_FLAGS: dict[str, Kind] = {"\\Answered": "answered", "\\Flagged": "flagged", "\\Seen": "read"}


@dataclass(frozen=True, slots=True)
class Act:
    """Somebody did something to a message of a mailbox, with a mail program of their own."""

    address: str
    kind: Kind
    folder: str
    message_id: str


def read_act(service: str, text: str) -> Act | None:
    """The act that a line of the log tells of; None when it tells of none.

    What the webmail does it tells itself.
    """
    who, what = _WHO.fullmatch(service), _WHAT.fullmatch(text)
    if who is None or what is None or who["opener"] != who["address"]:
        return None
    kind = _EVENTS.get(what["event"])
    if what["event"] == "flag_change":
        flags = what["flags"].split()
        kind = next((kind for flag, kind in _FLAGS.items() if flag in flags), None)
    if kind is None:
        return None
    return Act(who["address"], kind, what["folder"], what["id"].strip("<>"))
