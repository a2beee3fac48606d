"""What a session does when things are slow, broken, too much, or judged."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from mailgov.errors import Unavailable
from mailgov.message import Client as Peer
from mailgov.relay import handler
from mailgov.relay.ports import BodyWriter
from mailgov_policies.verdict import Action

from ...support.relay import (
    DOMAIN,
    OFFICE,
    OFFICIAL,
    PASSWORD,
    Authority,
    FakeAccount,
    Relay,
    plain,
    running_relay,
    verdict,
)

SMALL = b"Subject: x\r\n\r\nnoi dung\r\n.\r\n"


def big(size_bytes: int) -> bytes:
    """A message of this size, without the dot."""
    head = b"Subject: lon\r\n\r\n"
    line = b"x" * 70 + b"\r\n"
    body = (line * (size_bytes // len(line) + 1))[: size_bytes - len(head) - 2]
    return head + body.replace(b"\r", b"y").replace(b"\n", b"y") + b"\r\n"


def lines(size_bytes: int) -> bytes:
    """A message of many lines, of about this size, without the dot."""
    return b"Subject: lon\r\n\r\n" + (b".x" * 35 + b"\r\n") * (size_bytes // 72)


class TestTheGate:
    async def test_250_waits_for_it(self, relay: Relay) -> None:
        relay.intake.gate = asyncio.Event()
        client = await relay.connect()
        await client.envelope()
        reply = asyncio.create_task(client.data(SMALL))
        await relay.intake.begun.wait()
        await asyncio.sleep(0)
        assert not reply.done()
        relay.intake.gate.set()
        assert await reply == "250 2.0.0 q1 queued"
        await client.close()

    async def test_goes_on_when_the_client_hangs_up(self, relay: Relay) -> None:
        relay.intake.gate = asyncio.Event()
        client = await relay.connect()
        await client.envelope()
        await client.say("DATA")
        client.send(SMALL)
        await relay.intake.begun.wait()
        (task,) = relay.server._parts.judging
        client.reset()
        await ended(relay)
        assert not task.done()
        relay.intake.gate.set()
        await asyncio.wait({task})
        assert len(relay.intake.received) == 1

    async def test_gets_the_envelope_as_it_was_said(self, relay: Relay) -> None:
        client = await relay.signed_in("submission")
        await client.say(f"MAIL FROM:<{OFFICE}> BODY=8BITMIME RET=HDRS ENVID=A+2Bb")
        await client.say(
            f"RCPT TO:<Binh.Tran@{DOMAIN}> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Binh+2BTran"
        )
        await client.say("RCPT TO:<ai.do@example.com>")
        assert (await client.data(SMALL)).startswith("250 ")
        ((envelope, content),) = relay.intake.received
        assert content == SMALL[:-3]
        assert envelope.direction == "submission"
        assert str(envelope.mail_from) == OFFICE
        assert str(envelope.login) == OFFICIAL
        assert [str(recipient.address) for recipient in envelope.recipients] == [
            f"Binh.Tran@{DOMAIN}",
            "ai.do@example.com",
        ]
        assert envelope.recipients[0].notify == {"SUCCESS", "FAILURE"}
        assert envelope.recipients[0].original == "rfc822;Binh+2BTran"
        assert (envelope.body_8bit, envelope.ret, envelope.envid) == (True, "HDRS", "A+2Bb")
        seen: Peer = envelope.client
        assert (seen.ip, seen.helo, seen.protocol) == ("127.0.0.1", "client.example", "ESMTPSA")
        assert seen.tls.startswith("TLSv1.3 TLS_")
        await client.close()

    async def test_gets_what_was_asked_of_the_road(self, relay: Relay) -> None:
        """REQUIRETLS and MT-PRIORITY go with the message into the queue."""
        client = await relay.signed_in()
        for parameters, wanted in (
            ("", (False, None)),
            (" REQUIRETLS MT-PRIORITY=6", (True, 6)),
            (" MT-PRIORITY=-9", (False, -9)),
        ):
            assert (await client.say(f"MAIL FROM:<{OFFICIAL}>{parameters}")).startswith("250 2.1.0")
            await client.say(f"RCPT TO:<{OFFICE}>")
            await client.data(SMALL)
            envelope = relay.intake.received[-1][0]
            assert (envelope.require_tls, envelope.priority) == wanted
        await client.close()

    @pytest.mark.parametrize(("asked", "wanted"), [(-3, -3), (0, 0), (9, 0)])
    async def test_gets_no_priority_from_strangers(
        self, asked: int, wanted: int, relay: Relay
    ) -> None:
        client = await relay.connect()
        await client.say("EHLO c.example")
        await client.say(f"MAIL FROM:<a@example.org> MT-PRIORITY={asked}")
        await client.say(f"RCPT TO:<{OFFICE}>")
        await client.data(SMALL)
        assert relay.intake.received[0][0].priority == wanted
        await client.close()

    @pytest.mark.parametrize(
        ("sender", "recipient", "direction"),
        [
            (OFFICIAL, OFFICE, "internal"),
            (OFFICIAL, "ai.do@example.com", "internal"),
            ("ai.do@example.org", "ai.do@example.com", "internal"),
            ("ai.do@example.org", OFFICE, "inbound"),
        ],
    )
    async def test_knows_whom_a_trusted_host_speaks_for(
        self, sender: str, recipient: str, direction: str, tmp_path: Path, authority: Authority
    ) -> None:
        networks = ("127.0.0.0/8",)
        async with running_relay(tmp_path, authority, trusted_networks=networks) as relay:
            client = await relay.connect()
            await client.envelope(sender, recipient)
            await client.data(SMALL)
            assert relay.intake.received[0][0].direction == direction
            await client.close()

    @pytest.mark.parametrize(
        ("action", "code", "evidence", "wanted"),
        [
            (Action.TAG, "unsigned-needs-scan", {}, "250 2.0.0 q1 queued"),
            (Action.HOLD, "macro", {}, "250 2.0.0 q1 held for approval [macro]"),
            (Action.QUARANTINE, "malware", {}, "250 2.0.0 q1 held for approval [malware]"),
            (Action.DEFER, "rule-failed", {}, "451 4.7.1 [not-judged] "),
            (Action.REJECT, "secret-mark", {"mark": "MẬT"}, "550 5.7.1 [secret-mark] "),
            (Action.REJECT, "legacy-encoding", {}, "550 5.6.3 [legacy-encoding] "),
            (Action.REJECT, "message-size", {}, "552 5.3.4 [message-size] "),
        ],
    )
    async def test_decides(
        self, action: Action, code: str, evidence: dict[str, str], wanted: str, relay: Relay
    ) -> None:
        relay.intake.verdict = verdict(action, code, **evidence)
        client = await relay.connect()
        await client.envelope()
        reply = re.sub(r"\n\d{3}.[0-9.]+", "", await client.data(SMALL))
        reply = f"{reply[:3]} {reply[4:]}"  # one line or more
        assert reply.startswith(wanted)
        assert reply.isascii()
        if action is Action.REJECT:
            assert reply.endswith(f"https://mail.vidu.gov.vn/help/rules/{code}")
        await client.close()


class TestAnAccount:
    async def test_that_changes_is_seen_by_the_sessions_it_has(
        self, relay: Relay, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = await relay.signed_in()
        await client.envelope(OFFICE, OFFICIAL)
        assert (await client.data(SMALL)).startswith("250 ")
        monkeypatch.setattr(handler, "ACCOUNT_FRESH_SECONDS", 0.0)
        signed_in = (OFFICIAL, PASSWORD)
        relay.directory.accounts[signed_in] = FakeAccount(OFFICIAL, (OFFICIAL,))
        assert (await client.say(f"MAIL FROM:<{OFFICE}>")).startswith("553 5.7.1 ")
        assert (await client.say(f"MAIL FROM:<{OFFICIAL}>")).startswith("250 ")
        await client.say("RSET")
        relay.directory.accounts[signed_in] = FakeAccount(OFFICIAL, (OFFICIAL,), "suspended")
        assert (await client.say("MAIL FROM:<>")).startswith("421 4.7.0 [login-ended] ")
        assert await client.is_closed()
        await client.close()


class TestTrouble:
    async def test_of_an_unknown_kind_is_temporary_and_keeps_its_words(self, relay: Relay) -> None:
        relay.intake.trouble = ValueError("mat khau cua co so du lieu")
        client = await relay.connect()
        await client.envelope()
        with capture_logs() as logs:
            reply = await client.data(SMALL)
        assert reply.startswith("451 4.3.0 [trouble] ")
        assert "mat khau" not in reply
        assert "ValueError" not in reply
        (entry,) = [entry for entry in logs if entry["event"] == "trouble"]
        assert entry["reference"] in reply
        assert entry["exc_info"] is relay.intake.trouble
        relay.intake.trouble = None
        await client.envelope()
        assert (await client.data(SMALL)).startswith("250 ")
        await client.close()

    @pytest.mark.parametrize(
        ("code", "wanted"),
        [
            ("disk-full", "452 4.3.1 [disk-full] "),
            ("resolver-unavailable", "451 4.4.3 [trouble-dns] "),
            ("database-unavailable", "451 4.3.0 [trouble] "),
        ],
    )
    async def test_of_ours_has_its_code(self, code: str, wanted: str, relay: Relay) -> None:
        relay.intake.trouble = Unavailable(code, reason="10.0.0.5")
        client = await relay.connect()
        await client.envelope()
        reply = await client.data(SMALL)
        assert reply.startswith(wanted)
        assert "10.0.0.5" not in reply
        await client.close()

    async def test_in_the_directory_defers(self, relay: Relay) -> None:
        relay.directory.trouble = Unavailable("database-unavailable")
        client = await relay.connect()
        await client.say("EHLO c.example")
        await client.say("MAIL FROM:<a@example.org>")
        assert (await client.say(f"RCPT TO:<{OFFICIAL}>")).startswith("451 4.3.0 [trouble] ")
        relay.directory.trouble = None
        assert (await client.say(f"RCPT TO:<{OFFICIAL}>")).startswith("250 ")
        await client.close()

    async def test_of_checking_passwords_is_not_the_users(self, relay: Relay) -> None:
        relay.directory.trouble = Unavailable("too-busy")
        client = await relay.connect("submissions")
        await client.say("EHLO c.example")
        for _ in range(12):  # more than wrong passwords may be
            reply = await client.say(f"AUTH PLAIN {plain(OFFICIAL, PASSWORD)}")
            assert reply.startswith("454 4.7.0 [trouble-busy] ")
        relay.directory.trouble = None
        assert (await client.say(f"AUTH PLAIN {plain(OFFICIAL, PASSWORD)}")).startswith("235 ")
        await client.close()

    async def test_a_gate_that_takes_too_long_defers(
        self, tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(handler, "DECISION_MARGIN_SECONDS", 0.0)
        async with running_relay(tmp_path, authority, decision_seconds=0.05) as relay:
            relay.intake.gate = asyncio.Event()
            client = await relay.connect()
            await client.envelope()
            assert (await client.data(SMALL)).startswith("451 4.3.0 [trouble] ")
            assert relay.intake.received == []
            await client.close()

    async def test_of_the_disk_is_told_after_the_end(self, relay: Relay) -> None:
        relay.server._parts.spool = BrokenSpool(Unavailable("disk-full"))
        client = await relay.connect()
        await client.envelope()
        reply = await client.data(lines(600_000) + b".\r\n")
        assert reply.startswith("452 4.3.1 [disk-full] ")
        assert (await client.say("NOOP")).startswith("250 ")
        await client.close()

    async def test_a_bug_within_a_message_ends_the_session(self, relay: Relay) -> None:
        """Else the rest of the message would be obeyed as commands."""
        relay.server._parts.spool = BrokenSpool(KeyError("loi"))
        client = await relay.connect()
        await client.envelope()
        await client.say("DATA")
        client.send(lines(300_000))
        assert (await client.reply()).startswith("451 4.3.0 [trouble] ")
        assert await client.is_closed()
        await client.close()


class BrokenSpool:
    """A spool that fails at the first bytes."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def writer(self) -> BodyWriter:
        return self  # type: ignore[return-value]  # it never gets to finish

    def write(self, data: bytes) -> None:
        raise self.error

    def abandon(self) -> None:
        """Nothing was kept."""

    def discard(self, body: Any) -> None:
        """Nothing was kept."""


