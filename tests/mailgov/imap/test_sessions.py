"""Several sessions on one mailbox, and deliveries while they look."""

from tests.support.imap_engines import Engine
from tests.support.imap_wire import Wire

ONE, TWO = b"Subject: mot\r\n\r\n1\r\n", b"Subject: hai\r\n\r\n2\r\n"


def idle(wire: Wire) -> bytes:
    """Begin IDLE; the tag to end it with."""
    tag = wire.start(b"IDLE")
    assert wire.response().startswith(b"+ ")
    return tag


def done(wire: Wire, tag: bytes) -> list[bytes]:
    wire.send(b"DONE\r\n")
    return wire.finish(tag)


def test_deliveries_show_at_the_next_command(engine: Engine) -> None:
    address = engine.mailbox()
    with engine.wire(address) as wire:
        assert b"* 0 EXISTS" in wire.ok(b"SELECT INBOX")
        engine.deliver(address, [ONE, TWO])
        assert b"* 2 EXISTS" in wire.ok(b"NOOP")
        (answer,) = wire.ok(b"FETCH 2 (UID BODY.PEEK[TEXT])")
        assert answer == b"* 2 FETCH (UID 2 BODY[TEXT] {3}\r\n2\r\n)"


def test_idle_tells_of_a_delivery(embedded_engine: Engine) -> None:
    address = embedded_engine.mailbox()
    with embedded_engine.wire(address) as wire:
        wire.ok(b"SELECT INBOX")
        tag = idle(wire)
        embedded_engine.deliver(address, [ONE])
        assert wire.response() == b"* 1 EXISTS"
        assert wire.response() == b"* 1 RECENT"
        assert done(wire, tag)[-1].endswith(b"OK idle no more")


def test_idle_tells_of_what_others_do(engine: Engine) -> None:
    address = engine.mailbox()
    engine.deliver(address, [ONE, TWO])
    with engine.wire(address) as first, engine.wire(address) as second:
        first.ok(b"SELECT INBOX")
        second.ok(b"SELECT INBOX")
        tag = idle(first)
        second.ok(b"STORE 1 +FLAGS (\\Deleted)")
        assert b"\\Deleted" in first.response()
        second.ok(b"EXPUNGE")
        assert first.response() == b"* 1 EXPUNGE"
        done(first, tag)


def test_numbers_stay_while_a_session_uses_them(engine: Engine) -> None:
    address = engine.mailbox()
    engine.deliver(address, [ONE, TWO])
    with engine.wire(address) as first, engine.wire(address) as second:
        first.ok(b"SELECT INBOX")
        second.ok(b"SELECT INBOX")
        second.ok(b"STORE 1 +FLAGS.SILENT (\\Deleted)")
        second.ok(b"EXPUNGE")
        answers = first.ok(b"FETCH 2 (BODY.PEEK[TEXT])")
        assert b"* 2 FETCH (BODY[TEXT] {3}\r\n2\r\n)" in answers
        assert not any(answer.endswith(b"EXPUNGE") for answer in answers)
        assert b"* 1 EXPUNGE" in first.ok(b"NOOP")


def test_only_the_first_session_finds_a_message_recent(engine: Engine) -> None:
    address = engine.mailbox()
    engine.deliver(address, [ONE])
    with engine.wire(address) as wire:
        assert b"* 1 RECENT" in wire.ok(b"EXAMINE INBOX")
        assert b"* 1 RECENT" in wire.ok(b"SELECT INBOX")
    with engine.wire(address) as wire:
        assert b"* 0 RECENT" in wire.ok(b"SELECT INBOX")


def test_reading_marks_as_seen_unless_peeked(engine: Engine) -> None:
    address = engine.mailbox()
    engine.deliver(address, [ONE])
    with engine.wire(address) as wire:
        wire.ok(b"SELECT INBOX")
        wire.ok(b"FETCH 1 BODY.PEEK[]")
        assert b"\\Seen" not in wire.ok(b"FETCH 1 FLAGS")[0]
        wire.ok(b"FETCH 1 BODY[1]")
        assert b"\\Seen" in wire.ok(b"FETCH 1 FLAGS")[0]


def test_a_folder_deleted_by_another_session_ends_this_one(embedded_engine: Engine) -> None:
    address = embedded_engine.mailbox()
    with embedded_engine.wire(address) as first, embedded_engine.wire(address) as second:
        first.ok(b"CREATE Tam")
        first.ok(b"SELECT Tam")
        second.ok(b"DELETE Tam")
        first.start(b"NOOP")
        assert first.response().startswith(b"* BYE")


def test_a_folder_renamed_stays_selected(embedded_engine: Engine) -> None:
    address = embedded_engine.mailbox()
    with embedded_engine.wire(address) as first, embedded_engine.wire(address) as second:
        first.ok(b"CREATE Cu")
        first.append(b"Cu", ONE)
        first.ok(b"SELECT Cu")
        second.ok(b"RENAME Cu Moi")
        assert first.ok(b"FETCH 1 BODY.PEEK[]") == [b"* 1 FETCH (BODY[] {19}\r\n%b)" % ONE]


def test_pieces_of_a_message(engine: Engine) -> None:
    address = engine.mailbox()
    engine.deliver(address, [ONE])
    with engine.wire(address) as wire:
        wire.ok(b"SELECT INBOX")
        pieces = [wire.ok(b"FETCH 1 BODY.PEEK[]<%d.7>" % at)[0] for at in (0, 7, 14, 21)]
    assert [piece.split(b"\r\n", 1)[1] for piece in pieces] == [
        b"Subject)",
        b": mot\r\n)",
        b"\r\n1\r\n)",
        b")",
    ]


def test_many_commands_at_once(engine: Engine) -> None:
    address = engine.mailbox()
    engine.deliver(address, [ONE, TWO])
    with engine.wire(address) as wire:
        tags = [wire.start(command) for command in (b"SELECT INBOX", b"FETCH 1:2 FLAGS", b"NOOP")]
        ends = [wire.finish(tag)[-1] for tag in tags]
    assert [end.split(b" ")[1] for end in ends] == [b"OK"] * 3
