"""Who may be written to: postmaster, own host name, block lists, greylist, sending rates."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from mailgov.addresses import Address
from mailgov.errors import InputError
from mailgov.relay.commands import CommandError
from mailgov.relay.ports import Sent
from mailgov.relay.rates import SendingRates
from mailgov_policies.verdict import Action

from ...support.dns import FakeResolver
from ...support.relay import (
    DOMAIN,
    HOSTNAME,
    OFFICE,
    OFFICIAL,
    Authority,
    FakeMailbox,
    FakeRecords,
    Relay,
    running_relay,
    verdict,
)
from .test_limits import limits
from .test_session import SMALL


async def rcpt(relay: Relay, recipient: str, sender: str = "a@example.org") -> str:
    """The reply to RCPT, of a stranger's session."""
    client = await relay.connect("mx")
    await client.say("EHLO c.example")
    await client.say(f"MAIL FROM:<{sender}>")
    reply = await client.say(f"RCPT TO:<{recipient}>")
    await client.close()
    return reply


class TestPostmaster:
    @pytest.mark.parametrize(
        "recipient", ["Postmaster", "POSTMASTER", f"postmaster@{DOMAIN}", f"postmaster@{HOSTNAME}"]
    )
    async def test_without_a_mailbox_of_that_name_goes_where_it_is_set(
        self, recipient: str, tmp_path: Path, authority: Authority
    ) -> None:
        async with running_relay(tmp_path, authority, settings={"postmaster": OFFICE}) as relay:
            client = await relay.connect()
            await client.envelope("a@example.org", recipient)
            assert (await client.data(SMALL)).startswith("250 ")
            (got,) = relay.intake.received[0][0].recipients
            assert str(got.address) == OFFICE
            await client.close()

    async def test_has_its_own_mailbox_first(self, tmp_path: Path, authority: Authority) -> None:
        async with running_relay(tmp_path, authority, settings={"postmaster": OFFICE}) as relay:
            relay.directory.mailboxes[f"postmaster@{DOMAIN}"] = FakeMailbox()
            client = await relay.connect()
            await client.envelope("a@example.org", "postmaster")
            await client.data(SMALL)
            (got,) = relay.intake.received[0][0].recipients
            assert str(got.address) == f"postmaster@{DOMAIN}"
            await client.close()

    async def test_of_others_is_not_ours(self, tmp_path: Path, authority: Authority) -> None:
        async with running_relay(tmp_path, authority, settings={"postmaster": OFFICE}) as relay:
            reply = await rcpt(relay, "postmaster@example.com")
            assert reply.startswith("550 5.7.1 [relay-denied] ")

    async def test_that_is_nobody_is_unknown(self, relay: Relay) -> None:
        assert (await rcpt(relay, "postmaster")).startswith("550 5.1.1 [unknown-recipient] ")


async def test_mail_to_the_host_itself_does_not_go_out_to_come_back(relay: Relay) -> None:
    relay.directory.local_domains = (DOMAIN,)
    client = await relay.signed_in()
    await client.say(f"MAIL FROM:<{OFFICIAL}>")
    reply = await client.say(f"RCPT TO:<ai@{HOSTNAME}>")
    assert reply.startswith("550 5.1.1 [unknown-recipient] ")
    await client.close()


