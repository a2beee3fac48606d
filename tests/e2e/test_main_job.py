"""An official writes, the relay judges and delivers, the colleague reads, the auditor counts."""

import re
from email import message_from_bytes, policy
from pathlib import Path

import dkim
import pytest

from ..support.mail import inbox, letter, send
from ..support.platform import Platform, eventually
from ..support.sink import Sink

pytestmark = pytest.mark.corpus


def by_subject(platform: Platform, login: dict[str, str], subject: str) -> list[object]:
    return [message for message in inbox(platform, login) if message["Subject"] == subject]


def trace(platform: Platform, queue_id: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = platform.json("trace", queue_id)
    return found


def test_an_invitation_with_a_real_document_reaches_the_colleague(
    platform: Platform, corpus: Path
) -> None:
    official, colleague = platform.login("official"), platform.login("official", 1)
    document = corpus / "documents/decree-30-2020/Phuluc2.docx"
    message = letter(
        official["address"], colleague["address"], "Giấy mời họp giao ban (e2e)",
        "Kính gửi Sở Tài chính,\n\nXem giấy mời kèm theo.\n", document,
    )  # fmt: skip
    message["Mailgov-Document"] = "type=GM; number=12; symbol=12/GM-SNV; date=2026-11-21"
    code, reply = send(platform, official, message)
    assert (code, reply[:6]) == (250, "2.0.0 ")
    queue_id = re.findall(r"[0-9a-z]{20}", reply)[0]
    arrived = eventually(lambda: by_subject(platform, colleague, str(message["Subject"])))
    assert len(arrived) == 1
    attached = [part.get_payload(decode=True) for part in arrived[0].iter_attachments()]
    assert attached == [document.read_bytes()]
    kinds = [step["kind"] for step in trace(platform, queue_id)]
    assert kinds == ["message.accepted", "recipient.delivered"]
    documents = platform.json("report", "run", "documents", "--by", "category")[0]
    assert any(row["key"] == "invitation" and row["sent"] >= 1 for row in documents["rows"])


def test_a_real_document_in_a_private_encoding_is_refused_in_both_languages(
    platform: Platform, corpus: Path
) -> None:
    official, colleague = platform.login("official"), platform.login("official", 1)
    message = letter(
        official["address"], colleague["address"], "Quyết định (e2e)", "Xem tệp kèm theo.\n",
        corpus / "documents/legacy-tcvn3/2005-QD-256.doc",
    )  # fmt: skip
    before = platform.json("report", "run", "violations")[0]["total"]["refused"]
    code, reply = send(platform, official, message)
    assert code == 550
    assert "[legacy-encoding]" in reply
    assert "Unicode" in reply
    assert "coi nhu chua gui" in reply  # Vietnamese without marks
    assert "counts as not sent" in reply
    steps = platform.json("trace", "--from", official["address"], "--since", "1h")
    refused = [step for step in steps if step["kind"] == "message.refused"]
    assert refused
    assert platform.json("report", "run", "violations")[0]["total"]["refused"] == before + 1
    assert by_subject(platform, colleague, "Quyết định (e2e)") == []


def test_mail_to_the_world_is_signed_for_the_published_key(platform: Platform, sink: Sink) -> None:
    official = platform.login("official")
    domain = official["address"].partition("@")[2]
    message = letter(official["address"], "doi-tac@example.org", "Thư trao đổi", "Xin chào.\n")
    code, _ = send(platform, official, message)
    assert code == 250
    mail_from, recipients, content = eventually(
        lambda: next((m for m in sink.messages if "doi-tac@example.org" in m[1]), None)
    )
    assert (mail_from, recipients) == (official["address"], ["doi-tac@example.org"])
    published = {
        record["name"].rstrip("."): record["value"]
        for record in platform.json("dns", "records", domain)
        if record["type"] == "TXT"
    }

    def lookup(name: bytes, timeout: int = 5) -> bytes:
        return str(published[name.decode().rstrip(".")]).encode()

    assert dkim.verify(content, dnsfunc=lookup)
    assert not dkim.verify(content.replace(b"Xin", b"XIN"), dnsfunc=lookup)
    parsed = message_from_bytes(content, policy=policy.default)
    assert f"d={domain}" in str(parsed["DKIM-Signature"]).replace(" ", "")
    assert "Received" in parsed
