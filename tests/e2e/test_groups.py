"""A group written to by a mail program: everybody in it has the message once."""

from ..support.mail import inbox, letter, send
from ..support.platform import Platform, eventually


def test_everybody_in_a_group_has_it_once(platform: Platform) -> None:
    writer, reader = platform.login("official"), platform.login("official", 1)
    domain = writer["address"].partition("@")[2]
    group = f"nhom-thu@{domain}"
    agency = platform.json("mailbox", "show", writer["address"])[0]["agency"]
    platform.cli("group", "add", group, "--agency", agency)
    for member in (writer, reader):
        platform.cli("group", "members", group, "--add", member["address"])
    message = letter(
        writer["address"], f"{group}, {reader['address']}", "Thư cho nhóm", "Kính gửi."
    )
    assert send(platform, writer, message)[0] == 250

    def found() -> list[int]:
        return [
            sum(str(mail["Subject"]) == "Thư cho nhóm" for mail in inbox(platform, login))
            for login in (writer, reader)
        ]

    eventually(lambda: found() == [1, 1])
    (accepted,) = [
        step
        for step in platform.json("trace", "--from", writer["address"], "--since", "1h")
        if step["kind"] == "message.accepted" and step["details"].get("recipients") == 2
    ][:1]
    assert accepted
    platform.cli("group", "remove", group, "--yes")
    code, reply = send(platform, writer, message)
    assert code == 550
    assert "[mailbox-recalled]" in reply