class TestBlockLists:
    @pytest.mark.parametrize(
        ("answer", "wanted"),
        [
            (["127.0.0.2"], "554 5.7.1 [listed] "),
            (["127.0.0.4", "127.0.0.10"], "554 5.7.1 [listed] "),
            (["127.255.255.254"], "250 "),  # the list does not serve our resolver
            (["192.0.2.1"], "250 "),  # a parked domain answers anything
            ([], "250 "),
        ],
    )
    async def test_answer(
        self, answer: list[str], wanted: str, tmp_path: Path, authority: Authority
    ) -> None:
        zones = {"dnsbl": ["quiet.example", "bl.example"]}
        async with running_relay(tmp_path, authority, screening=zones) as relay:
            relay.resolver.addresses_of = {"1.0.0.127.bl.example": answer}
            reply = await rcpt(relay, OFFICIAL)
            assert reply.startswith(wanted)
            assert ("bl.example" in reply) is wanted.startswith("554")

    async def test_that_is_silent_lists_nobody(self, tmp_path: Path, authority: Authority) -> None:
        zones = {"dnsbl": ["bl.example"]}
        async with running_relay(tmp_path, authority, screening=zones) as relay:
            relay.resolver.broken = frozenset({"1.0.0.127.bl.example"})
            assert (await rcpt(relay, OFFICIAL)).startswith("250 ")

    async def test_does_not_keep_anybody_from_the_postmaster(
        self, tmp_path: Path, authority: Authority
    ) -> None:
        zones = {"dnsbl": ["bl.example"]}
        async with running_relay(
            tmp_path, authority, screening=zones, settings={"postmaster": OFFICE}
        ) as relay:
            relay.resolver.addresses_of = {"1.0.0.127.bl.example": ["127.0.0.2"]}
            assert (await rcpt(relay, "postmaster")).startswith("250 ")

    async def test_is_not_asked_for_users_and_trusted_hosts(
        self, tmp_path: Path, authority: Authority
    ) -> None:
        zones = {"dnsbl": ["bl.example"]}
        listed = {"1.0.0.127.bl.example": ["127.0.0.2"]}
        networks = ("127.0.0.0/8",)
        async with running_relay(
            tmp_path, authority, screening=zones, trusted_networks=networks
        ) as relay:
            relay.resolver.addresses_of = listed
            assert (await rcpt(relay, OFFICIAL)).startswith("250 ")
            client = await relay.signed_in()
            await client.envelope(OFFICIAL)
            await client.close()

    async def test_that_is_slow_does_not_outlive_the_session(
        self, tmp_path: Path, authority: Authority
    ) -> None:
        class Slow(FakeResolver):
            async def addresses(self, name: str) -> Any:
                await asyncio.Event().wait()

        async with running_relay(tmp_path, authority, screening={"dnsbl": ["bl.example"]}) as relay:
            relay.server._parts.screening._resolver = Slow()
            client = await relay.connect()
            assert (await client.say("QUIT")).startswith("221 ")
            await client.close()


class TestTheBanner:
    PAUSE = {"greet_pause_seconds": 0.3}  # noqa: RUF012 - read only

    async def test_is_waited_for(self, tmp_path: Path, authority: Authority) -> None:
        async with running_relay(tmp_path, authority, screening=self.PAUSE) as relay:
            loop = asyncio.get_running_loop()
            began = loop.time()
            client = await relay.connect()
            assert loop.time() - began >= 0.29
            await client.envelope()
            assert (await client.data(SMALL)).startswith("250 ")
            await client.close()

    async def test_that_is_not_waited_for(self, tmp_path: Path, authority: Authority) -> None:
        pause = {"greet_pause_seconds": 30}
        async with running_relay(tmp_path, authority, screening=pause) as relay:
            client = await relay.connect(greet=False)
            client.send(b"EHLO c.example\r\nMAIL FROM:<>\r\n")
            assert (await client.reply()).startswith("554 5.5.1 [early-talker] ")
            assert await client.is_closed()
            await client.close()

    async def test_comes_at_once_for_users(self, tmp_path: Path, authority: Authority) -> None:
        pause = {"greet_pause_seconds": 30}
        async with running_relay(tmp_path, authority, screening=pause) as relay:
            client = await relay.connect("submission")
            await client.close()

    async def test_pause_ends_when_the_client_leaves(
        self, tmp_path: Path, authority: Authority
    ) -> None:
        pause = {"greet_pause_seconds": 30}
        async with running_relay(tmp_path, authority, screening=pause) as relay:
            client = await relay.connect(greet=False)
            client.writer.write_eof()
            assert await client.is_closed()
            await client.close()


