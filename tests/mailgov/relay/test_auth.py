"""AUTH PLAIN, LOGIN and bearer tokens, step by step."""

import base64
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mailgov.relay.auth import (
    MAX_LINE_OCTETS,
    MECHANISMS,
    BearerToken,
    Credentials,
    Exchange,
    answer,
    parse,
)
from mailgov.relay.commands import CommandError

from ...support.relay import OFFICIAL, Authority, FakeAccount, running_relay

AN = Credentials("an@vidu.gov.vn", "mật khẩu")


def encoded(*parts: str) -> str:
    return base64.b64encode("\0".join(parts).encode()).decode()


def go_through(argument: str, *answers: str) -> tuple[list[bytes], Credentials | BearerToken]:
    """What was asked, and what came of it."""
    asked = []
    try:
        mechanism, initial = parse(argument)
        exchange: Exchange = MECHANISMS[mechanism](initial)
        asked.append(next(exchange))
        for said in answers:
            asked.append(exchange.send(answer(said.encode() + b"\r\n")))
    except StopIteration as end:
        return asked, end.value
    pytest.fail(f"not finished: {asked}")


@pytest.mark.parametrize(
    ("argument", "answers", "asked"),
    [
        (f"PLAIN {encoded('', AN.name, AN.password)}", [], []),
        (f"plain {encoded(AN.name, AN.name, AN.password)}", [], []),
        ("PLAIN", [encoded("", AN.name, AN.password)], [b""]),
        ("LOGIN", [encoded(AN.name), encoded(AN.password)], [b"Username:", b"Password:"]),
        (f"Login {encoded(AN.name)}", [encoded(AN.password)], [b"Password:"]),
    ],
)
def test_ways_to_sign_in(argument: str, answers: list[str], asked: list[bytes]) -> None:
    assert go_through(argument, *answers) == (asked, AN)


@pytest.mark.parametrize(
    ("argument", "answers", "key"),
    [
        ("", [], "no-argument"),
        ("PLAIN =", [], "login-syntax"),
        ("PLAIN !", [], "login-syntax"),
        (f"PLAIN {encoded('only', 'two')}", [], "login-syntax"),
        (f"PLAIN {encoded('', 'a', 'b', 'c')}", [], "login-syntax"),
        (f"PLAIN {encoded('chutich@vidu.gov.vn', AN.name, AN.password)}", [], "login-wrong"),
        (f"PLAIN {base64.b64encode(bytes([0, 255, 0, 255])).decode()}", [], "login-syntax"),
        ("LOGIN", ["*"], "login-aborted"),
        ("LOGIN", [encoded(AN.name), "*"], "login-aborted"),
        ("LOGIN", ["é"], "login-syntax"),
        ("LOGIN", ["A" * (MAX_LINE_OCTETS + 1)], "login-too-long"),
    ],
)
def test_ways_not_to(argument: str, answers: list[str], key: str) -> None:
    with pytest.raises(CommandError) as refused:
        go_through(argument, *answers)
    assert refused.value.key == key


def test_a_line_as_long_as_it_may_be() -> None:
    assert len(answer(b"A" * MAX_LINE_OCTETS + b"\r\n")) == MAX_LINE_OCTETS * 3 // 4


def test_a_password_is_not_shown() -> None:
    assert AN.password not in repr(AN)


BEARER = "n,a=an@vidu.gov.vn,\1host=mail.vidu.gov.vn\1port=465\1auth=Bearer ya29.token\1\1"
XOAUTH2 = "user=an@vidu.gov.vn\1auth=Bearer ya29.token\1\1"


@pytest.mark.parametrize(
    ("argument", "answers", "name"),
    [
        (f"OAUTHBEARER {encoded(BEARER)}", [], AN.name),
        ("OAUTHBEARER", [encoded(BEARER)], AN.name),
        (f"OAUTHBEARER {encoded(BEARER.replace('a=an@vidu.gov.vn', ''))}", [], ""),
        (f"XOAUTH2 {encoded(XOAUTH2)}", [], AN.name),
    ],
)
def test_ways_to_show_a_token(argument: str, answers: list[str], name: str) -> None:
    _, said = go_through(argument, *answers)
    assert said == BearerToken(name, "ya29.token")
    assert "ya29" not in repr(said)


@pytest.mark.parametrize(
    "argument",
    [
        f"OAUTHBEARER {encoded(BEARER[:-1])}",
        f"OAUTHBEARER {encoded(XOAUTH2)}",
        f"OAUTHBEARER {encoded(BEARER.replace('Bearer', 'Basic'))}",
        f"XOAUTH2 {encoded(BEARER)}",
        f"XOAUTH2 {encoded(XOAUTH2.replace('token', 'tôken'))}",
        "XOAUTH2 =",
    ],
)
def test_ways_not_to_show_a_token(argument: str) -> None:
    with pytest.raises(CommandError, match="login-syntax"):
        go_through(argument)


@dataclass
class Provider:
    """Knows one token."""

    asked: list[tuple[str, str]] = field(default_factory=list)

    async def open(self, name: str, token: str, *, ip: str) -> FakeAccount | None:
        assert ip
        self.asked.append((name, token))
        return FakeAccount(OFFICIAL, (OFFICIAL,)) if token == "good" else None


async def test_a_token_of_the_identity_provider_signs_in(
    tmp_path: Path, authority: Authority
) -> None:
    provider = Provider()
    async with running_relay(tmp_path, authority, tokens=provider) as relay:
        client = await relay.connect("submissions")
        assert "AUTH PLAIN LOGIN OAUTHBEARER XOAUTH2" in await client.say("EHLO c.example")
        bad = await client.say(f"AUTH OAUTHBEARER {encoded(BEARER)}")
        assert b"invalid_token" in base64.b64decode(bad.removeprefix("334 "))
        assert (await client.say(encoded("\1"))).startswith("535 5.7.8 [login-wrong] ")
        good = encoded(XOAUTH2.replace("ya29.token", "good"))
        assert await client.say(f"AUTH XOAUTH2 {good}") == "235 2.7.0 signed in"
        assert provider.asked == [(AN.name, "ya29.token"), (AN.name, "good")]
        await client.close()


async def test_without_a_provider_no_token_is_taken(tmp_path: Path, authority: Authority) -> None:
    async with running_relay(tmp_path, authority) as relay:
        client = await relay.connect("submissions")
        assert "OAUTH" not in await client.say("EHLO c.example")
        reply = await client.say(f"AUTH XOAUTH2 {encoded(XOAUTH2)}")
        assert reply.startswith("504 5.5.4 [login-mechanism] ")
        await client.close()
