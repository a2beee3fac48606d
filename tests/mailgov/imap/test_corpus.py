"""Messages that nobody here wrote: the bytes served, and their description beside Dovecot's."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.imap_engines import Engine
from tests.support.imap_wire import Value, values

MAX_BYTES = 300_000
ODD = tomllib.loads(Path(__file__).with_name("odd_mail.toml").read_text("utf-8"))


def mail(corpus: Path) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of the messages, their line ends made CRLF as the relay hands them on."""
    for folder in (corpus / "third-party" / "mime", corpus / "policy-samples"):
        for file in sorted(folder.rglob("*")):
            if file.suffix not in (".eml", ".msg", ".txt", "") or not file.is_file():
                continue
            lines = file.read_bytes().replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            data = lines.replace(b"\n", b"\r\n")
            if data and b"\0" not in data and len(data) < MAX_BYTES:
                yield file.relative_to(folder).as_posix(), data


@pytest.mark.corpus
def test_bytes_stored_are_bytes_served(engine: Engine, corpus: Path) -> None:
    messages = list(mail(corpus))
    assert len(messages) > 400
    address = engine.mailbox()
    engine.deliver(address, (data for _, data in messages))
    with engine.wire(address) as wire:
        wire.ok(b"SELECT INBOX")
        for number, (name, data) in enumerate(messages, 1):
            (answer,) = wire.ok(b"FETCH %d (RFC822.SIZE BODY.PEEK[])" % number)
            (_, _, _, items) = values(answer)
            assert items == ["rfc822.size", str(len(data)), "body[]", data], name


@pytest.mark.corpus
@pytest.mark.dovecot
def test_descriptions_are_those_of_dovecot(
    embedded_engine: Engine, dovecot_engine: Engine, corpus: Path
) -> None:
    odd = {name for group in ODD.values() for name in group}
    messages = [(name, data) for name, data in mail(corpus) if name not in odd]
    engines = (embedded_engine, dovecot_engine)
    addresses = [engine.mailbox() for engine in engines]
    for engine, address in zip(engines, addresses, strict=True):
        engine.deliver(address, (data for _, data in messages))
    with embedded_engine.wire(addresses[0]) as ours, dovecot_engine.wire(addresses[1]) as theirs:
        for wire in (ours, theirs):
            wire.ok(b"SELECT INBOX")
        for number, (name, _) in enumerate(messages, 1):
            command = b"FETCH %d (ENVELOPE BODY BODYSTRUCTURE)" % number
            assert described(ours.ok(command)[0]) == described(theirs.ok(command)[0]), name


def described(response: bytes) -> Value:
    """What a FETCH response says; servers differ in capitals, and an atom may be a string."""
    return [lowered(value) for value in values(response)[3:]]


def lowered(value: Value) -> Value:
    if isinstance(value, list):
        return [lowered(item) for item in value]
    return value.lower().decode("latin-1") if isinstance(value, bytes) else value