class TestSizes:
    @pytest.mark.parametrize("excess", [-1, 0, 1])
    async def test_of_a_message(self, excess: int, tmp_path: Path, authority: Authority) -> None:
        async with running_relay(
            tmp_path, authority, message_bytes=500_000, line_bytes=600_000
        ) as relay:
            client = await relay.connect()
            await client.envelope()
            reply = await client.data(big(500_000 + excess) + b".\r\n")
            assert reply.startswith("552 5.3.4 " if excess > 0 else "250 2.0.0 q1 ")
            assert (await client.say("NOOP")).startswith("250 ")
            await client.close()

    async def test_far_too_big_is_cut_off(self, tmp_path: Path, authority: Authority) -> None:
        async with running_relay(
            tmp_path, authority, message_bytes=300_000, drop_after_bytes=1000
        ) as relay:
            client = await relay.connect()
            await client.envelope()
            await client.say("DATA")
            client.send(lines(400_000))
            assert (await client.reply()).startswith("552 5.3.4 [message-too-big] ")
            assert await client.is_closed()
            await client.close()
        assert relay.leftovers == []

    async def test_large_messages_arrive_whole_and_leave_nothing(self, relay: Relay) -> None:
        text = lines(5_000_000)
        client = await relay.signed_in("submission")
        await client.envelope(OFFICIAL, OFFICE)
        assert (await client.data(text.replace(b"\r\n.", b"\r\n..") + b".\r\n")).startswith("250 ")
        assert relay.intake.received[0][1] == text
        assert relay.leftovers == []
        await client.close()

    async def test_of_chunks(self, tmp_path: Path, authority: Authority) -> None:
        async with running_relay(tmp_path, authority, message_bytes=100_000) as relay:
            client = await relay.connect()
            await client.envelope()
            client.send(b"BDAT 60000\r\n" + b"\r\n" * 30_000)
            assert (await client.reply()).startswith("250 2.0.0 ")
            client.send(b"BDAT 60000 LAST\r\n" + b"\r\n" * 30_000)
            assert (await client.reply()).startswith("552 5.3.4 ")
            assert (await client.say("BDAT 200000")).startswith("552 5.3.4 ")
            assert await client.is_closed()
            await client.close()

    async def test_a_full_disk_takes_no_mail(self, tmp_path: Path, authority: Authority) -> None:
        reserve = 256 << 20
        async with running_relay(tmp_path, authority, free_bytes=reserve + 1000) as relay:
            client = await relay.connect()
            await client.say("EHLO c.example")
            full = await client.say("MAIL FROM:<a@example.org> SIZE=1001")
            assert full.startswith("452 4.3.1 [disk-full] ")
            assert (await client.say("MAIL FROM:<a@example.org> SIZE=1000")).startswith("250 ")
            await client.close()


