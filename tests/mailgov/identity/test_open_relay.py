"""No relay: whoever has not signed in reaches our own mailboxes and nobody else."""

import asyncio
import re
from collections import Counter

import pytest
from sqlmodel import select

from mailgov.db.models import Credential
from mailgov.directory.provisioning import revoke_app_password, revoke_delegation, set_password
from mailgov.relay import handler

from ...support.directory import AN, OFFICE, act
from ...support.relay import Client
from ...support.submission import BINH, Submission, send
from .probes import COUNT, FOREIGN, probes

SENDERS = (
    "nguoigui@noikhac.test",
    "",  # the null sender
    AN,  # who says so
    "postmaster@localhost.test",
    FOREIGN,
)
NOBODY = r"5\d\d|421"


async def ask(client: Client, sender: str, recipients: list[str]) -> list[str]:
    """What a server says to MAIL, and then to each RCPT of a transaction of its own."""
    replies = []
    for recipient in recipients:
        lines = ("RSET", f"MAIL FROM:<{sender}> SMTPUTF8", f"RCPT TO:{recipient}", "NOOP")
        client.send("".join(f"{line}\r\n" for line in lines).encode())
        answers = [await client.reply() for _ in lines]
        assert answers[3].startswith("250"), (recipient, answers)  # still one reply to a command
        refused = not answers[1].startswith("250")
        replies.append(answers[1] if refused else answers[2])
    return replies


def counted(replies: list[str]) -> dict[str, int]:
    found = (re.match(r"(\d{3}) \S+ \[([\w-]+)\]|(\d{3})", reply) for reply in replies)
    names = (" ".join(filter(None, match.groups())) if match else "?" for match in found)
    return dict(Counter(names).most_common())


def test_the_shapes_are_as_many_as_said() -> None:
    assert len(set(probes())) == COUNT


@pytest.mark.parametrize("sender", SENDERS, ids=["foreign", "null", "ours", "local", "the victim"])
async def test_strangers_relay_nowhere(submission: Submission, sender: str) -> None:
    client = await submission.connect("mx")
    replies = await ask(client, sender, probes())
    print(f"\nmx, {COUNT} shapes from <{sender}>: {counted(replies)}")
    accepted = [
        shape for shape, reply in zip(probes(), replies, strict=True) if not re.match(NOBODY, reply)
    ]
    assert accepted == []
    await client.close()


@pytest.mark.parametrize("listener", ["submission", "submissions"])
async def test_who_has_not_signed_in_sends_nothing_at_all(
    submission: Submission, listener: str
) -> None:
    client = await submission.connect(listener)
    replies = await ask(client, "nguoigui@noikhac.test", [*probes(), f"<{AN}>"])
    print(f"\n{listener} before signing in, {COUNT} shapes: {counted(replies)}")
    assert {reply[:3] for reply in replies} == {"530"}
    await client.close()


async def test_who_has_signed_in_reaches_addresses_and_no_tricks(submission: Submission) -> None:
    """One reading each: what is accepted is that very mailbox at that very domain."""
    client = await submission.signed_in()
    replies = await ask(client, AN, probes())
    print(f"\nsigned in, {COUNT} shapes: {counted(replies)}")
    accepted = [
        shape for shape, reply in zip(probes(), replies, strict=True) if reply.startswith("2")
    ]
    domain = re.compile(
        r"@(?:[a-z0-9-]+\.)*noikhac\.test>|@noikhac\.test\.[a-z0-9.-]+>", re.IGNORECASE
    )
    assert [shape for shape in accepted if not domain.search(shape)] == []
    assert [shape for shape in accepted if shape.count("<") > 1 or shape.startswith("<@")] == []
    await client.close()


async def test_what_strangers_bring_stays_in_the_house(submission: Submission) -> None:
    """Every shape in one transaction beside an honest recipient: only that one is kept."""
    client = await submission.connect("mx")
    await client.say("MAIL FROM:<nguoigui@noikhac.test> SMTPUTF8")
    for shape in (*probes(), f"<{AN}>", f'<"annv"@{OFFICE.partition("@")[2].upper()}>'):
        await client.say(f"RCPT TO:{shape}")
    await client.say("DATA")
    client.send(
        b"From: <nguoigui@noikhac.test>\r\nTo: <nannhan@noikhac.test>\r\n\r\nXin ch\xc3\xa0o.\r\n.\r\n"
    )
    assert (await client.reply()).startswith("250")
    assert submission.kept() == [("nguoigui@noikhac.test", AN)]
    await client.close()


async def test_many_strangers_at_once(submission: Submission) -> None:
    clients = [await submission.connect("mx") for _ in range(8)]
    shapes = probes()
    answers = await asyncio.gather(
        *(ask(client, "", shapes[number::8]) for number, client in enumerate(clients))
    )
    assert [reply for replies in answers for reply in replies if reply.startswith("2")] == []
    for client in clients:
        await client.close()


@pytest.mark.parametrize("what", ["app password", "password", "delegation"])
async def test_a_sign_in_does_not_outlive_its_right(
    submission: Submission, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handler, "ACCOUNT_FRESH_SECONDS", 0.0)
    client = await submission.signed_in()
    letter = f"From: <{AN}>\r\nTo: <{BINH}>\r\nSubject: =?utf-8?Q?Ch=C3=A0o?=\r\n\r\nChào.\r\n.\r\n"
    assert (await send(client, AN, letter.encode())).startswith("250")
    assert (await send(client, OFFICE, letter.replace(AN, OFFICE).encode())).startswith("250")
    with submission.services.database.write() as session:
        if what == "app password":
            row = session.exec(select(Credential).where(Credential.kind == "app")).one()
            revoke_app_password(session, act("mất máy"), AN, row.id or 0)
        elif what == "password":
            set_password(session, act(), AN, "Mua dong 7 cay so!")
        else:
            revoke_delegation(session, act(), mailbox=OFFICE, holder=AN)
    own = await client.say(f"MAIL FROM:<{AN}>")
    if what == "delegation":
        await client.say("RSET")
        office = await client.say(f"MAIL FROM:<{OFFICE}>")
        assert (own[:3], office[:3]) == ("250", "553")
    else:
        assert own.startswith("421 ")
        assert await client.is_closed()
    await client.close()
