"""How much mail a mailbox holds, from the names of its files. Each folder is listed again only when it
has changed.
"""

import os
import re
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

MAILBOXES = 10_000  # whose sums are kept
_SIZE = re.compile(r",S=(\d+)")


@dataclass(slots=True)
class _Folder:
    """The sum of one directory, and the moment of change that it belongs to."""

    changed_ns: int
    used_bytes: int


@dataclass
class Space:
    """Sums of mailboxes, kept between deliveries. May be used by several threads."""

    _known: OrderedDict[Path, dict[str, _Folder]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def used_bytes(self, maildir: Path) -> int:
        """The size of all messages; 0 where there is no mailbox yet. Blocks; raises OSError."""
        with self._lock:
            before = self._known.pop(maildir, {})
        now: dict[str, _Folder] = {}
        for folder in _folders(maildir):
            for part in ("cur", "new"):
                path = os.path.join(folder, part)  # noqa: PTH118 - some hundred a second
                try:
                    changed_ns = os.stat(path).st_mtime_ns  # noqa: PTH116
                except FileNotFoundError:
                    continue
                known = before.get(path)
                if known is None or known.changed_ns != changed_ns:
                    known = _Folder(changed_ns, _sum(path))
                now[path] = known
        with self._lock:
            self._known[maildir] = now
            while len(self._known) > MAILBOXES:
                self._known.popitem(last=False)
        return sum(folder.used_bytes for folder in now.values())


def _folders(maildir: Path) -> list[str]:
    """INBOX and the folders beside it (Maildir++)."""
    try:
        with os.scandir(maildir) as entries:
            below = [e.path for e in entries if e.name.startswith(".") and e.is_dir()]
    except FileNotFoundError:
        return []
    return [str(maildir), *below]


def _sum(path: str) -> int:
    """The bytes of the messages in a directory; a name without size costs a look at the file."""
    total = 0
    with os.scandir(path) as entries:
        for entry in entries:
            found = _SIZE.search(entry.name)
            total += int(found[1]) if found else entry.stat().st_size
    return total
