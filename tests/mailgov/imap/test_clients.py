"""Mail programs' own libraries against both engines."""

import asyncio
import imaplib
import re
from datetime import UTC, datetime

import aioimaplib
import pytest

from tests.support.imap_engines import PASSWORD, Engine

MESSAGE = (
    "From: An <an@vidu.gov.vn>\r\nSubject: Thu\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    "Kính gửi\r\n".encode().decode("latin-1")
).encode("latin-1")


def test_imaplib(engine: Engine) -> None:
    address = engine.mailbox()
    with imaplib.IMAP4(engine.host, engine.port, timeout=20) as client:
        client.authenticate("PLAIN", lambda _: f"\0{address}\0{PASSWORD}".encode())
        assert client.create("Tam")[0] == "OK"
        when = imaplib.Time2Internaldate(datetime(2026, 11, 21, tzinfo=UTC))
        code, (told,) = client.append("Tam", r"(\Seen)", when, MESSAGE)
        assert code == "OK"
        assert re.match(rb"\[APPENDUID \d+ 1\]", told)
        assert client.select("Tam") == ("OK", [b"1"])
        assert client.response("UIDNEXT")[1] == [b"2"]
        code, (body, _) = client.uid("FETCH", "1", "(FLAGS INTERNALDATE BODY.PEEK[])")
        assert body[1] == MESSAGE
        assert (
            b'"21-Nov-2026 07:00:00 +0700"' in body[0] or b'"21-Nov-2026 00:00:00 +0000"' in body[0]
        )
        assert client.uid("SEARCH", None, "SEEN")[1] == [b"1"]
        assert client.store("1", "+FLAGS", r"(\Deleted)")[0] == "OK"
        assert client.expunge()[1] == [b"1"]
        assert client.close()[0] == "OK"
        assert client.getquotaroot("INBOX")[0] == "OK"
        with pytest.raises(imaplib.IMAP4.error):
            client.login(address, PASSWORD)  # signed in already


async def test_aioimaplib(engine: Engine) -> None:
    address = engine.mailbox()
    client = aioimaplib.IMAP4(engine.host, engine.port, timeout=20)
    await client.wait_hello_from_server()
    assert (await client.login(address, PASSWORD)).result == "OK"
    assert (await client.append(MESSAGE, "INBOX", "\\Seen")).result == "OK"
    assert (await client.select("INBOX")).result == "OK"
    answer = await client.uid("fetch", "1", "(BODY.PEEK[])")
    assert MESSAGE in [bytes(line) for line in answer.lines]
    assert (await client.uid_search("TEXT", '"kính gửi"')).lines[0] == b"1"
    idle = await client.idle_start(timeout=20)
    engine.deliver(address, [MESSAGE])
    pushed = await client.wait_server_push(timeout=20)
    assert b"2 EXISTS" in pushed
    client.idle_done()
    await idle
    assert (await client.logout()).result == "OK"
    client.protocol.transport.close()  # the library leaves that to the server
    await asyncio.sleep(0)
