"""A refused secret is nowhere: no table, log, spool or mailbox holds a word of it."""

import base64
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from ..support.mail import inbox, letter, send
from ..support.platform import Platform, eventually

SUBJECT, TEXT, FILE, NAME, ID, TO = (
    "KIMQUYVANXUAN", "HOANKIEMTRUNGHUNG", "LAMSONDONGBODAU", "LONGBIENTHANGTRAN",
    "CHILANGVANKIEP", "nguoi.nhan.rieng.biet",
)  # fmt: skip
SMALL, LARGE = 10, 400_000  # in the database, and as a file of the spool


def secret(platform: Platform, size: int) -> EmailMessage:
    sender = platform.login("official")["address"]
    text = f"Độ mật: TUYỆT MẬT\n\n{TEXT}\n"
    message = letter(sender, f"{TO}@sub.example", f"TUYỆT MẬT {SUBJECT}", text)
    del message["Message-ID"]
    message["Message-ID"] = f"<{ID}@{sender.partition('@')[2]}>"
    message.add_attachment(f"{FILE}\n" * size, filename=f"{NAME}.txt")
    return message


def traces(word: str) -> Iterator[bytes]:
    """A word as it may lie in a file: plain, in UTF-16, and in base64 at any offset."""
    data = word.encode()
    yield data
    yield word.encode("utf-16-le")
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + data)
        yield encoded[-(-shift * 4 // 3) + (1 if shift else 0) : -4]


def holding(folder: Path, log: Path, words: tuple[str, ...]) -> list[str]:
    """Files with any of the words, and the word."""
    found = []
    for path in [*folder.rglob("*"), log]:
        if path.is_file():
            data = path.read_bytes().lower()
            found += [
                f"{path.relative_to(folder.parent)}: {word}"
                for word in words
                if any(trace.lower() in data for trace in traces(word))
            ]
    return found


def test_what_is_looked_for_would_be_found(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for name, data in (
        ("plain", f"Subject: {SUBJECT}".encode()),
        ("file", base64.b64encode(f"x{FILE}y".encode())),
        ("wide", NAME.encode("utf-16-le")),
    ):
        (folder / name).write_bytes(data)
    log = tmp_path / "log"
    log.write_text(f"to={TO}@sub.example")
    assert len(holding(folder, log, (SUBJECT, FILE, NAME, TO))) == 4


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["small", "large"])
def test_nothing_of_it_is_kept(platform: Platform, size: int) -> None:
    official, officer = platform.login("official"), platform.login("it")
    before = len(_told(platform, officer))
    code, reply = send(platform, official, secret(platform, size))
    assert code == 550
    assert "[secret-mark]" in reply

    (step,) = [
        step
        for step in platform.json("trace", "--from", official["address"], "--since", "1h")[:1]
        if step["kind"] == "message.refused"
    ]
    assert step["codes"] == ["secret-mark"]
    assert step.get("recipient") is None
    eventually(lambda: len(_told(platform, officer)) == before + 1)
    told = str(_told(platform, officer)[-1].get_content())
    assert official["address"] in told
    assert "TUYỆT MẬT" in told  # the mark
    assert step["message"] in told

    assert holding(platform.folder, platform.log, (SUBJECT, TEXT, FILE, NAME, ID, TO)) == []
    assert list((platform.folder / "data" / "spool").rglob("tmp*/*")) == []


def _told(platform: Platform, login: dict[str, str]) -> list[EmailMessage]:
    return [mail for mail in inbox(platform, login) if "dấu chỉ độ mật" in str(mail["Subject"])]
