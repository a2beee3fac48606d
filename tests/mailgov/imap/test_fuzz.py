"""Commands that nobody means, from somebody who is signed in: each is answered, nothing hangs or grows."""

import resource
import socket

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.imap_engines import Engine
from tests.support.imap_wire import Wire

MESSAGE = (
    b"From: An <an@vidu.gov.vn>\r\nSubject: Thu\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\n\r\nKinh gui\r\n--b\r\nContent-Type: text/plain\r\n\r\nhai\r\n--b--\r\n"
)
HUGE = b",".join(b"%d:%d" % (n, 4294967295 - n) for n in range(1, 2000))

numbers = st.sampled_from([
    b"1", b"*", b"1:*", b"*:1", b"0", b"4294967295", b"4294967296", b"99999999999999", b"2:1,1:2",
    b"1,", b":", b"1:", b"-1", HUGE, b"1," * 5000 + b"1",
])  # fmt: skip
strings = st.one_of(
    st.sampled_from([
        b'""', b'"', b'"a\\"b"', b'"\\x"', b"{0+}\r\n", b"{3+}\r\nabc", b"{3}\r\nabc", b"{2+}\r\n\0\xff",
        b"INBOX", b"*", b"%" * 200, b"*%" * 2000, b"&", b"&AAA", b"&2AA-", b"&APQ-", b"..", b"/", b"a/b",
        b"~", b"NIL", b"(", b")", b"a" * 5000, b"\xc3\xb4", b"{00000000003+}\r\nabc",
    ]),
    st.binary(max_size=20).map(lambda data: b"{%d+}\r\n%b" % (len(data), data)),
)  # fmt: skip
sections = st.recursive(
    st.sampled_from([b"BODY[]", b"BODY.PEEK[1]", b"BODY[HEADER.FIELDS (A B)]", b"BODY[1.1.1.MIME]",
                     b"ENVELOPE", b"BODYSTRUCTURE", b"BODY", b"FLAGS", b"UID", b"FAST", b"BODY[",
                     b"BODY[]<0.1>", b"BODY[]<4294967295.4294967295>", b"BODY[0]", b"BODY[1.0]",
                     b"BODY[9999999999]", b"BODY[HEADER.FIELDS ()]", b"BODY[%b]" % (b"1." * 500 + b"1")]),
    lambda inner: st.lists(inner, max_size=4).map(lambda items: b"(" + b" ".join(items) + b")"),
    max_leaves=6,
)  # fmt: skip
keys = st.recursive(
    st.one_of(
        st.sampled_from([b"ALL", b"SEEN", b"ON 32-Jan-2026", b"BEFORE 1-Jan-9999", b"LARGER 0", b"UID 1:*"]),
        numbers,
        strings.map(lambda text: b"SUBJECT " + text),
        strings.map(lambda text: b"HEADER A " + text),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda items: b"(" + b" ".join(items) + b")"),
        inner.map(lambda key: b"NOT " + key),
        st.tuples(inner, inner).map(lambda pair: b"OR " + b" ".join(pair)),
    ),
    max_leaves=12,
)  # fmt: skip
flags = st.sampled_from([b"(\\Seen)", b"()", b"(", b"\\Deleted $x", b"(\\Recent)", b"(%b)" % (b"k " * 60), b"(a(b))"])  # fmt: skip