class TestTheGreylist:
    async def test_asks_strangers_to_come_back(self, tmp_path: Path, authority: Authority) -> None:
        async with running_relay(tmp_path, authority, screening={"greylist": True}) as relay:
            reply = await rcpt(relay, OFFICIAL)
            assert reply.startswith("451 4.7.1 [greylisted] ")
            assert "5 minutes" in reply
            assert (await rcpt(relay, OFFICIAL, "b@example.org")).startswith("451 ")
            assert (await rcpt(relay, OFFICE)).startswith("451 ")
            assert (await rcpt(relay, OFFICIAL.upper())).startswith("250 ")
            assert (await rcpt(relay, OFFICIAL, "")).startswith("451 ")

    async def test_comes_after_what_is_refused_for_good(
        self, tmp_path: Path, authority: Authority
    ) -> None:
        async with running_relay(tmp_path, authority, screening={"greylist": True}) as relay:
            assert (await rcpt(relay, f"khongco@{DOMAIN}")).startswith("550 5.1.1 ")
            assert relay.records.seen == {}

    async def test_is_not_for_users(self, tmp_path: Path, authority: Authority) -> None:
        async with running_relay(tmp_path, authority, screening={"greylist": True}) as relay:
            client = await relay.signed_in()
            await client.envelope(OFFICIAL, OFFICE)
            await client.close()


class TestSendingRates:
    """n - 1 and n pass, n + 1 does not; what is stored counts, and what is under way."""

    @pytest.mark.parametrize(
        ("limit", "sent", "key"),
        [
            ("recipients_per_hour", Sent(8, 8, 1), "recipients-this-hour"),
            ("recipients_per_day", Sent(0, 8, 1), "recipients-this-day"),
        ],
    )
    async def test_of_recipients(
        self, limit: str, sent: Sent, key: str, tmp_path: Path, authority: Authority
    ) -> None:
        async with running_relay(tmp_path, authority, **{limit: 10}) as relay:
            relay.records.counts = sent
            client = await relay.signed_in()
            await client.say(f"MAIL FROM:<{OFFICIAL}>")
            for number in range(2):
                assert (await client.say(f"RCPT TO:<canbo{number}@{DOMAIN}>")).startswith("250 ")
            reply = await client.say(f"RCPT TO:<canbo2@{DOMAIN}>")
            assert reply.startswith(f"450 4.7.1 [{key}] ")
            assert " 10 " in reply
            assert (await client.say(f"RCPT TO:<canbo1@{DOMAIN}>")).startswith("250 ")  # again
            assert (await client.data(SMALL)).startswith("250 ")
            await client.close()

    @pytest.mark.parametrize(("sent", "wanted"), [(8, "250 "), (9, "250 "), (10, "450 4.7.1 ")])
    async def test_of_messages(
        self, sent: int, wanted: str, tmp_path: Path, authority: Authority
    ) -> None:
        async with running_relay(tmp_path, authority, messages_per_day=10) as relay:
            relay.records.counts = Sent(0, 0, sent)
            client = await relay.signed_in()
            assert (await client.say(f"MAIL FROM:<{OFFICIAL}>")).startswith(wanted)
            await client.close()

    async def test_hold_over_sessions_at_once(self, tmp_path: Path, authority: Authority) -> None:
        async with running_relay(tmp_path, authority, recipients_per_hour=3) as relay:
            one, other = [await relay.signed_in() for _ in range(2)]
            for client in (one, other):
                await client.say(f"MAIL FROM:<{OFFICIAL}>")
            assert (await one.say(f"RCPT TO:<canbo1@{DOMAIN}>")).startswith("250 ")
            assert (await one.say(f"RCPT TO:<canbo2@{DOMAIN}>")).startswith("250 ")
            assert (await other.say(f"RCPT TO:<canbo3@{DOMAIN}>")).startswith("250 ")
            assert (await other.say(f"RCPT TO:<canbo4@{DOMAIN}>")).startswith("450 ")
            await one.say("RSET")
            assert (await other.say(f"RCPT TO:<canbo4@{DOMAIN}>")).startswith("250 ")
            for client in (one, other):
                await client.close()

    @pytest.mark.parametrize(
        ("action", "counts"), [(Action.PASS, True), (Action.HOLD, True), (Action.REJECT, False)]
    )
    async def test_count_what_was_taken(
        self, action: Action, counts: bool, tmp_path: Path, authority: Authority
    ) -> None:
        """The other session's message began before, so that it has an old view of the database."""
        async with running_relay(tmp_path, authority, recipients_per_hour=1) as relay:
            relay.intake.verdict = verdict(action, "macro")
            one, other = [await relay.signed_in() for _ in range(2)]
            await other.say(f"MAIL FROM:<{OFFICIAL}>")
            await one.envelope(OFFICIAL, OFFICE)
            await one.data(SMALL)
            reply = await other.say(f"RCPT TO:<{OFFICE}>")
            assert reply.startswith("450 " if counts else "250 ")
            for client in (one, other):
                await client.close()

    async def test_leave_nothing_behind(self) -> None:
        rates = SendingRates(FakeRecords(), limits(recipients_per_hour=2, messages_per_day=1))
        for _ in range(3):
            allotment = await rates.begin("an@vidu.gov.vn")
            allotment.add()
            with pytest.raises(CommandError, match="messages-this-day"):
                await rates.begin("an@vidu.gov.vn")
            await rates.begin("binh@vidu.gov.vn")
            allotment.close()
            allotment.close()
            rates.messages["binh@vidu.gov.vn"] = 0

    async def test_do_not_hold_for_other_servers(
        self, tmp_path: Path, authority: Authority
    ) -> None:
        async with running_relay(
            tmp_path, authority, recipients_per_hour=1, messages_per_day=1
        ) as relay:
            client = await relay.connect()
            for _ in range(2):
                await client.envelope("a@example.org", OFFICIAL, OFFICE)
                assert (await client.data(SMALL)).startswith("250 ")
            await client.close()


