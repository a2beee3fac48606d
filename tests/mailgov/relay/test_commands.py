"""MAIL and RCPT: `commands.toml`."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailgov.addresses import Address
from mailgov.relay.commands import (
    CommandError,
    MailCommand,
    parse_chunk,
    parse_hello,
    parse_mail,
    parse_rcpt,
    routes_onward,
)

VECTORS = tomllib.loads(Path(__file__).with_name("commands.toml").read_text("utf-8"))


def rcpt(case: dict[str, Any]) -> Any:
    return parse_rcpt(
        case["argument"],
        extended=True,
        smtputf8=case.get("smtputf8", False),
        postmaster_domain="mail.vidu.gov.vn",
    )


def cases(verb: str, *, good: bool) -> pytest.MarkDecorator:
    chosen = [case for case in VECTORS[verb] if ("key" not in case) == good]
    return pytest.mark.parametrize("case", chosen, ids=lambda case: case["name"])


@cases("mail", good=True)
def test_mail_is_read(case: dict[str, Any]) -> None:
    sender = Address.parse(case["sender"]) if case["sender"] else None
    wanted = {key: case[key] for key in case.keys() - {"name", "argument", "sender"}}
    assert parse_mail(case["argument"], extended=True) == MailCommand(sender, **wanted)


@cases("mail", good=False)
def test_mail_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(CommandError) as refused:
        parse_mail(case["argument"], extended=True)
    assert refused.value.key == case["key"]


@cases("rcpt", good=True)
def test_rcpt_is_read(case: dict[str, Any]) -> None:
    command = rcpt(case)
    assert str(command.recipient) == case["recipient"]
    assert sorted(command.notify) == case.get("notify", [])
    assert command.original == case.get("original", "")


@cases("rcpt", good=False)
def test_rcpt_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(CommandError) as refused:
        rcpt(case)
    assert refused.value.key == case["key"]


@given(st.text(st.sampled_from('<>@:"\\ .,ab=%+;\u0111'), max_size=40))
@settings(max_examples=300, deadline=None)
def test_an_address_that_is_read_has_one_reading(text: str) -> None:
    try:
        command = parse_mail(f"FROM:<{text}> SMTPUTF8", extended=True)
    except CommandError:
        return
    if command.sender is not None:
        assert Address.parse(str(command.sender)) == command.sender


@pytest.mark.parametrize(
    ("local", "onward"),
    [("an.nguyen", False), ("a%b", True), ("b!a", True), ("a@b", True), ("a+b", False)],
)
def test_old_ways_to_ask_for_a_relay(local: str, onward: bool) -> None:
    assert routes_onward(Address(local, "vidu.gov.vn")) is onward


@pytest.mark.parametrize(
    ("argument", "chunk"), [("0", (0, False)), ("10 LAST", (10, True)), ("7 last", (7, True))]
)
def test_chunks(argument: str, chunk: tuple[int, bool]) -> None:
    assert parse_chunk(argument) == chunk


@pytest.mark.parametrize("argument", ["", "LAST", "-1", "1 FIRST", "1LAST", "x", "1" * 21])
def test_no_chunks(argument: str) -> None:
    with pytest.raises(CommandError, match="chunk-syntax"):
        parse_chunk(argument)


@pytest.mark.parametrize("name", ["client.example", "[192.0.2.1]", "PC_AN", "[IPv6:2001:db8::1]"])
def test_names_in_ehlo(name: str) -> None:
    assert parse_hello(name) == name


@pytest.mark.parametrize("name", ["", "a b", "máy-của-an", "x" * 256])
def test_no_names_in_ehlo(name: str) -> None:
    with pytest.raises(CommandError, match="hello-syntax"):
        parse_hello(name)
