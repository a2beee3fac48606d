"""Shapes of abuse that fit no single limit: many small things, oddly put, or at the wrong moment."""

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from mailgov.addresses import Address
from mailgov.config import Screening
from mailgov.relay import session
from mailgov.relay.data import Pace
from mailgov.relay.limits import SessionCounters
from mailgov.relay.screening import Screening as Checks

from ...support.dns import FakeResolver
from ...support.relay import (
    DOMAIN,
    OFFICE,
    OFFICIAL,
    Authority,
    FakeRecords,
    Relay,
    running_relay,
)
from .test_entrance import until
from .test_limits import HOME, limits
from .test_session import SMALL, lines


class TestManySmallThings:
    async def test_chunks_of_one_octet(self, tmp_path: Path, authority: Authority) -> None:
        async with running_relay(tmp_path, authority, junk_commands=5) as relay:
            client = await relay.connect()
            await client.envelope()
            client.send(b"BDAT 1\r\nx" * 6)
            for _ in range(5):
                assert (await client.reply()).startswith("250 ")
            assert (await client.reply()).startswith("421 4.7.0 [too-many-junk-commands] ")
            assert await client.is_closed()
            await client.close()

    async def test_the_same_recipient_again_and_again(
        self, tmp_path: Path, authority: Authority
    ) -> None:
        async with running_relay(tmp_path, authority, junk_commands=5) as relay:
            client = await relay.connect()
            await client.envelope()
            for wanted in ["250 "] * 5 + ["421 4.7.0 [too-many-junk-commands] "]:
                assert (await client.say(f"RCPT TO:<{OFFICIAL}>")).startswith(wanted)
            await client.close()

    async def test_recipients_beyond_the_limit(self, tmp_path: Path, authority: Authority) -> None:
        """A long list is told so for each; one without end is sent away."""
        async with running_relay(tmp_path, authority, recipients_inbound=3) as relay:
            client = await relay.connect()
            await client.envelope("a@example.org", *(f"canbo{n}@{DOMAIN}" for n in range(3)))
            for number, wanted in enumerate(["452 4.5.3 "] * 3 + ["421 4.7.0 [too-many-errors] "]):
                assert (await client.say(f"RCPT TO:<b{number}@{DOMAIN}>")).startswith(wanted)
            await client.close()

    async def test_resets_between_messages_are_no_junk(
        self, tmp_path: Path, authority: Authority
    ) -> None:
        async with running_relay(tmp_path, authority, junk_commands=1) as relay:
            client = await relay.connect()
            await client.say("EHLO c.example")
            for _ in range(3):
                await client.say("RSET")
                await client.say("MAIL FROM:<a@example.org>")
                await client.say(f"RCPT TO:<{OFFICIAL}>")
                assert (await client.data(SMALL)).startswith("250 ")
            await client.close()

    async def test_one_client_does_not_keep_the_others_waiting(
        self, tmp_path: Path, authority: Authority
    ) -> None:
        async with running_relay(tmp_path, authority, junk_commands=10**9) as relay:
            busy = await relay.connect()
            busy.send(b"NOOP\r\n" * 20_000)
            (talking,) = relay.server._sessions
            other = await relay.connect()
            assert (await other.say("NOOP")).startswith("250 ")
            assert talking._handler.counters.junk < 20_000
            busy.reset()
            await other.close()

    async def test_greylisting_writes_no_more_than_it_can_bear(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        records = FakeRecords()
        monkeypatch.setattr("mailgov.relay.screening._GREYLISTED_PER_HOUR", 5)
        checks = Checks(Screening(greylist=True), FakeResolver(), records, now=lambda: 0.0)
        for number in range(10):
            address = Address(f"a{number}", "example.org")
            assert not await checks.may_pass(HOME, address, address)
        assert records.seen.total() == 5

    async def test_refused_connections_make_few_lines(
        self, tmp_path: Path, authority: Authority
    ) -> None:
        async with running_relay(tmp_path, authority, connections_per_address=1) as relay:
            first = await relay.connect()
            with capture_logs() as logs:
                for _ in range(20):
                    client = await relay.connect(greet=False)
                    assert (await client.reply()).startswith("421 ")
                    await client.close()
            assert 1 <= len([e for e in logs if e["event"] == "session.refused"]) < 10
            await first.close()


class TestUnderStress:
    async def test_only_bodies_on_the_disk_keep_room_from_others(
        self, tmp_path: Path, authority: Authority
    ) -> None:
        """A thousand trickles would else make a disk look full that is not."""
        async with running_relay(tmp_path, authority) as relay:
            parts = relay.server._parts
            client = await relay.connect()
            for ends in (b".\r\n", None):
                await client.envelope()
                await client.say("DATA")
                client.send(lines(200_000))
                await client.writer.drain()
                assert parts.large_bodies == 0
                client.send(lines(200_000))
                await until(lambda: parts.large_bodies == 1)
                if ends:
                    client.send(ends)
                    assert (await client.reply()).startswith("250 ")
                else:
                    client.reset()
                await until(lambda: parts.large_bodies == 0)

    async def test_starttls_is_still_possible(self, tmp_path: Path, authority: Authority) -> None:
        """EHLO twice is no more than it needs."""
        async with running_relay(tmp_path, authority, connections=2, stressed_share=0.1) as relay:
            client = await relay.connect("submission")
            assert relay.server._parts.stressed
            for step in ("EHLO c.example", "STARTTLS"):
                assert not (await client.say(step)).startswith("421 ")
            await client.start_tls()
            assert (await client.say("EHLO c.example")).startswith("250-")
            await client.close()

    async def test_nobody_is_cut_off_for_our_own_slowness(
        self, relay: Relay, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A password that waits its turn is no silence of the client's."""
        limits = relay.server._parts.limits.model_copy(update={"idle_seconds": 0.2})
        monkeypatch.setattr(relay.server._parts, "limits", limits)
        real = relay.directory.sign_in

        async def slow(name: str, password: str, *, channel: str, ip: str) -> Any:
            await asyncio.sleep(0.4)  # longer than clients may be silent
            return await real(name, password, channel=channel, ip=ip)

        monkeypatch.setattr(relay.directory, "sign_in", slow)
        client = await relay.signed_in()
        await client.close()

    def test_a_trickle_must_be_a_stream(self) -> None:
        def cut_at(factor: float) -> list[int]:
            pace = Pace(500, now=0.0)
            return [s for s in range(1, 70) if pace.too_slow(1000, float(s), factor)]

        assert cut_at(1) == []
        assert cut_at(session._STRESSED_PACE) == [60]

    def test_one_mistake_is_forgiven(self) -> None:
        counters = SessionCounters(limits(errors=20), lambda: True)
        assert [counters.error(), counters.error()] == [False, True]


class TestOddShapes:
    async def test_one_mailbox_by_two_names_gets_one_copy(
        self, tmp_path: Path, authority: Authority
    ) -> None:
        async with running_relay(tmp_path, authority, settings={"postmaster": OFFICE}) as relay:
            client = await relay.connect()
            names = [OFFICE, OFFICE.upper().replace("VIDU.GOV.VN", DOMAIN), "postmaster"]
            await client.envelope("a@example.org", *names)
            await client.data(SMALL)
            assert [str(r.address) for r in relay.intake.received[0][0].recipients] == [OFFICE]
            await client.close()

    async def test_a_bare_line_feed_ends_no_answer(self, relay: Relay) -> None:
        client = await relay.connect("submissions")
        await client.say("EHLO c.example")
        assert await client.say("AUTH PLAIN") == "334 "
        client.send(base64.b64encode(b"\0a\0b") + b"\n")
        assert (await client.reply()).startswith("500 5.5.2 [line-end] ")
        assert relay.directory.sign_ins == []
        await client.close()

    @pytest.mark.parametrize(
        "octets",
        [
            b"\r\n" * 30,
            b"\0" * 600 + b"\r\n",
            b"\xff\xfe\r\n",
            b"MAIL FROM:<a@example.org>\n",
            b"MAIL\tFROM:<a@example.org>\r\n",
            b"MAIL FROM:<a@example.org\0>\r\n",
            b"EHLO " + b"a" * 600 + b"\r\n",
            b"EHLO c\r.example\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 500,
            b"BDAT 18446744073709551616\r\n",
            b"BDAT -1 LAST\r\n",
            b"BDAT 1 2 LAST\r\n",
            b"DATA\r\nSubject: x\r\n.\r\n",
        ],
    )
    async def test_nonsense_is_refused_and_nothing_is_taken(
        self, octets: bytes, relay: Relay
    ) -> None:
        client = await relay.connect()
        client.send(octets)
        client.writer.write_eof()
        said = (await asyncio.wait_for(client.reader.read(), 5)).decode().splitlines()
        assert all(line[:1] in ("4", "5") for line in said), said
        assert relay.intake.received == []
        await client.close()

    async def test_a_cut_within_the_dot_is_no_message(self, relay: Relay) -> None:
        for end in (b"", b"\r", b"\r\n", b"\r\n.", b"\r\n.\r"):
            client = await relay.connect()
            await client.envelope()
            await client.say("DATA")
            client.send(b"Subject: x\r\n\r\nmot" + end)
            client.writer.write_eof()
            assert await client.is_closed()
            await client.close()
        assert relay.intake.received == []