class TestReturnPaths:
    BACK = f"SRS0=aaaaaaaa=bb=example.vn=dan@{DOMAIN}"

    async def test_a_bounce_travels_back_to_who_sent_the_message(
        self, tmp_path: Path, authority: Authority
    ) -> None:
        async with running_relay(tmp_path, authority) as relay:
            relay.directory.return_paths[self.BACK] = Address.parse("Dan@example.vn")
            client = await relay.connect("mx")
            await client.say("EHLO c.example")
            await client.say("MAIL FROM:<>")
            assert (await client.say(f"RCPT TO:<{self.BACK}>")).startswith("250 ")
            assert (await client.data(SMALL)).startswith("250 ")
            ((envelope, _),) = relay.intake.received
            assert envelope.mail_from is None
            assert envelope.direction == "inbound"
            assert [str(one.address) for one in envelope.recipients] == ["Dan@example.vn"]
            await client.close()

    @pytest.mark.parametrize(
        ("found", "sender", "reply"),
        [
            (InputError("return-path-forged", address="x"), "", "550 5.1.1 [unknown-recipient]"),
            (
                InputError("return-path-old", address="x", days=21),
                "",
                "550 5.7.1 [return-path-old]",
            ),
            (Address("dan", "example.vn"), "a@example.org", "550 5.7.1 [return-path]"),
        ],
    )
    async def test_forged_ones_old_ones_and_other_mail_are_refused(
        self,
        found: Address | InputError,
        sender: str,
        reply: str,
        tmp_path: Path,
        authority: Authority,
    ) -> None:
        async with running_relay(tmp_path, authority) as relay:
            relay.directory.return_paths[self.BACK] = found
            assert (await rcpt(relay, self.BACK, sender)).startswith(reply)
