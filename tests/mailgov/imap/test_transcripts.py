"""Sessions as transcripts: what the client says and what the server answers, line by line."""

import base64
import re
from pathlib import Path

import pytest

from tests.support.imap_engines import PASSWORD, Engine

TRANSCRIPTS = sorted(Path(__file__).with_name("transcripts").glob("*.txt"))


@pytest.mark.parametrize("file", TRANSCRIPTS, ids=lambda file: file.stem)
def test_transcript(embedded_engine: Engine, file: Path) -> None:
    address = embedded_engine.mailbox()
    plain = base64.b64encode(f"\0{address}\0{PASSWORD}".encode()).decode()
    text = file.read_text("utf-8").replace("${address}", address).replace("${plain}", plain)
    heard = b""
    with embedded_engine.wire() as wire:
        responses = [*wire.greeting.split(b"\r\n")]
        for line in text.splitlines()[2:]:
            side, said = line[:2], line[3:].encode()
            if side == "C:":
                wire.send(said + b"\r\n")
                continue
            if not responses:
                responses = wire.response().split(b"\r\n")
            heard = responses.pop(0)
            pattern = re.escape(said).replace("…".encode(), b".*")
            assert re.fullmatch(pattern, heard) or (said == b"(closed)" and not heard), (
                said,
                heard,
            )
