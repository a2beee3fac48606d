"""A file with a password waits: sender and keeper hear of it, an act at the terminal lets it go."""

import io
import re
import zipfile
from email.message import EmailMessage

from ..support.mail import inbox, letter, send
from ..support.platform import Platform, eventually


def locked_archive() -> bytes:
    """A zip whose flags say that its one file is encrypted (APPNOTE 4.4.4, bit 0)."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("danh-sach.txt", "x" * 50)
    data = bytearray(packed.getvalue())
    data[6] |= 1
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def found(platform: Platform, login: dict[str, str], words: str) -> list[EmailMessage]:
    return [mail for mail in inbox(platform, login) if words in str(mail["Subject"])]


def test_a_held_message_is_told_shown_released_and_arrives(platform: Platform) -> None:
    official, colleague = platform.login("official"), platform.login("official", 1)
    message = letter(official["address"], colleague["address"], "Danh sách mật khẩu", "Xem tệp.\n")
    message.add_attachment(
        locked_archive(), maintype="application", subtype="zip", filename="ds.zip"
    )
    code, reply = send(platform, official, message)
    assert code == 250
    assert "held for approval [encrypted-archive]" in reply
    queue_id = re.findall(r"[0-9a-z]{20}", reply)[0]

    (notice,) = eventually(lambda: found(platform, official, "Thư chờ duyệt: Danh sách"))
    assert queue_id in notice.get_content()
    listed = [row for row in platform.json("quarantine", "list") if row["queue_id"] == queue_id]
    assert [(row["code"], row["recipients"]) for row in listed] == [
        ("encrypted-archive", [colleague["address"]])
    ]
    assert listed[0]["owner"]
    assert found(platform, colleague, "Danh sách mật khẩu") == []

    (released,) = platform.json("quarantine", "release", queue_id, "--reason", "đã xác minh")
    assert released["state"] == "released"
    (arrived,) = eventually(lambda: found(platform, colleague, "Danh sách mật khẩu"))
    assert arrived["X-Mailgov-Policy"] == "action=hold; reason=encrypted-archive"
    told = ("held.told", "held.assigned")
    steps = platform.json("trace", queue_id)
    kinds = [step["kind"] for step in steps if step["kind"] not in told]
    assert kinds[0] == "message.accepted"
    assert kinds[-3:] == ["message.rejudged", "recipient.released", "recipient.delivered"]
    assert platform.json("audit", "conserve")[0]["balanced"]
