"""Any commands in any order: each gets a legal reply, and nothing is taken without the right state.

The model below is the whole of what RFC 5321, 3030, 3207 and 4954 say of order.
"""

import asyncio
import re
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from ...support.relay import (
    DOMAIN,
    OFFICE,
    OFFICIAL,
    PASSWORD,
    Authority,
    Client,
    Relay,
    plain,
    running_relay,
)

ENDLESS = 10**6
LIMITS: dict[str, Any] = dict.fromkeys(
    (
        "errors",
        "junk_commands",
        "unknown_recipients",
        "failed_logins",
        "failed_logins_per_minute",
        "failed_logins_per_day",
        "failed_logins_per_minute_network",
        "failed_logins_of_account",
        "connections_per_user",
        "new_connections_per_minute",
        "new_connections_per_minute_network",
        "messages_per_day",
        "recipients_per_hour",
        "recipients_per_day",
    ),
    ENDLESS,
)
LEGAL = re.compile(r"(\d{3}-.*\n)*\d{3} .*")
WITHOUT_ENHANCED = {"220", "250", "334", "354"}  # banner, EHLO, AUTH, DATA: RFC 2034, 4


class Sessions(RuleBasedStateMachine):
    """One session; what it should be in, and what it says."""

    runner: ClassVar[asyncio.Runner]
    relay: ClassVar[Relay]

    @initialize(listener=st.sampled_from(["mx", "submission", "submissions"]))
    def begin(self, listener: str) -> None:
        self.connects(listener)

    def connects(self, listener: str) -> None:
        self.listener = listener
        self.client: Client = self.run(self.relay.connect(listener))
        self.users = listener != "mx"
        self.tls = listener == "submissions"
        self.hello = self.extended = self.signed_in = False
        self.mail = self.chunks = False
        self.recipients: set[str] = set()
        self.taken = len(self.relay.intake.received)

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    def say(self, command: str | bytes) -> str:
        return self.check(self.run(self.client.say(command)))

    def check(self, reply: str) -> str:
        assert LEGAL.fullmatch(reply), reply
        assert len({line[:3] for line in reply.split("\n")}) == 1
        code = reply[:3]
        if code not in WITHOUT_ENHANCED:
            assert re.match(rf"\d{{3}} {code[0]}\.\d+\.\d+ ", reply), reply
        assert len(self.relay.intake.received) == self.taken
        return code

    def reset(self) -> None:
        self.mail = self.chunks = False
        self.recipients = set()

    @property
    def may_send(self) -> bool:
        return self.signed_in or not self.users

    @rule(extended=st.booleans())
    def greets(self, extended: bool) -> None:
        assert self.say("EHLO c.example" if extended else "HELO c.example") == "250"
        self.hello, self.extended = True, extended
        self.reset()

    @rule(sender=st.sampled_from([OFFICIAL, OFFICE, "a@example.org", ""]))
    def begins(self, sender: str) -> None:
        code = self.say(f"MAIL FROM:<{sender}>")
        if not self.hello or (self.may_send and self.mail):
            assert code == "503"
        elif not self.may_send:
            assert code == "530"
        elif self.users and sender == "a@example.org":
            assert code == "553"
        else:
            assert code == "250"
            self.mail = True

    @rule(recipient=st.sampled_from([OFFICIAL, OFFICE, f"khongco@{DOMAIN}", "b@example.com"]))
    def adds(self, recipient: str) -> None:
        code = self.say(f"RCPT TO:<{recipient}>")
        if self.chunks or not self.mail:
            assert code == "503"
        elif recipient.startswith("khongco") or (recipient == "b@example.com" and not self.users):
            assert code == "550"
        else:
            assert code == "250"
            self.recipients.add(recipient)

    @rule(body=st.sampled_from([b"", b"a: b\r\n", b"a: b\r\n\r\nMAIL FROM:<>\r\n", b"a\nb\r\n"]))
    def sends(self, body: bytes) -> None:
        code = self.say("DATA")
        if self.chunks or not self.mail or not self.recipients:
            assert code == "503"
            return
        assert code == "354"
        self.client.send(body + b".\r\n")
        self.ends(body)

    def ends(self, body: bytes) -> None:
        reply = self.run(self.client.reply())
        good = b"a\nb" not in body
        self.taken += good
        assert self.check(reply) == ("250" if good else "550")
        self.reset()

    @rule(chunk=st.sampled_from([b"", b"a: b\r\n", b"QUIT\r\n.\r\n", b"a\nb"]), last=st.booleans())
    def sends_a_chunk(self, chunk: bytes, last: bool) -> None:
        self.client.send(b"BDAT %d%s\r\n%s" % (len(chunk), b" LAST" if last else b"", chunk))
        if not self.mail or not self.recipients:
            assert self.check(self.run(self.client.reply())) == "503"
        elif last or b"a\nb" in chunk:
            self.ends(chunk)
        else:
            assert self.check(self.run(self.client.reply())) == "250"
            self.chunks = True

    @rule()
    def starts_over(self) -> None:
        assert self.say("RSET") == "250"
        self.reset()

    @rule(
        command=st.sampled_from(
            [
                ("NOOP", "250"),
                ("VRFY a", "252"),
                ("VRFY", "501"),
                ("EXPN a", "502"),
                ("HELP", "214"),
                ("", "500"),
                ("XYZZY", "500"),
                ("DATA x", "501"),
                ("RSET x", "501"),
                ("QUIT x", "501"),
                ("MAIL", None),
                ("EHLO", "501"),
                ("NO\tOP", "500"),
            ]
        )
    )
    def chatters(self, command: tuple[str, str | None]) -> None:
        words, wanted = command
        code = self.say(words)
        assert code == wanted if wanted else code[0] == "5"

    @rule()
    def asks_for_tls(self) -> None:
        code = self.say("STARTTLS")
        if self.tls:
            assert code == "503"
            return
        assert code == "220"
        self.run(self.client.start_tls())
        self.tls, self.hello, self.extended = True, False, False
        self.reset()

    @rule(right=st.booleans())
    def signs_in(self, right: bool) -> None:
        code = self.say(f"AUTH PLAIN {plain(OFFICIAL, PASSWORD if right else 'sai')}")
        if not self.users:
            assert code == "502"
        elif not self.tls:
            assert code == "538"
        elif not self.extended or self.signed_in or self.mail:
            assert code == "503"
        else:
            assert code == ("235" if right else "535")
            self.signed_in = right

    @rule()
    def quits(self) -> None:
        assert self.say("QUIT") == "221"
        assert self.run(self.client.is_closed())
        self.run(self.client.close())
        self.connects(self.listener)

    def teardown(self) -> None:
        if hasattr(self, "client"):
            self.run(self.client.close())


@pytest.fixture
def sessions(tmp_path: Path, authority: Authority) -> Iterator[type[Sessions]]:
    """The machine, with a relay to talk to."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        relay = runner.run(stack.enter_async_context(running_relay(tmp_path, authority, **LIMITS)))
        Sessions.runner, Sessions.relay = runner, relay
        yield Sessions
        runner.run(stack.aclose())


def test_any_order_of_commands(sessions: type[Sessions]) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]  # of hypothesis
        sessions,
        settings=settings(
            max_examples=30,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
