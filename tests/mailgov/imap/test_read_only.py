"""A mailbox that may only be read: it was recalled, and its holder reads on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailgov.imap import ImapServer
from mailgov.mailstore import reach
from tests.support.imap_engines import (
    PASSWORD,
    Engine,
    Holder,
    LoopThread,
    TestDirectory,
    config_for,
)
from tests.support.imap_wire import Wire

ADDRESS, SUSPENDED = "an@vidu.gov.vn", "binh@vidu.gov.vn"
MESSAGE = b"Subject: mot\r\n\r\n1\r\n"
REFUSED = b"NO [NOPERM] the mailbox may only be read"


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A server whose mailboxes may only be read, with one message."""
    data: Path = tmp_path_factory.mktemp("reading")
    directory = TestDirectory((ADDRESS, SUSPENDED))
    for address, state in ((ADDRESS, "reading"), (SUSPENDED, "suspended")):
        directory.holders[address] = Holder(address, state)
    loop = LoopThread()
    server = ImapServer(config_for(data), directory, poll_seconds=0.05)
    host, port = reach.split(loop.run(server.start()))
    engine = Engine("embedded", config_for(data), loop, server, [ADDRESS], host, port)
    engine.deliver(ADDRESS, [MESSAGE])
    yield engine
    loop.run(server.stop())
    loop.close()


@pytest.fixture
def wire(reading: Engine) -> Iterator[Wire]:
    with reading.wire(ADDRESS) as wire:
        assert wire.run(b"SELECT INBOX")[-1].endswith(b"OK [READ-ONLY] folder opened")
        yield wire


@pytest.mark.parametrize(
    "command",
    [
        b"STORE 1 +FLAGS (\\Seen)",
        b"UID STORE 1 FLAGS ()",
        b"EXPUNGE",
        b"UID EXPUNGE 1",
        b"MOVE 1 Trash",
        b"UID MOVE 1 Trash",
        b"COPY 1 Trash",
        b"UID COPY 1 Trash",
        b"CREATE Moi",
        b"DELETE Trash",
        b"RENAME Trash Rac",
        b"SUBSCRIBE Trash",
        b"UNSUBSCRIBE Trash",
        b"APPEND INBOX {4+}\r\nabcd",
    ],
)
def test_whatever_changes_something_is_refused(wire: Wire, command: bytes) -> None:
    (answer,) = wire.run(command)
    assert answer.endswith(REFUSED)


def test_messages_are_read_and_stay_unread(wire: Wire) -> None:
    assert MESSAGE in b"".join(wire.ok(b"FETCH 1 (BODY[])"))
    assert b"FLAGS (\\Seen" not in b"".join(wire.ok(b"FETCH 1 (FLAGS)"))
    assert b"* SEARCH 1" in wire.ok(b"SEARCH SUBJECT mot")
    wire.ok(b"CLOSE")
    assert b"(MESSAGES 1 UNSEEN 1)" in b"".join(wire.ok(b"STATUS INBOX (MESSAGES UNSEEN)"))


def test_no_program_opens_a_suspended_one(reading: Engine) -> None:
    with reading.wire() as wire:
        answer = wire.run(
            b"LOGIN binh@vidu.gov.vn {%d+}\r\n%b" % (len(PASSWORD.encode()), PASSWORD.encode())
        )
        assert b"[AUTHENTICATIONFAILED]" in answer[-1]
