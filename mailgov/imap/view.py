"""A folder as one session knows it: sequence numbers, and what it has been told.

Like the folder, used in the thread of the mailbox alone.
"""

from bisect import bisect_left, bisect_right

from mailgov.imap.folder import Entry, Folder
from mailgov.imap.wire import Refused, SequenceSet


class View:
    """A selected folder."""

    def __init__(self, folder: Folder, *, writable: bool) -> None:
        self.folder = folder
        self.writable = writable
        self.uids = list(folder.entries)
        self.recent: set[int] = set()
        self._last_uid = folder.uidnext - 1
        self._version = folder.version
        self._untold = False  # removals that the client could not be told yet
        self._claim_recent()

    def _claim_recent(self) -> None:
        """The first session that may change the folder finds new messages recent (RFC 3501, 2.3.2)."""
        folder = self.folder
        first = folder.claim_recent() if self.writable else folder.recent_from
        self.recent.update(uid for uid in self.uids[bisect_left(self.uids, first) :])

    def flags(self, entry: Entry) -> frozenset[str]:
        """The flags of a message as this session sees them."""
        return entry.flags | {"\\Recent"} if entry.uid in self.recent else entry.flags

    def flags_list(self, entry: Entry) -> bytes:
        """The flags on the wire."""
        return b"(%b)" % " ".join(sorted(self.flags(entry))).encode("ascii", "replace")

    def sync(self, *, expunges: bool) -> list[bytes]:
        """What the session has not heard yet, as responses without line ends.

        Without `expunges` numbers of messages stay as they are (RFC 3501, 7.4.1). Raises Refused
        when the folder is gone.
        """
        if self.folder.gone:
            raise Refused("the folder was deleted")
        self.folder.refresh()
        if self.folder.version == self._version and not (self._untold and expunges):
            return []
        entries = self.folder.entries
        gone = [at for at, uid in enumerate(self.uids) if uid not in entries][::-1]
        told: list[bytes] = []
        if expunges:
            for at in gone:  # from the last one on, so that the numbers before it hold
                self.recent.discard(self.uids.pop(at))
                told.append(b"* %d EXPUNGE" % (at + 1))
        self._untold = bool(gone) and not expunges
        told += self._flag_changes()
        told += self._tell_arrivals()
        self._version = self.folder.version
        return told

    def _flag_changes(self) -> list[bytes]:
        entries = self.folder.entries
        pairs = ((number, entries.get(uid)) for number, uid in enumerate(self.uids, 1))
        return [
            b"* %d FETCH (UID %d FLAGS %b)" % (number, entry.uid, self.flags_list(entry))
            for number, entry in pairs
            if entry is not None and entry.changed > self._version
        ]

    def _tell_arrivals(self) -> list[bytes]:
        new = [uid for uid in self.folder.entries if uid > self._last_uid]
        if not new:
            return []
        self.uids += new
        self._last_uid = new[-1]
        self._claim_recent()
        return [b"* %d EXISTS" % len(self.uids), b"* %d RECENT" % len(self.recent)]

    def heard(self) -> None:
        """The session has just been told everything about flags by other means."""
        self._version = self.folder.version

    def chosen(self, numbers: SequenceSet, *, by_uid: bool) -> list[tuple[int, int]]:
        """Sequence numbers and UIDs of the messages named, ascending; others are passed over."""
        chosen: set[int] = set()
        for first, last in numbers:
            chosen.update(self._uid_range(first, last) if by_uid else self._range(first, last))
        return [(at + 1, self.uids[at]) for at in sorted(chosen)]

    def _range(self, first: int | None, last: int | None) -> range:
        low, high = sorted((first or len(self.uids), last or len(self.uids)))
        return range(max(low, 1) - 1, min(high, len(self.uids)))

    def _uid_range(self, first: int | None, last: int | None) -> range:
        highest = self.uids[-1] if self.uids else 0
        low, high = sorted((first or highest, last or highest))
        return range(bisect_left(self.uids, low), bisect_right(self.uids, high))

    def holds(self, number: int, numbers: SequenceSet) -> bool:
        """Whether a sequence number is in the set."""
        return _holds(number, numbers, len(self.uids))

    def holds_uid(self, uid: int, numbers: SequenceSet) -> bool:
        """Whether a UID is in the set."""
        return _holds(uid, numbers, self.uids[-1] if self.uids else 0)


def _holds(value: int, numbers: SequenceSet, highest: int) -> bool:
    for first, last in numbers:
        low, high = sorted((first or highest, last or highest))
        if low <= value <= high:
            return True
    return False