def of(name: bytes, *arguments: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.tuples(*arguments).map(lambda given: b" ".join((name, *given)))


uid = st.sampled_from([b"", b"UID "])
commands = st.one_of(
    st.tuples(uid, of(b"FETCH", numbers, sections)).map(b"".join),
    st.tuples(uid, of(b"STORE", numbers, st.sampled_from([b"FLAGS", b"+FLAGS", b"-FLAGS.SILENT", b"X"]), flags)).map(b"".join),
    st.tuples(uid, of(b"COPY", numbers, strings)).map(b"".join),
    st.tuples(uid, of(b"MOVE", numbers, strings)).map(b"".join),
    st.tuples(uid, of(b"SEARCH", keys)).map(b"".join),
    of(b"SEARCH CHARSET", strings, keys),
    *(of(name, strings) for name in (b"SELECT", b"EXAMINE", b"CREATE", b"DELETE", b"SUBSCRIBE",
                                     b"UNSUBSCRIBE", b"GETQUOTA", b"GETQUOTAROOT", b"ID", b"APPEND")),
    *(of(name, strings, strings) for name in (b"LIST", b"LSUB", b"RENAME", b"STATUS", b"APPEND INBOX")),
    of(b"STATUS INBOX", st.sampled_from([b"(MESSAGES)", b"()", b"(X)", b"(" * 50])),
    st.sampled_from([b"EXPUNGE", b"CHECK", b"CLOSE", b"UNSELECT", b"NAMESPACE", b"IDLE", b"NOOP", b"UID", b"UID X"]),
    st.binary(max_size=60).filter(lambda data: b"\n" not in data and b"\r" not in data),
)  # fmt: skip


@pytest.fixture(scope="module")
def filled(embedded_engine: Engine) -> str:
    address = embedded_engine.mailbox()
    embedded_engine.deliver(address, [MESSAGE] * 3)
    return address


def answered(wire: Wire) -> bool:
    """Whether a NOOP after it all is answered; else the session was ended, which is an answer too."""
    wire.send(b"\r\nDONE\r\nend NOOP\r\n")
    while response := wire.response():
        if response.startswith(b"end "):
            return True
        if response.startswith(b"* BYE"):
            return False
    return False


@given(st.lists(commands, min_size=1, max_size=6))
@example([b'LIST "" ' + b"*%" * 2000, b"SEARCH " + b"(" * 3000])
@example([b"FETCH " + HUGE + b" FLAGS", b"STORE " + HUGE + b" +FLAGS ()"])
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_every_command_is_answered(
    embedded_engine: Engine, filled: str, given: list[bytes]
) -> None:
    with embedded_engine.wire(filled) as wire:
        wire.ok(b"SELECT INBOX")
        for number, command in enumerate(given):
            wire.send(b"f%d %b\r\n" % (number, command))
        answered(wire)
    with embedded_engine.wire(filled) as wire:  # and everybody else is served as before
        wire.ok(b"NOOP")


@pytest.mark.parametrize(
    "unfinished",
    [b"a APPEND INBOX {1000000+}\r\nabc", b'a LOGIN "', b"a SEARCH TEXT {10}\r\nabc", b"a FETCH 1 (BODY["],
)  # fmt: skip
def test_what_is_never_finished_holds_nobody_else(
    embedded_engine: Engine, filled: str, unfinished: bytes
) -> None:
    wires = [embedded_engine.wire(filled) for _ in range(5)]
    try:
        for wire in wires:
            wire.send(unfinished)
        with embedded_engine.wire(filled) as other:
            other.ok(b"SELECT INBOX")
            other.ok(b"FETCH 1 BODY.PEEK[]")
    finally:
        for wire in wires:
            wire.close()


def test_who_asks_and_does_not_read_makes_nothing_grow(embedded_engine: Engine) -> None:
    """4 MiB asked for 200 times over, while nobody takes the answers."""
    address = embedded_engine.mailbox()
    embedded_engine.deliver(address, [b"Subject: lon\r\n\r\n" + b"x" * (4 << 20) + b"\r\n"])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with embedded_engine.wire(address) as slow:
        slow.ok(b"SELECT INBOX")
        slow.send(b"".join(b"s%d FETCH 1 BODY.PEEK[]\r\n" % n for n in range(200)))
        with embedded_engine.wire(address) as other:
            for _ in range(20):
                other.ok(b"NOOP")
                other.ok(b"STATUS INBOX (MESSAGES)")
        slow._socket.shutdown(socket.SHUT_RDWR)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 64 * 1024  # KiB: a few copies of one answer, not two hundred
