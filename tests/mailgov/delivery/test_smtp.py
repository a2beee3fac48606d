"""To the next server: what we say, what we make of what it says."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
import trustme

from mailgov.config import Delivery
from mailgov.delivery.transports import Answers, LeaseLost, Parcel, Taken, wire
from mailgov.delivery.transports.smtp import SmtpTransport
from mailgov.delivery.transports.smtp_session import Login
from mailgov.errors import DeliveryDeferred, DeliveryError, DeliveryRefused

from ...support.dns import FakeResolver
from ...support.smtp_peer import Peer, serving
from ..queue.samples import TEXT
from .parcels import PREFIX, lost, ours, parcel

DNS = FakeResolver(addresses_of={"example.vn": ["127.0.0.1"], "tỉnh.vn": ["127.0.0.1"]})


@asynccontextmanager
async def transport_to(
    peer: Peer,
    *,
    resolver: FakeResolver = DNS,
    smarthost: bool = False,
    tls: str = "opportunistic",
    login: Login | None = None,
    **options: object,
) -> AsyncIterator[SmtpTransport]:
    async with serving(peer):
        settings = Delivery.model_validate(
            {
                "allow_loopback": True,
                "smarthost": f"localhost:{peer.port}" if smarthost else "",
                "smarthost_tls": tls,
                **options,
            }
        )
        transport = SmtpTransport(
            settings, "mail.tinhmau.gov.vn", resolver, port=peer.port, login=login
        )
        try:
            yield transport
        finally:
            await transport.close()


async def answers_of(peer: Peer, sent: Parcel | None = None) -> Answers:
    async with transport_to(peer) as transport:
        return await transport.deliver(sent or parcel(), ours)


async def trouble_with(peer: Peer, sent: Parcel | None = None) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await answers_of(peer, sent)
    return caught.value


async def test_the_message_leaves_as_it_is_in_one_transaction() -> None:
    peer = Peer()
    data = b"Subject: x\r\n\r\n.\r\n..dots\r\nlast"
    answers = await answers_of(peer, parcel("b@example.vn", "c@example.vn", data=data))
    assert answers[1] == answers[2] == Taken("250 2.0.0 queued as 1", "relay")
    (received,) = peer.received
    size = len(PREFIX) + len(data)
    assert received.mail == f"MAIL FROM:<an@tinhmau.gov.vn> SIZE={size}"
    assert received.recipients == ["RCPT TO:<b@example.vn>", "RCPT TO:<c@example.vn>"]
    assert received.data == PREFIX + data + b"\r\n"
    assert peer.commands[0] == "EHLO mail.tinhmau.gov.vn"


async def test_a_large_message_leaves_in_pieces() -> None:
    peer = Peer()
    data = b"Subject: x\r\n\r\n" + (b"." * 900 + b"\r\n") * 3_000
    await answers_of(peer, parcel(data=data))
    assert peer.received[0].data == PREFIX + data


async def test_the_null_sender_and_quoted_names_leave_as_they_are() -> None:
    peer = Peer()
    await answers_of(peer, parcel('"b c"@example.vn', sender=""))
    assert peer.received[0].mail.startswith("MAIL FROM:<> ")
    assert peer.received[0].recipients == ['RCPT TO:<"b c"@example.vn>']


async def test_each_recipient_has_its_own_answer() -> None:
    peer = Peer(
        replies={
            "RCPT TO:<no": "550 5.1.1 no such user",
            "RCPT TO:<wait": "451-4.7.1 Greylisted\r\n451 4.7.1 come back",
        }
    )
    answers = await answers_of(peer, parcel("ok@example.vn", "no@example.vn", "wait@example.vn"))
    assert isinstance(answers[1], Taken)
    no, wait = answers[2], answers[3]
    assert isinstance(no, DeliveryRefused)
    assert no.reply == "550 5.1.1 no such user"
    assert isinstance(wait, DeliveryDeferred)
    assert wait.reply == "451 4.7.1 Greylisted 4.7.1 come back"
    assert peer.received[0].recipients == ["RCPT TO:<ok@example.vn>"]


async def test_when_nobody_is_taken_no_content_leaves() -> None:
    peer = Peer(replies={"RCPT": "550 5.1.1 no"})
    answers = await answers_of(peer)
    assert isinstance(answers[1], DeliveryRefused)
    assert peer.received == []
    assert "RSET" in peer.commands


async def test_without_pipelining_no_data_follows_when_nobody_is_taken() -> None:
    peer = Peer(extensions=[], replies={"RCPT": "550 5.1.1 no"})
    answers = await answers_of(peer)
    assert isinstance(answers[1], DeliveryRefused)
    assert "DATA" not in peer.commands
    assert "RSET" in peer.commands


async def test_commands_go_out_together_where_the_peer_takes_that() -> None:
    together, singly = Peer(), Peer(extensions=["SIZE"])
    for peer in (together, singly):
        await answers_of(peer, parcel("a@example.vn", "b@example.vn"))
        assert len(peer.received) == 1
    assert together.most_at_once == 4  # MAIL, two RCPT, DATA
    assert singly.most_at_once == 1


async def test_a_peer_that_waits_for_a_message_to_nobody_gets_none() -> None:
    peer = Peer(
        replies={"RCPT": "550 5.1.1 no", "DATA": "354 go", "DOT": "554 5.5.1 no recipients"}
    )
    sent = parcel("a@example.vn", "b@example.vn")
    async with transport_to(peer) as transport:
        for _ in range(2):  # and the connection is good for the next
            answers = await transport.deliver(sent, ours)
            assert {type(answer) for answer in answers.values()} == {DeliveryRefused}
    assert peer.connections == 1
    assert peer.received == []


async def test_recipients_beyond_the_peers_limit_follow_at_once() -> None:
    peer = Peer(
        replies={"RCPT TO:<c@": ["452 4.5.3 too many", "250 ok"], "RCPT TO:<d@": "452 4.5.3 full"}
    )
    sent = parcel("a@example.vn", "b@example.vn", "c@example.vn", "d@example.vn")
    answers = await answers_of(peer, sent)
    assert [type(answers[n]) for n in (1, 2, 3, 4)] == [Taken, Taken, Taken, DeliveryDeferred]
    assert [len(one.recipients) for one in peer.received] == [2, 1]


@pytest.mark.parametrize(
    ("replies", "kind", "code", "reply"),
    [
        ({"MAIL": "553 5.1.8 bad sender"}, DeliveryRefused, "peer-refused", "553 5.1.8 bad sender"),
        ({"MAIL": "451 4.3.0 later"}, DeliveryDeferred, "peer-deferred", "451 4.3.0 later"),
        ({"MAIL": "DROP"}, DeliveryDeferred, "connection-lost", ""),
        ({"RCPT": "DROP"}, DeliveryDeferred, "connection-lost", ""),
        ({"DATA": "DROP"}, DeliveryDeferred, "connection-lost", ""),
        ({"DATA": "554 5.5.1 none"}, DeliveryRefused, "peer-refused", "554 5.5.1 none"),
        ({"DATA": "452 4.3.1 full"}, DeliveryDeferred, "peer-deferred", "452 4.3.1 full"),
        ({"DOT": "554 5.7.1 spam"}, DeliveryRefused, "peer-refused", "554 5.7.1 spam"),
        ({"DOT": "450 4.7.1 wait"}, DeliveryDeferred, "peer-deferred", "450 4.7.1 wait"),
        ({"DOT": "DROP"}, DeliveryDeferred, "outcome-unknown", ""),
        ({"DOT": "hello"}, DeliveryDeferred, "outcome-unknown", ""),
        ({"DOT": "399 odd"}, DeliveryDeferred, "peer-deferred", "399 odd"),
        ({"GREETING": "554 go away"}, DeliveryDeferred, "peer-unreachable", "554 go away"),
        ({"GREETING": "DROP"}, DeliveryDeferred, "peer-unreachable", ""),
        ({"EHLO": "421 busy"}, DeliveryDeferred, "peer-unreachable", "421 busy"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
async def test_what_a_server_says_is_told_apart(
    replies: dict[str, str], kind: type[DeliveryError], code: str, reply: str
) -> None:
    peer = Peer(replies=replies)
    try:
        answer = (await answers_of(peer))[1]
    except DeliveryError as exc:
        answer = exc
    assert type(answer) is kind
    assert isinstance(answer, DeliveryError)
    assert (answer.code, answer.reply) == (code, reply)
    assert peer.received == []


async def test_a_no_in_the_middle_of_the_content_counts() -> None:
    peer = Peer(replies={"EARLY": "552 5.3.4 enough"})
    data = b"Subject: x\r\n\r\n" + b"line\r\n" * 2_000_000
    answer = (await answers_of(peer, parcel(data=data)))[1]
    assert isinstance(answer, DeliveryRefused)
    assert answer.reply == "552 5.3.4 enough"


async def test_a_silent_server_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "DOT_SECONDS", 0.1)
    answer = (await answers_of(Peer(replies={"DOT": "SILENCE"})))[1]
    assert isinstance(answer, DeliveryDeferred)
    assert answer.code == "outcome-unknown"


async def test_a_slow_server_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "QUIT_SECONDS", 30.0)
    peer = Peer(delay_seconds=0.1, replies={"RCPT TO:<c@": "451 4.7.1 later"})
    answers = await answers_of(peer, parcel("a@example.vn", "b@example.vn", "c@example.vn"))
    assert [type(answers[n]) for n in (1, 2, 3)] == [Taken, Taken, DeliveryDeferred]
    assert peer.commands[-1] == "QUIT"


async def test_what_a_server_says_is_bounded_and_printable() -> None:
    reply = "550 5.7.1 \x1b[31m" + "x" * 5000
    answer = (await answers_of(Peer(replies={"RCPT": reply})))[1]
    assert isinstance(answer, DeliveryRefused)
    assert answer.reply.isprintable()
    assert len(answer.reply) == 1000


async def test_an_old_server_without_ehlo_is_served_too() -> None:
    peer = Peer(replies={"EHLO": "502 5.5.1 what"})
    assert isinstance((await answers_of(peer))[1], Taken)
    assert peer.received[0].mail == "MAIL FROM:<an@tinhmau.gov.vn>"


async def test_without_the_lease_the_dot_is_not_sent() -> None:
    peer = Peer()
    async with transport_to(peer) as transport:
        with pytest.raises(LeaseLost):
            await transport.deliver(parcel(), lost)
    assert peer.received == []
    assert peer.commands[-1] == "DATA"


async def test_bare_line_ends_never_leave() -> None:
    peer = Peer()
    trouble = await trouble_with(peer, parcel(data=b"Subject: x\r\n\r\na\n.\r\nb\r\n"))
    assert isinstance(trouble, DeliveryRefused)
    assert trouble.code == "bare-line-ends"
    assert peer.connections == 0


UTF8_HEADER = "Subject: Họp\r\n\r\nx\r\n".encode()
UTF8_BODY = "Subject: x\r\n\r\nHọp\r\n".encode()


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (parcel("bình@example.vn"), ["SMTPUTF8"]),
        (parcel(sender="ấn@tinhmau.gov.vn"), ["SMTPUTF8"]),
        (parcel(data=UTF8_HEADER), ["SMTPUTF8"]),
        (parcel(data=UTF8_BODY), ["BODY=8BITMIME"]),
        (parcel(data=TEXT), []),
    ],
    ids=["recipient", "sender", "header", "body", "plain"],
)
async def test_extensions_are_asked_for_where_needed(sent: Parcel, words: list[str]) -> None:
    peer = Peer(extensions=["8BITMIME", "SMTPUTF8"])
    await answers_of(peer, sent)
    assert peer.received[0].mail.split(">")[1].split() == words


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (parcel(sender="ấn@tinhmau.gov.vn"), "peer-lacks-smtputf8"),
        (parcel(data=UTF8_HEADER), "peer-lacks-smtputf8"),
        (parcel(data=UTF8_BODY), "peer-lacks-8bitmime"),
        (parcel(data=b"x" * 200), "peer-takes-less"),
    ],
    ids=["sender", "header", "body", "size"],
)
async def test_a_server_that_can_not_take_it_is_not_tried(sent: Parcel, code: str) -> None:
    peer = Peer(extensions=["SIZE 100"] if code == "peer-takes-less" else [])
    trouble = await trouble_with(peer, sent)
    assert isinstance(trouble, DeliveryRefused)
    assert trouble.code == code
    assert not any(command.startswith("MAIL") for command in peer.commands)


async def test_only_the_recipient_who_needs_smtputf8_is_refused_for_want_of_it() -> None:
    peer = Peer(extensions=[])
    answers = await answers_of(peer, parcel("bình@example.vn", "chi@example.vn"))
    assert isinstance(answers[1], DeliveryRefused)
    assert answers[1].code == "peer-lacks-smtputf8"
    assert isinstance(answers[2], Taken)
    assert peer.received[0].mail == "MAIL FROM:<an@tinhmau.gov.vn>"


async def test_wishes_for_notices_go_to_servers_that_know_them() -> None:
    sent = parcel(notify=["SUCCESS", "DELAY"], original="rfc822;b@x.vn", envid="Q1", ret="HDRS")
    peer = Peer(extensions=["DSN"])
    answers = await answers_of(peer, sent)
    assert answers[1] == Taken("250 2.0.0 queued as 1", "dsn-relay")
    assert peer.received[0].mail.endswith("> RET=HDRS ENVID=Q1")
    assert peer.received[0].recipients == [
        "RCPT TO:<binh@example.vn> NOTIFY=DELAY,SUCCESS ORCPT=rfc822;b@x.vn"
    ]
    plain = Peer(extensions=[])
    assert (await answers_of(plain, sent))[1] == Taken("250 2.0.0 queued as 1", "relay")
    assert plain.received[0].mail == "MAIL FROM:<an@tinhmau.gov.vn>"


def certificate(name: str, authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    issued = authority.issue_cert(
        name,
        not_before=datetime(2020, 1, 1, tzinfo=UTC),
        not_after=datetime(2099, 1, 1, tzinfo=UTC),
    )
    issued.configure_cert(context)
    return context


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


async def test_tls_is_taken_where_offered_whatever_the_certificate(authority: trustme.CA) -> None:
    peer = Peer(tls=certificate("somebody.else", authority))
    assert isinstance((await answers_of(peer))[1], Taken)
    assert peer.received[0].in_tls
    assert [command.split()[0] for command in peer.commands][:3] == ["EHLO", "STARTTLS", "EHLO"]


@pytest.mark.parametrize("reply", ["454 4.7.0 not now", "DROP", "220 but no handshake follows"])
async def test_failed_opportunistic_tls_falls_back_to_clear(
    reply: str, authority: trustme.CA
) -> None:
    broken = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # without a certificate no handshake succeeds
    peer = Peer(tls=broken, replies={"STARTTLS": reply})
    assert isinstance((await answers_of(peer))[1], Taken)
    assert peer.connections == 2
    assert not peer.received[0].in_tls


async def smarthost_answer(
    peer: Peer, tls: str, *, login: Login | None = None, **options: object
) -> DeliveryDeferred | Taken:
    async with transport_to(
        peer, smarthost=True, tls=tls, resolver=FakeResolver(), login=login, **options
    ) as transport:
        try:
            answer = (await transport.deliver(parcel(), ours))[1]
        except DeliveryDeferred as exc:
            return exc
        assert isinstance(answer, Taken)
        return answer


async def test_the_smarthost_takes_all_mail_without_asking_dns() -> None:
    peer = Peer()
    assert isinstance(await smarthost_answer(peer, "none"), Taken)
    assert len(peer.received) == 1


@pytest.fixture(scope="module")
def authorities(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return [str(path)]


async def test_required_tls_is_required(authority: trustme.CA, authorities: list[str]) -> None:
    plain = Peer()
    wrong = Peer(tls=certificate("somebody.else", authority))
    unknown = Peer(tls=certificate("localhost", trustme.CA()))
    for peer in (plain, wrong, unknown):
        answer = await smarthost_answer(peer, "required", tls_authorities=authorities)
        assert isinstance(answer, DeliveryDeferred)
        assert answer.code == "peer-unsafe"
        assert peer.received == []
    right = Peer(tls=certificate("localhost", authority))
    answer = await smarthost_answer(right, "required", tls_authorities=authorities)
    assert isinstance(answer, Taken)
    assert right.received[0].in_tls


LOGIN = Login("mailgov", "bí mật")


@pytest.mark.parametrize(
    ("methods", "commands"),
    [
        ("PLAIN LOGIN", ["AUTH PLAIN AG1haWxnb3YAYsOtIG3huq10"]),
        ("LOGIN CRAM-MD5", ["AUTH LOGIN", "bWFpbGdvdg==", "YsOtIG3huq10"]),
    ],
)
async def test_signing_in_at_the_smarthost(
    methods: str, commands: list[str], authority: trustme.CA, authorities: list[str]
) -> None:
    peer = Peer(tls=certificate("localhost", authority), after_tls=[f"AUTH {methods}"])
    answer = await smarthost_answer(peer, "required", tls_authorities=authorities, login=LOGIN)
    assert isinstance(answer, Taken)
    assert peer.commands[3 : 3 + len(commands)] == commands


@pytest.mark.parametrize(
    ("methods", "reply"), [("PLAIN", "535 5.7.8 wrong"), ("GSSAPI", "235 ok"), ("", "235 ok")]
)
async def test_when_the_smarthost_does_not_know_us_nobodys_mail_is_returned(
    methods: str, reply: str, authority: trustme.CA, authorities: list[str]
) -> None:
    peer = Peer(
        tls=certificate("localhost", authority),
        after_tls=[f"AUTH {methods}".strip()],
        replies={"AUTH": reply},
    )
    answer = await smarthost_answer(peer, "required", tls_authorities=authorities, login=LOGIN)
    assert isinstance(answer, DeliveryDeferred)
    assert answer.code == "smarthost-sign-in"


async def test_the_next_server_is_tried_when_one_is_not_reached() -> None:
    resolver = FakeResolver(
        mx_of={"example.vn": [(10, "down.example.vn"), (20, "up.example.vn")]},
        addresses_of={"down.example.vn": ["127.0.0.2"], "up.example.vn": ["127.0.0.1"]},
    )
    peer = Peer()
    async with transport_to(peer, resolver=resolver) as transport:
        assert isinstance((await transport.deliver(parcel(), ours))[1], Taken)


async def test_when_no_server_is_reached_it_is_tried_later() -> None:
    resolver = FakeResolver(addresses_of={"example.vn": ["127.0.0.2", "127.0.0.3"]})
    async with transport_to(Peer(), resolver=resolver) as transport:
        with pytest.raises(DeliveryDeferred, match="peer-unreachable"):
            await transport.deliver(parcel(), ours)


async def test_a_connection_is_used_again() -> None:
    peer = Peer(replies={"DATA": ["354 go", "554 5.0.0 no", "354 go"]})
    async with transport_to(peer) as transport:
        for _ in range(3):
            await transport.deliver(parcel(), ours)
    assert peer.connections == 1
    assert len(peer.received) == 2
    assert peer.commands[-1] == "QUIT"


@pytest.mark.parametrize("reply", ["DROP", "421 4.4.2 idle too long"])
async def test_a_connection_that_died_meanwhile_costs_no_attempt(reply: str) -> None:
    peer = Peer(replies={"MAIL": ["250 ok", reply, "250 ok"]})
    async with transport_to(peer) as transport:
        for _ in range(2):
            assert isinstance((await transport.deliver(parcel(), ours))[1], Taken)
    assert peer.connections == 2
    assert len(peer.received) == 2


async def test_idle_connections_are_closed_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    peer = Peer()
    async with transport_to(peer) as transport:
        await transport.deliver(parcel(), ours)
        await transport.tend()
        assert peer.commands[-1] == "DATA"
        monkeypatch.setattr("mailgov.delivery.transports.pool.IDLE_SECONDS", -1)
        await transport.tend()
        assert peer.commands[-1] == "QUIT"


async def test_a_cancelled_attempt_leaves_no_half_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    peer = Peer(replies={"DATA": "SILENCE"})
    async with transport_to(peer) as transport:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await transport.deliver(parcel(), ours)
    assert peer.received == []


async def test_every_address_of_a_smarthost_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    ask = loop.getaddrinfo

    async def two(host: str, port: int, **kind: int) -> list[tuple[object, ...]]:
        (first, *_) = await ask("127.0.0.1", port, **kind)
        return [(*first[:4], ("127.0.0.2", port)), first]

    monkeypatch.setattr(loop, "getaddrinfo", two)
    peer = Peer()
    assert isinstance(await smarthost_answer(peer, "none"), Taken)
    assert peer.connections == 1
