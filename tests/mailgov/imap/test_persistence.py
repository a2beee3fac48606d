"""What stays on the disk, and what the index makes of what it finds there."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailgov.imap.account import Account, FolderError
from mailgov.imap.folder import Folder

NO_FLAGS: frozenset[str] = frozenset()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "an"


@pytest.fixture
def account(home: Path) -> Iterator[Account]:
    account = Account(home)
    yield account
    account.close()


def reopened(account: Account, home: Path) -> Account:
    account.close()
    account.__init__(home)  # type: ignore[misc]  # as a new process would
    return account


def subjects(folder: Folder) -> dict[int, bytes]:
    return {uid: folder.read(entry)[0] for uid, entry in folder.entries.items()}


def deliver(home: Path, name: str, data: bytes, part: str = "new") -> Path:
    file = home / "Maildir" / part / name
    file.write_bytes(data)
    return file


def files(home: Path) -> list[str]:
    return sorted(file.name for file in (home / "Maildir" / "cur").iterdir())


def test_everything_is_there_again(account: Account, home: Path) -> None:
    inbox = account.folder("INBOX")
    inbox.append(b"A", frozenset({"\\Seen"}), 1_700_000_000)
    inbox.append(b"B", NO_FLAGS, 1_700_000_001)
    inbox.set_flags([2], "+", frozenset({"\\Flagged", "$Forwarded"}))
    account.create("Công văn/2026")
    before = inbox.uidvalidity
    inbox = reopened(account, home).folder("INBOX")
    assert inbox.uidvalidity == before
    assert inbox.uidnext == 3
    assert [(e.uid, e.flags, e.received, e.size) for e in inbox.entries.values()] == [
        (1, {"\\Seen"}, 1_700_000_000, 1),
        (2, {"\\Flagged", "$Forwarded"}, 1_700_000_001, 1),
    ]
    assert "Công văn/2026" in account.names()


def test_names_on_the_disk_are_those_of_dovecot(account: Account, home: Path) -> None:
    account.create("Công văn/2026")
    assert (home / "Maildir" / ".Công văn.2026" / "maildirfolder").is_file()
    uid = account.folder("INBOX").append(b"ABC", frozenset({"\\Seen", "\\Draft"}), 0)
    assert uid == 1
    (name,) = files(home)
    assert name.endswith(",S=3,W=3:2,DS")


def test_uids_are_never_used_again(account: Account, home: Path) -> None:
    inbox = account.folder("INBOX")
    inbox.append(b"A", frozenset({"\\Deleted"}), 0)
    inbox.expunge()
    inbox = reopened(account, home).folder("INBOX")
    assert inbox.append(b"B", NO_FLAGS, 0) == 2


def test_a_folder_made_again_has_another_uidvalidity(account: Account) -> None:
    account.create("Tam")
    before = account.folder("Tam").uidvalidity
    account.delete("Tam")
    account.create("Tam")
    assert account.folder("Tam").uidvalidity > before


def test_a_lost_index_is_made_anew(account: Account, home: Path) -> None:
    inbox = account.folder("INBOX")
    inbox.append(b"A", frozenset({"\\Seen"}), 1_700_000_000)
    before = inbox.uidvalidity
    account.close()
    (home / "index.db").unlink()
    account.__init__(home)  # type: ignore[misc]
    inbox = account.folder("INBOX")
    assert inbox.uidvalidity >= before
    assert [(e.flags, e.received) for e in inbox.entries.values()] == [({"\\Seen"}, 1_700_000_000)]


def test_a_damaged_index_is_put_aside(account: Account, home: Path) -> None:
    account.folder("INBOX").append(b"A", NO_FLAGS, 0)
    account.close()
    (home / "index.db").write_bytes(b"no database" * 1000)
    account.__init__(home)  # type: ignore[misc]
    assert subjects(account.folder("INBOX")) == {1: b"A"}
    assert list(home.glob("index.db.damaged-*"))


def test_deliveries_get_uids_in_the_order_of_arrival(account: Account, home: Path) -> None:
    inbox = account.folder("INBOX")
    for name, second in (("b", 1), ("a", 2), ("c", 1)):
        os.utime(deliver(home, name, name.encode()), (second, second))
    inbox.refresh()
    assert subjects(inbox) == {1: b"b", 2: b"c", 3: b"a"}
    assert files(home) == ["a:2,", "b:2,", "c:2,"]


def test_what_other_programs_do_is_taken_in(account: Account, home: Path) -> None:
    inbox = account.folder("INBOX")
    for name in ("a", "b"):
        deliver(home, name, name.encode())
    inbox.refresh()
    cur = home / "Maildir" / "cur"
    (cur / "a:2,").rename(cur / "a:2,Sab")  # `a` and `b` are keywords of Dovecot's
    (cur / "b:2,").unlink()
    deliver(home, "c:2,F", b"c", "cur")
    inbox.refresh()
    assert [(e.uid, e.flags) for e in inbox.entries.values()] == [
        (1, {"\\Seen"}),
        (3, {"\\Flagged"}),
    ]
    inbox.set_flags([1], "", frozenset({"\\Answered"}))
    assert files(home) == ["a:2,Rab", "c:2,F"]


def test_a_crash_between_file_and_row_loses_nothing(
    account: Account, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = account.folder("INBOX")
    inbox.append(b"A", NO_FLAGS, 0)
    deliver(home, "b", b"B")

    def crash(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "insert", crash)
        with pytest.raises(SystemExit):
            inbox.refresh()
        with pytest.raises(SystemExit):
            inbox.append(b"C", NO_FLAGS, 1)
        with pytest.raises(SystemExit):
            inbox.receive(inbox, [1], move=False)
        # A dying process does not close its files nicely.
        patch.setattr(Folder, "save", lambda _: None)
        reopened(account, home)
    assert sorted(subjects(account.folder("INBOX")).values()) == [b"A", b"A", b"B", b"C"]


def test_moving_needs_no_room_and_copying_does(account: Account) -> None:
    inbox, archive = account.folder("INBOX"), account.folder("Archive")
    inbox.append(b"x" * 600, NO_FLAGS, 0)
    assert account.used_bytes() == 600
    with pytest.raises(FolderError, match="full"):
        account.require_room(600, 1000)
    assert archive.receive(inbox, [1], move=True) == [(1, 1)]
    assert not inbox.entries
    assert subjects(archive) == {1: b"x" * 600}


def test_renaming_takes_folders_below_along(account: Account, home: Path) -> None:
    for name in ("A", "A/B", "A/B/C", "AB"):
        account.create(name)
    account.folder("A/B").append(b"x", NO_FLAGS, 0)
    account.rename("A", "Z/Y")
    assert {"Z/Y", "Z/Y/B", "Z/Y/B/C", "AB"} <= set(account.names())
    assert "A" not in account.names()
    assert subjects(reopened(account, home).folder("Z/Y/B")) == {1: b"x"}


def test_renaming_the_inbox_moves_its_messages(account: Account) -> None:
    account.folder("INBOX").append(b"x", NO_FLAGS, 0)
    account.rename("INBOX", "Cu")
    assert subjects(account.folder("Cu")) == {1: b"x"}
    assert not account.folder("INBOX").entries


def test_a_folder_that_lost_its_directory_is_forgotten(account: Account, home: Path) -> None:
    account.create("Tam")
    account.close()
    for part in ("cur", "new", "tmp"):
        (home / "Maildir" / ".Tam" / part).rmdir()
    account.__init__(home)  # type: ignore[misc]
    assert "Tam" not in account.names()
