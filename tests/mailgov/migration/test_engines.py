"""From the embedded server to Dovecot and back: clients find what they knew under the same numbers."""

import imaplib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mailgov.migration import engines

from ...support.imap_engines import Engine, _run, config_for, require_dovecot
from .moving import NOW, message, signed_in

FOLDER = '"C&APQ-ng v&AQM-n/2026"'


@contextmanager
def running(name: str, data: Path) -> Iterator[Engine]:
    """An engine on a data folder, as the role starts it."""
    engines.follow(data, "dovecot" if name == "dovecot" else "embedded")
    started = _run(name, data)
    engine = next(started)
    try:
        yield engine
    finally:
        assert next(started, None) is None


def seen(engine: Engine, address: str) -> dict[str, object]:
    """Everything that a client keeps notes of."""
    found: dict[str, object] = {}
    with signed_in(engine, address) as client:
        found["subscribed"] = sorted(line.rsplit(b'"/" ', 1)[1].strip(b'"') for line in client.lsub()[1])  # fmt: skip
        for folder in ("INBOX", FOLDER, "Sent"):
            client.select(folder, readonly=True)
            rows = client.uid("FETCH", "1:*", "(UID FLAGS RFC822.SIZE BODY.PEEK[])")[1]
            messages = {}
            for row in rows:
                if isinstance(row, tuple):
                    uid = int(row[0].split(b"UID ")[1].split()[0])
                    flags = {flag.decode() for flag in imaplib.ParseFlags(row[0])}
                    messages[uid] = (frozenset(flags - {"\\Recent"}), row[1])
            validity = client.untagged_responses["UIDVALIDITY"][-1]
            uidnext = client.untagged_responses["UIDNEXT"][-1]
            found[folder] = (validity, uidnext, messages)
    return found


def at(second: int) -> str:
    return imaplib.Time2Internaldate(NOW.timestamp() + second)


@pytest.mark.dovecot
def test_there_and_back_nothing_changes(tmp_path: Path) -> None:
    require_dovecot(config_for(tmp_path))
    with running("embedded", tmp_path) as engine:
        address = engine.mailbox()
        with signed_in(engine, address) as client:
            client.create(FOLDER)
            client.subscribe(FOLDER)
            for number in range(5):
                client.append("INBOX", r"(\Seen $Forwarded)" if number % 2 else "", at(number), message(number))  # fmt: skip
            client.append(FOLDER, "(VanBan Gap)", at(9), message(9))
            client.select("INBOX")
            client.uid("STORE", "2", "+FLAGS", r"(\Deleted)")
            client.expunge()
            client.uid("STORE", "3", "+FLAGS", r"(\Flagged Khan)")
        engine.deliver(address, [message(20)])
        before = seen(engine, address)
    with running("dovecot", tmp_path) as engine:
        assert seen(engine, address) == before
        with signed_in(engine, address) as client:
            client.append("INBOX", "(Khan)", at(30), message(30))
            client.select("INBOX")
            client.uid("STORE", "4", "-FLAGS", r"(\Seen $Forwarded)")
            client.uid("STORE", "1", "+FLAGS", r"(\Deleted)")
            client.expunge()
            client.unsubscribe(FOLDER)
        changed = seen(engine, address)
    with running("embedded", tmp_path) as engine:
        assert seen(engine, address) == changed
        with signed_in(engine, address) as client:
            client.append("Sent", r"(\Seen Khan)", at(40), message(40))
            client.select(FOLDER)
            client.uid("STORE", "1", "-FLAGS", "(Gap)")
        last = seen(engine, address)
    with running("dovecot", tmp_path) as engine:
        assert seen(engine, address) == last


@pytest.mark.dovecot
def test_where_nobody_knows_who_kept_the_mail_the_books_tell(tmp_path: Path) -> None:
    require_dovecot(config_for(tmp_path))
    with running("embedded", tmp_path) as engine:
        address = engine.mailbox()
        with signed_in(engine, address) as client:
            client.create(FOLDER)
            client.append("INBOX", "(VanBan)", at(1), message(1))
        before = seen(engine, address)
    (tmp_path / "mail" / engines.MARK).unlink()
    with running("dovecot", tmp_path) as engine:
        assert seen(engine, address) == before


def test_the_same_engine_again_finds_everything_as_it_was(tmp_path: Path) -> None:
    with running("embedded", tmp_path):
        pass
    assert engines.follow(tmp_path, "embedded") == 0


def test_a_damaged_list_costs_one_folder_its_numbers_and_nothing_else(tmp_path: Path) -> None:
    with running("embedded", tmp_path) as engine:
        address = engine.mailbox()
        with signed_in(engine, address) as client:
            client.create(FOLDER)
            client.append("INBOX", "", at(1), message(1))
            client.append("Sent", "", at(1), message(2))
        maildir = engine.maildir(address)
    engines.carry_over(maildir.parent, "dovecot")
    (maildir / "dovecot-uidlist").write_bytes(b"\0\xff rubbish\n")
    (tmp_path / "mail" / engines.MARK).write_text("dovecot\n")
    with running("embedded", tmp_path) as engine:
        found = seen(engine, address)
    for folder, number in (("INBOX", 1), ("Sent", 2)):
        _, _, messages = found[folder]  # type: ignore[misc]
        assert [data for _, data in messages.values()] == [message(number)]
