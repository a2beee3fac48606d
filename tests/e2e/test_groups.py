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
    platform.cli("group", "remove", group, "--reason", "x", "--yes")
    code, reply = send(platform, writer, message)
    assert code == 550
    assert "[mailbox-recalled]" in reply


def test_what_others_write_to_a_moderated_group_waits_for_its_moderator(
    platform: Platform,
) -> None:
    writer, reader = platform.login("official"), platform.login("official", 1)
    domain = reader["address"].partition("@")[2]
    group, subject = f"nhom-duyet@{domain}", "Thư chờ người điều hành"
    agency = platform.json("mailbox", "show", reader["address"])[0]["agency"]
    platform.cli("group", "add", group, "--agency", agency)
    platform.cli("group", "members", group, "--add", reader["address"])
    platform.cli("group", "edit", group, "--mode", "moderated", "--moderator", reader["address"])

    def count(login: dict[str, str], words: str) -> int:
        return sum(words in str(mail["Subject"]) for mail in inbox(platform, login))

    message = letter(writer["address"], group, subject, "Kính gửi.")
    code, reply = send(platform, writer, message)
    assert code == 250
    assert "[group-moderated]" in reply
    (held,) = [
        row
        for row in platform.json("quarantine", "list")
        if (row["code"], row["mail_from"]) == ("group-moderated", writer["address"])
    ]
    assert held["owner"] == f"moderator {agency}"
    eventually(lambda: count(writer, f"Thư chờ duyệt: {subject}") == 1)
    eventually(lambda: count(reader, held["queue_id"]) == 1)  # told as moderator
    own = letter(reader["address"], group, "Thư của người điều hành", "Kính gửi.")
    assert send(platform, reader, own)[0] == 250
    eventually(lambda: count(reader, "Thư của người điều hành") == 1)
    platform.cli("quarantine", "release", held["queue_id"], "--reason", "đúng nhóm")
    eventually(lambda: sum(str(m["Subject"]) == subject for m in inbox(platform, reader)) == 1)
    platform.cli("group", "remove", group, "--reason", "x", "--yes")