class TestLengths:
    """As long as it may be, one less, one more."""

    @pytest.mark.parametrize(
        ("octets", "wanted"), [(12_287, "535 "), (12_288, "535 "), (12_289, "500 5.5.6 ")]
    )
    async def test_of_an_auth_command(self, octets: int, wanted: str, relay: Relay) -> None:
        client = await relay.connect("submissions")
        await client.say("EHLO c.example")
        letters = octets - len("AUTH PLAIN ")
        password = "x" * (letters // 4 * 3 - len(f"\0{OFFICIAL}\0"))
        command = f"AUTH PLAIN {plain(OFFICIAL, password)}".ljust(octets)
        assert len(command) == octets
        assert (await client.say(command)).startswith(wanted)
        await client.close()

    @pytest.mark.parametrize(
        ("address", "wanted"),
        [
            ("x" * 63 + "@example.org", "250 "),
            ("x" * 64 + "@example.org", "250 "),
            ("x" * 65 + "@example.org", "501 5.1.7 "),
            ("x@" + "y" * 62 + ".example.org", "250 "),
            ("x@" + "y" * 63 + ".example.org", "250 "),
            ("x@" + "y" * 64 + ".example.org", "501 5.1.7 "),
            (f"{'x' * 62}@{'.'.join(['y' * 46] * 4)}.vn", "250 "),  # 253 octets: 255 with brackets
            (f"{'x' * 63}@{'.'.join(['y' * 46] * 4)}.vn", "250 "),
            (f"{'x' * 64}@{'.'.join(['y' * 46] * 4)}.vn", "501 5.1.7 "),
        ],
    )
    async def test_of_a_path(self, address: str, wanted: str, relay: Relay) -> None:
        client = await relay.connect()
        await client.say("EHLO c.example")
        assert (await client.say(f"MAIL FROM:<{address}>")).startswith(wanted), len(address)
        await client.close()

    @pytest.mark.parametrize(
        ("octets", "wanted"), [(65_535, "250 "), (65_536, "250 "), (65_537, "500 5.6.0 ")]
    )
    async def test_of_a_line_of_text(self, octets: int, wanted: str, relay: Relay) -> None:
        client = await relay.connect()
        await client.envelope()
        assert (await client.data(b"\r\n" + b"x" * octets + b"\r\n.\r\n")).startswith(wanted)
        await client.close()


class TestPatience:
    async def test_ends_between_commands(self, tmp_path: Path, authority: Authority) -> None:
        async with running_relay(tmp_path, authority, idle_seconds=0.1) as relay:
            client = await relay.connect()
            assert (await client.reply()).startswith("421 4.4.2 [idle] ")
            assert await client.is_closed()
            await client.close()

    async def test_ends_for_who_does_not_sign_in(
        self, tmp_path: Path, authority: Authority
    ) -> None:
        async with running_relay(tmp_path, authority, login_seconds=0.2) as relay:
            client = await relay.connect("submission")
            await client.say("EHLO c.example")
            assert (await client.reply()).startswith("421 4.4.2 [login-late] ")
            await client.close()

    async def test_ends_for_the_session(self, tmp_path: Path, authority: Authority) -> None:
        async with running_relay(tmp_path, authority, session_seconds=0.2) as relay:
            client = await relay.connect()
            await client.say("EHLO c.example")
            assert (await client.reply()).startswith("421 4.4.2 [session-too-long] ")
            await client.close()

    async def test_ends_within_a_message_that_does_not_come(
        self, tmp_path: Path, authority: Authority
    ) -> None:
        async with running_relay(tmp_path, authority, data_block_seconds=0.2) as relay:
            client = await relay.connect()
            await client.envelope()
            await client.say("DATA")
            client.send(lines(400_000))
            assert (await client.reply()).startswith("421 4.4.2 [data-too-slow] ")
            assert await client.is_closed()
            await client.close()
        assert relay.leftovers == []
        assert relay.intake.received == []

    async def test_lasts_while_a_message_comes(self, tmp_path: Path, authority: Authority) -> None:
        limits: dict[str, Any] = {
            "data_block_seconds": 0.4,
            "session_seconds": 0.5,
            "idle_seconds": 0.4,
        }
        async with running_relay(tmp_path, authority, **limits) as relay:
            client = await relay.connect()
            await client.envelope()
            await client.say("DATA")
            for _ in range(8):
                client.send(b"cham ma deu\r\n")
                await asyncio.sleep(0.1)  # the pace of the sender, twice as long as the limits
            client.send(b".\r\n")
            assert (await client.reply()).startswith("250 ")
            await client.close()

    async def test_ends_for_who_does_not_listen(self, tmp_path: Path, authority: Authority) -> None:
        limits: dict[str, Any] = {"idle_seconds": 0.3, "junk_commands": 10**9}
        async with running_relay(tmp_path, authority, **limits) as relay:
            client = await relay.connect()
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket
            client.send(b"EHLO c\r\n" * 200_000)  # with long replies
            await ended(relay)
            client.reset()


class TestHangUps:
    async def test_within_a_message_leave_nothing(
        self, tmp_path: Path, authority: Authority
    ) -> None:
        async with running_relay(tmp_path, authority) as relay:
            client = await relay.connect()
            await client.envelope()
            await client.say("DATA")
            client.send(lines(900_000))
            await client.writer.drain()
            client.reset()
            await ended(relay)
        assert relay.leftovers == []
        assert relay.intake.received == []

    async def test_half_way_still_get_the_replies(self, relay: Relay) -> None:
        client = await relay.connect()
        client.send(
            b"EHLO c.example\r\nMAIL FROM:<a@example.org>\r\n"
            + f"RCPT TO:<{OFFICIAL}>\r\nDATA\r\n".encode()
            + SMALL
        )
        client.writer.write_eof()
        replies = (await asyncio.wait_for(client.reader.read(), 5)).decode().splitlines()
        assert replies[-1] == "250 2.0.0 q1 queued"
        await client.close()

    async def test_within_a_handshake_free_the_place(self, relay: Relay) -> None:
        client = await relay.connect()
        await client.say("EHLO c.example")
        await client.say("STARTTLS")
        client.send(b"this is not TLS\r\n")
        await ended(relay)
        assert relay.server._parts.doorkeeper._open == 0
        await client.close()


async def ended(relay: Relay) -> None:
    """Wait until no session lives."""
    tasks = {session.task for session in relay.server._sessions if session.task is not None}
    if tasks:
        done, _ = await asyncio.wait(tasks, timeout=5)
        assert done == tasks
