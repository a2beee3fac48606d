"""AUTH PLAIN and LOGIN, step by step."""

import base64

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
