"""Replies: codes that agree, words in both languages, lines that fit."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailgov.errors import MailgovError, Unavailable
from mailgov.relay import replies
from mailgov.relay.replies import MAX_LINE_OCTETS, Reply
from mailgov.texts import entry, rule_sentence, without_marks
from mailgov_policies.verdict import Action, Finding, Verdict

from ...support.relay import FakeOutcome, verdict

HELP = "https://mail.vidu.gov.vn"


@pytest.mark.parametrize(
    ("code", "enhanced"),
    [
        (550, "4.7.1"),
        (250, "5.7.1"),
        (421, ""),
        (550, ""),
        (550, "5.7"),
        (550, "5.7.1 "),
        (100, ""),
        (600, "5.0.0"),
        (354, "3.0.0"),
    ],
)
def test_a_reply_that_contradicts_itself_is_not_built(code: int, enhanced: str) -> None:
    with pytest.raises(ValueError, match=r"RFC 2034|no reply code"):
        Reply(code, enhanced, "x")


@pytest.mark.parametrize("key", sorted(replies.own_keys()))
def test_every_refusal_has_words_in_both_languages(key: str) -> None:
    names = ("reference", "code", "ip", "zone", "minutes", "most", "contact")
    fields = {name: name for name in names}
    reply = replies.refusal(key, **fields)
    assert reply.key == key
    assert reply.code >= 400
    for language in ("vi", "en"):
        assert set(entry(language, f"reply.{key}")) == {"text"}
    vietnamese, english = reply.text.removeprefix(f"[{key}] ").removesuffix(".").split(". ")
    assert not vietnamese.isascii()
    assert english.isascii()
    wire = reply.encode()
    assert wire.isascii()
    assert b"?" not in wire  # every letter has a form without marks
    assert "…" not in reply.text  # every place was filled
    assert len(wire) <= MAX_LINE_OCTETS


def test_no_words_are_left_over() -> None:
    for language in ("vi", "en"):
        assert set(entry(language, "reply")) == replies.own_keys()


def test_a_refusal_by_the_policy_in_one_line() -> None:
    evidence = {"address": "ai@vidu.gov.vn"}
    reply = replies.rule_refusal("sender-identity", evidence, HELP)
    vietnamese = without_marks(rule_sentence("vi", "sender-identity", evidence)).rstrip(".")
    english = rule_sentence("en", "sender-identity", evidence).rstrip(".")
    basis = [entry(language, "rule.sender-identity")["basis"] for language in ("vi", "en")]
    assert reply.encode().decode() == (
        f"553 5.7.1 [sender-identity] {vietnamese} ({without_marks(basis[0])})."
        f" {english} ({basis[1]})."
        " https://mail.vidu.gov.vn/help/rules/sender-identity\r\n"
    )


def test_every_rule_that_refuses_is_named_the_gravest_in_words() -> None:
    broken = [("disguised-file", Action.REJECT), ("executable", Action.REJECT),
              ("executable", Action.REJECT), ("macro", Action.HOLD)]  # fmt: skip
    found = tuple(Finding(code, action, "part 2", {}, 1) for code, action in broken)
    told = Verdict(Action.REJECT, "disguised-file", found, (), "test")
    wire = replies.outcome_reply(FakeOutcome("q7", told), HELP).encode().decode()
    assert wire[4:].startswith("5.7.1 [disguised-file] [executable] ")
    assert "macro" not in wire
    assert wire.endswith(f"{HELP}/help/rules/disguised-file\r\n")


def test_many_broken_rules_are_counted() -> None:
    codes = [f"rule-of-an-agency-with-a-long-name-{number}" for number in range(20)]
    wire = replies.rule_refusal("secret-mark", {}, HELP, codes).encode()
    assert b"name-7] [+12] " in re.sub(rb"\r\n550[ -]5\.7\.1 ", b" ", wire)
    assert all(len(line) + 2 <= MAX_LINE_OCTETS for line in wire.split(b"\r\n"))


def test_what_the_client_wrote_is_repeated_without_controls_and_in_short() -> None:
    evidence = {"address": "a\r\n250 2.0.0 taken\x1b\u202e" + "x" * 200}
    wire = replies.rule_refusal("sender-identity", evidence, HELP).encode()
    assert wire.count(b"\r\n") == 1
    assert b"\x1b" not in wire
    assert b"x" * 101 not in wire


@pytest.mark.parametrize(
    ("action", "code", "wanted"),
    [
        (Action.PASS, "", "250 2.0.0 q7 queued"),
        (Action.TAG, "unsigned-needs-scan", "250 2.0.0 q7 queued"),
        (Action.WARN, "freemail-outbound", "250 2.0.0 q7 queued"),
        (Action.HOLD, "macro", "250 2.0.0 q7 held for approval [macro]"),
        (Action.QUARANTINE, "malware", "250 2.0.0 q7 held for approval [malware]"),
        (Action.DEFER, "rule-failed", "451 4.7.1 [not-judged]"),
        (Action.REJECT, "secret-mark", "550 5.7.1 [secret-mark]"),
        (Action.REJECT, "file-format", "550 5.6.1 [file-format]"),
        (Action.REJECT, "bulk-limit", "452 4.5.3 [bulk-limit]"),
        (Action.REJECT, "a-rule-of-an-agency", "550 5.7.1 [a-rule-of-an-agency]"),
    ],
)
def test_outcomes(action: Action, code: str, wanted: str) -> None:
    reply = replies.outcome_reply(FakeOutcome("q7", verdict(action, code)), HELP)
    assert reply.encode().decode().startswith(wanted)


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (Unavailable("disk-full"), "452 4.3.1 [disk-full]"),
        (Unavailable("resolver-unavailable"), "451 4.4.3 [trouble-dns]"),
        (Unavailable("scanner-unavailable"), "451 4.7.1 [trouble-scanner]"),
        (Unavailable("too-busy"), "454 4.7.0 [trouble-busy]"),
        (Unavailable("signing-key-missing"), "451 4.3.0 [trouble]"),
        (MailgovError("anything"), "451 4.3.0 [trouble]"),
        (RuntimeError("secret"), "451 4.3.0 [trouble]"),
    ],
)
def test_trouble(error: Exception, wanted: str) -> None:
    reply = replies.trouble(error, "ab12cd34")
    assert reply.encode().decode().startswith(wanted)
    assert "secret" not in reply.text
    if reply.key != "disk-full":
        assert "ab12cd34" in reply.text


@given(st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), max_size=1500))
@settings(deadline=None)
def test_long_texts_take_more_lines_and_lose_nothing(text: str) -> None:
    lines = Reply(550, "5.7.1", text).encode(utf8=True).split(b"\r\n")
    assert lines.pop() == b""
    assert all(len(line) + 2 <= MAX_LINE_OCTETS for line in lines)
    assert all(line.startswith(b"550-5.7.1 ") for line in lines[:-1])
    assert lines[-1].startswith(b"550 5.7.1 ")
    shown = "".join(line[len("550 5.7.1 ") :].decode() for line in lines)
    assert shown.replace(" ", "") == text.replace(" ", "")


def test_letters_stay_letters_for_who_asked() -> None:
    reply = replies.refusal("unknown-recipient")
    assert "Không có hộp thư này" in reply.encode(utf8=True).decode()
    assert without_marks("Không có hộp thư này") in reply.encode().decode()


def test_lines_that_belong_together() -> None:
    reply = replies.hello("mail.vidu.gov.vn", ("PIPELINING", "SIZE 1"))
    assert reply.encode() == b"250-mail.vidu.gov.vn\r\n250-PIPELINING\r\n250 SIZE 1\r\n"
