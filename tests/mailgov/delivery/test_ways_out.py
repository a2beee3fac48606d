"""Which transport takes what, by the configuration; and the sink that tests deliver to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailgov.config import Delivery, load_config
from mailgov.db import Database
from mailgov.delivery.transports import Answer, Taken
from mailgov.delivery.transports.lmtp import LmtpTransport
from mailgov.delivery.transports.maildir import MaildirTransport
from mailgov.delivery.transports.smtp import SmtpTransport
from mailgov.delivery.ways_out import transports
from mailgov.errors import ConfigError, DeliveryError
from mailgov.queue import MAILBOX

from ...support.dns import FakeResolver
from ...support.sink import Sink
from ..queue.samples import NOON
from .parcels import ours, parcel


@pytest.mark.parametrize(
    ("lmtp", "kind"), [("", MaildirTransport), ("/run/dovecot/lmtp", LmtpTransport)]
)
def test_mailboxes_are_files_or_a_store(
    lmtp: str, kind: type, database: Database, tmp_path: Path
) -> None:
    config = load_config(None, data={"path": str(tmp_path)}, mailstore={"lmtp": lmtp})
    ways = transports(config, FakeResolver(), database, lambda: NOON)
    assert type(ways[MAILBOX]) is kind
    assert type(ways[""]) is SmtpTransport


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe"])
def test_a_password_that_is_not_there_stops_the_start(
    content: bytes | None, database: Database, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    config = load_config(
        None, delivery={"smarthost_user": "mailgov", "smarthost_password_file": str(file)}
    )
    with pytest.raises(ConfigError, match="smarthost-password-unreadable"):
        transports(config, FakeResolver(), database, lambda: NOON)


@pytest.fixture
def sink() -> Iterator[Sink]:
    sink = Sink().start()
    yield sink
    sink.stop()


async def said(transport: SmtpTransport) -> str:
    answer: Answer
    try:
        answer = (await transport.deliver(parcel(), ours))[1]
    except DeliveryError as exc:
        answer = exc
    return "taken" if isinstance(answer, Taken) else answer.code


async def test_a_sink_behaves_as_told(sink: Sink) -> None:
    sink.verdicts += ["451 4.3.0 later", "554 5.7.1 never", "DROP-BEFORE", "DROP-AFTER"]
    sink.delay_seconds = 0.05
    settings = Delivery(allow_loopback=True, smarthost=sink.address)
    transport = SmtpTransport(settings, "mail.tinhmau.gov.vn", FakeResolver())
    told = [await said(transport) for _ in range(5)]
    await transport.close()
    assert told == ["peer-deferred", "peer-refused", "outcome-unknown", "outcome-unknown", "taken"]
    assert len(sink.messages) == 2  # the last, and the one that was taken without a word
