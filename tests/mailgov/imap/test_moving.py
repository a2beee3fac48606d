"""One mailbox under one engine after the other: nothing is lost, and neither harms the other's files."""

import pytest

from mailgov.imap.account import Account
from tests.support.imap_engines import Engine

pytestmark = pytest.mark.dovecot

MESSAGE = "Subject: Giấy mời\r\n\r\nKính gửi\r\n".encode()


def test_from_the_embedded_server_to_dovecot(dovecot_engine: Engine) -> None:
    address = dovecot_engine.mailbox()
    account = Account(dovecot_engine.maildir(address).parent)
    account.create("Công văn/2026")
    account.folder("Công văn/2026").append(
        MESSAGE, frozenset({"\\Seen", "\\Flagged"}), 1_700_000_000
    )
    account.close()
    with dovecot_engine.wire(address) as wire:
        assert b"* 1 EXISTS" in wire.ok(b'SELECT "C&APQ-ng v&AQM-n/2026"')
        (answer,) = wire.ok(b"FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])")
    assert MESSAGE in answer
    assert b"\\Seen" in answer
    assert b"\\Flagged" in answer
    assert b'"14-Nov-2023' in answer or b'"15-Nov-2023' in answer
    assert b"RFC822.SIZE %d" % len(MESSAGE) in answer


def test_from_dovecot_to_the_embedded_server_and_back(dovecot_engine: Engine) -> None:
    address = dovecot_engine.mailbox()
    with dovecot_engine.wire(address) as wire:
        wire.ok(b'CREATE "C&APQ-ng v&AQM-n/2026"')
        for folder in (b"INBOX", b'"C&APQ-ng v&AQM-n/2026"'):
            wire.append(folder, MESSAGE, b"(\\Answered $Forwarded) ")
        wire.ok(b"SELECT INBOX")
        before = wire.ok(b"FETCH 1 (UID FLAGS)")
    account = Account(dovecot_engine.maildir(address).parent)
    for name in ("INBOX", "Công văn/2026"):
        folder = account.folder(name)
        (entry,) = folder.entries.values()
        assert entry.flags == {"\\Answered"}
        assert folder.read(entry)[0] == MESSAGE
    inbox = account.folder("INBOX")
    inbox.set_flags([1], "+", frozenset({"\\Seen"}))
    account.close()
    with dovecot_engine.wire(address) as wire:
        wire.ok(b"SELECT INBOX")
        after = wire.ok(b"FETCH 1 (UID FLAGS)")
    # Dovecot keeps its UID and its keyword, and takes over the new flag.
    assert before[0].split(b" FLAGS")[0] == after[0].split(b" FLAGS")[0]
    assert b"$Forwarded" in after[0]
    assert b"\\Seen" in after[0]
