"""The worker on a real queue: everything accepted comes to an end, and its sender hears."""

import asyncio
import email
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.policy import default
from pathlib import Path

import pytest
from sqlalchemy import select

from mailgov import faults
from mailgov.addresses import Address
from mailgov.config import Config, load_config
from mailgov.db import Database
from mailgov.delivery import recording
from mailgov.delivery import worker as worker_module
from mailgov.delivery.transports import Answer, Answers, Fence, Parcel, Taken, Transport
from mailgov.delivery.transports.maildir import MaildirTransport
from mailgov.delivery.transports.smtp import SmtpTransport
from mailgov.delivery.worker import Worker
from mailgov.errors import DeliveryDeferred, DeliveryRefused, Unavailable
from mailgov.mailstore import layout
from mailgov.message import Body
from mailgov.queue import MAILBOX, admin, listing
from mailgov.queue.conserve import conserve
from mailgov.queue.spool import MEMORY_BYTES
from mailgov.queue.tables import MESSAGE

from ...support.dns import FakeResolver
from ...support.smtp_peer import Peer, serving
from ..queue.samples import NOON, Bench, accept, add_mailbox, bench, body_of, message

AN = "an@tinhmau.gov.vn"
LATER = DeliveryDeferred("peer-deferred", reply="451 4.7.1 later")
NO = DeliveryRefused("peer-refused", reply="550 5.1.1 no such user")


@dataclass
class Directory:
    """Mailboxes of ours, by address."""

    mailboxes: dict[str, int]

    @dataclass(frozen=True)
    class Box:
        """A mailbox as the worker sees it."""

        mailbox_id: int

    async def find_mailbox(self, address: Address) -> Box | None:
        """The mailbox of that address."""
        found = self.mailboxes.get(address.key)
        return self.Box(found) if found is not None else None

    async def is_local_domain(self, domain: str) -> bool:
        """Only tinhmau.gov.vn is ours."""
        return domain == "tinhmau.gov.vn"

    async def return_path(self, address: Address) -> Address | None:
        """One of us passed on what dan@example.vn sent."""
        return Address("dan", "example.vn") if address.local.startswith("SRS0=") else None


Script = Callable[[Parcel, Fence], Awaitable[Answer]]


@dataclass
class Scripted:
    """A transport that does as told, and remembers."""

    script: Script
    seen: list[Parcel] = field(default_factory=list)
    closed: bool = False

    async def deliver(self, parcel: Parcel, fence: Fence) -> Answers:
        """The same answer for every recipient."""
        self.seen.append(parcel)
        answer = await self.script(parcel, fence)
        return {item.recipient_id: answer for item in parcel.items}

    async def tend(self) -> None:
        """Nothing to tend."""

    async def close(self) -> None:
        """Remember it."""
        self.closed = True


def says(*answers: Answer) -> Script:
    """These answers one by one, the last again and again."""
    left = list(answers)

    async def script(_parcel: Parcel, fence: Fence) -> Answer:
        await fence()
        return left.pop(0) if len(left) > 1 else left[0]

    return script


@dataclass
class Signing:
    """A signer with the key of one domain."""

    asked: list[str] = field(default_factory=list)
    broken: bool = False

    async def sign(self, header: bytes, body: Body, domain: str) -> bytes | None:
        """A field that says by whom."""
        assert body.read().startswith(header)
        self.asked.append(domain)
        if self.broken:
            raise Unavailable("signing-key-missing", file="x")
        return b"DKIM-Signature: here\r\n" if domain == "vidu.gov.vn" else None


@dataclass
class Post:
    """A queue, a worker, mailboxes on disk."""

    made: Bench
    config: Config
    directory: Directory

    def worker(
        self,
        remote: Transport,
        *,
        clock: Callable[[], datetime] | None = None,
        timer: Callable[[], float] = time.monotonic,
        signer: Signing | None = None,
    ) -> Worker:
        """A worker with real mailboxes; `remote` takes all other mail."""
        return Worker(
            config=self.config,
            queue=self.made.queue,
            directory=self.directory,
            clock=clock or (lambda: self.made.now),
            transports={MAILBOX: MaildirTransport(self.config.data.path), "": remote},
            timer=timer,
            signer=signer,
        )

    async def deliver(self, remote: Transport) -> None:
        """Until nothing is due."""
        worker = self.worker(remote)
        while await worker.start_due():
            await worker.idle()

    def inbox(self, address: str = AN) -> list[bytes]:
        """What is in a mailbox."""
        folder = layout.maildir(self.config.data.path, Address.parse(address))
        return [path.read_bytes() for path in sorted(folder.glob("new/*"))]

    def balance(self) -> dict[str, int]:
        """Recipients by state; fails unless every message balances."""
        with self.made.database.read() as session:
            balance = conserve(session)
        assert balance.discrepancies == []
        return dict(balance.states)


@pytest.fixture
def post(any_database: Database, tmp_path: Path) -> Post:
    config = load_config(None, data={"path": str(tmp_path)}, delivery={"attempt_seconds": 30})
    made = bench(any_database, tmp_path, config.delivery)
    return Post(made, config, Directory({AN: add_mailbox(any_database, AN)}))


def local(post: Post, *others: str, **options: object) -> None:
    """Accept a message for An and others."""
    new = message(AN, *others, mailbox_id=post.directory.mailboxes[AN], **options)  # type: ignore[arg-type]  # passed through
    accept(post.made.database, new)


async def test_ours_get_a_file_others_a_transaction(post: Post) -> None:
    peer = Peer()
    async with serving(peer):
        settings = post.config.delivery.model_copy(update={"allow_loopback": True})
        resolver = FakeResolver(addresses_of={"example.vn": ["127.0.0.1"]})
        remote = SmtpTransport(settings, "mail.tinhmau.gov.vn", resolver, port=peer.port)
        local(post, "b@example.vn", "c@example.vn")
        await post.deliver(remote)
        await remote.close()
    assert len(post.inbox()) == 1
    (received,) = peer.received
    assert len(received.recipients) == 2
    assert post.inbox()[0].endswith(received.data)
    assert post.balance() == {"delivered": 3}
    with post.made.database.read() as session:
        assert session.connection().execute(select(MESSAGE.c.done_at)).scalar_one() == NOON


async def test_what_is_deferred_is_tried_again_when_due(post: Post) -> None:
    remote = Scripted(says(LATER, LATER, Taken("250 ok", "relay")))
    accept(post.made.database, message())
    for minutes in (0, 7, 13):
        post.made.later(minutes=minutes)
        await post.deliver(remote)
    assert len(remote.seen) == 3
    assert post.balance() == {"delivered": 1}


async def test_a_no_sends_the_sender_a_notice(post: Post) -> None:
    accept(post.made.database, message("b@example.vn", "c@example.vn", sender=AN))
    await post.deliver(Scripted(says(NO)))
    (notice,) = post.inbox()
    assert notice.startswith(b"Return-Path: <>\r\nDelivered-To: an@tinhmau.gov.vn\r\n")
    read = email.message_from_bytes(notice, policy=default)
    assert read.get_content_type() == "multipart/report"
    assert b"Final-Recipient: rfc822; b@example.vn" in notice
    assert b"Final-Recipient: rfc822; c@example.vn" in notice
    assert post.balance() == {"bounced": 2, "delivered": 1}


async def test_giving_up_after_five_days_with_one_word_about_the_delay(post: Post) -> None:
    remote = Scripted(says(LATER))
    accept(post.made.database, message(sender=AN))
    while "queued" in post.balance():
        await post.deliver(remote)
        due = await post.made.queue.next_due()
        post.made.now = due or post.made.now
    subjects = [email.message_from_bytes(raw, policy=default)["Subject"] for raw in post.inbox()]
    assert [subject.split(":")[0] for subject in subjects] == [
        "Thư đang chờ gửi",
        "Thư chưa gửi được",
    ]
    assert post.made.now - NOON >= timedelta(days=5)
    assert post.balance() == {"bounced": 1, "delivered": 2}


@pytest.mark.parametrize(
    ("sender", "notices"),
    [("", 0), ("gone@tinhmau.gov.vn", 0), ("stranger@example.vn", 1), (AN, 1)],
    ids=["null sender", "no such mailbox", "foreign", "ours"],
)
async def test_a_notice_goes_to_whoever_is_there_to_read_it(
    post: Post, sender: str, notices: int
) -> None:
    async def script(parcel: Parcel, fence: Fence) -> Answer:
        is_notice = parcel.message.mail_from is None and sender
        return Taken("250 ok", "relay") if is_notice else NO

    accept(post.made.database, message("b@x.vn", sender=sender))
    await post.deliver(Scripted(script))
    states = post.balance()
    assert (states["bounced"], states.get("delivered", 0)) == (1, notices)


async def test_of_mail_passed_on_its_first_sender_hears(post: Post) -> None:
    seen: list[Address] = []

    async def script(parcel: Parcel, fence: Fence) -> Answer:
        if parcel.message.mail_from is not None:
            return NO
        seen.extend(item.address for item in parcel.items)
        return Taken("250 ok", "relay")

    accept(post.made.database, message("b@x.vn", sender="SRS0=a=b=example.vn=dan@tinhmau.gov.vn"))
    await post.deliver(Scripted(script))
    assert seen == [Address("dan", "example.vn")]
    assert post.balance() == {"bounced": 1, "delivered": 1}


async def test_a_notice_that_can_not_be_delivered_ends_there(post: Post) -> None:
    accept(post.made.database, message("b@x.vn", sender="stranger@example.vn"))
    await post.deliver(Scripted(says(NO)))
    assert post.balance() == {"bounced": 2}


@pytest.mark.parametrize("sender", ["stranger@example.vn", "gone@tinhmau.gov.vn"])
async def test_of_what_nobody_can_be_told_the_postmaster_hears_once(
    post: Post, sender: str
) -> None:
    keeper = "postmaster@tinhmau.gov.vn"
    post.directory.mailboxes[keeper] = add_mailbox(post.made.database, keeper)
    relay = post.config.relay.model_copy(update={"postmaster": keeper})
    post.config = post.config.model_copy(update={"relay": relay})
    accept(post.made.database, message("b@x.vn", sender=sender))
    await post.deliver(Scripted(says(NO)))
    (told,) = post.inbox(keeper)
    read = email.message_from_bytes(told, policy=default)
    assert read["Subject"].startswith("Không báo được cho người gửi: ")
    assert post.balance()["delivered"] == 1
    # And when the postmaster's own mailbox is gone, that is the end.
    del post.directory.mailboxes[keeper]
    accept(post.made.database, message("b@x.vn", sender=sender))
    await post.deliver(Scripted(says(NO)))
    assert len(post.inbox(keeper)) == 1


async def test_the_whole_message_returns_where_its_sender_wants_it(post: Post) -> None:
    new = message("b@x.vn", sender=AN, body=body_of(b"Subject: x\r\n\r\n" + b"line\r\n" * 9))
    full = replace(new, envelope=replace(new.envelope, ret="FULL"))
    accept(post.made.database, full)
    await post.deliver(Scripted(says(NO)))
    (notice,) = post.inbox()
    assert b"line\r\n" * 9 in notice
    assert b"Content-Type: message/rfc822" in notice


@pytest.mark.parametrize("broken", [False, True])
async def test_notices_are_signed_where_a_key_can_be_had(post: Post, broken: bool) -> None:
    signer = Signing(broken=broken)
    worker = post.worker(Scripted(says(NO)), signer=signer)
    accept(post.made.database, message("b@x.vn", sender=AN))
    while await worker.start_due():
        await worker.idle()
    (notice,) = post.inbox()
    assert (b"DKIM-Signature: here\r\nFrom: " in notice) is not broken
    assert signer.asked == ["mail.vidu.gov.vn", "vidu.gov.vn"][: 1 if broken else 2]


async def hang(_parcel: Parcel, _fence: Fence) -> Answer:
    await asyncio.Event().wait()
    raise AssertionError


async def break_down(_parcel: Parcel, _fence: Fence) -> Answer:
    raise ZeroDivisionError("a fault of ours")


async def no_dns(_parcel: Parcel, _fence: Fence) -> Answer:
    raise Unavailable("resolver-unavailable", name="x.vn", type="MX", reason="ServFail")


@pytest.mark.parametrize(
    ("script", "reply"),
    [
        (hang, "4.4.2 [attempt-late]"),
        (break_down, "4.0.0 [own-trouble]"),
        (no_dns, "4.4.3 [resolver-unavailable] name x.vn, type MX, reason ServFail"),
    ],
)
async def test_trouble_of_our_own_costs_time_and_no_mail(
    post: Post, script: Script, reply: str
) -> None:
    settings = post.config.delivery.model_copy(update={"attempt_seconds": 0.05})
    post.config = post.config.model_copy(update={"delivery": settings})
    accept(post.made.database, message())
    await post.deliver(Scripted(script))
    (item,) = post.made.recipients().items()
    assert item == ("binh@example.vn", ("queued", 1))
    post.made.later(minutes=10)
    (claimed,) = await post.made.queue.claim(1)
    assert claimed.attempt == 2
    with post.made.database.read() as session:
        assert [entry.last_reply for entry in listing.waiting(session)] == [reply]


async def test_a_destination_has_its_bound_and_the_others_their_turn(post: Post) -> None:
    under_way: Counter[str] = Counter()
    most: Counter[str] = Counter()
    full, go_on = asyncio.Event(), asyncio.Event()

    async def script(parcel: Parcel, _fence: Fence) -> Answer:
        under_way[parcel.destination] += 1
        if under_way.total() == 6:
            full.set()
        most[parcel.destination] = max(most[parcel.destination], under_way[parcel.destination])
        await go_on.wait()
        under_way[parcel.destination] -= 1
        return Taken("250 ok", "relay")

    accept(post.made.database, *(message(f"u{i}@big.vn") for i in range(40)), message("u@small.vn"))
    worker = post.worker(Scripted(script))
    assert await worker.start_due() == 6
    async with asyncio.timeout(10):
        await full.wait()
    assert await worker.start_due() == 0
    go_on.set()
    await worker.idle()
    while await worker.start_due():
        await worker.idle()
    assert most == {"big.vn": 5, "small.vn": 1}
    assert post.balance() == {"delivered": 41}


def unreachable(reason: str = "refused") -> DeliveryDeferred:
    return DeliveryDeferred("peer-unreachable", host="mx.x.vn", reason=reason)


async def test_mail_for_a_dead_destination_hears_so_without_an_attempt(post: Post) -> None:
    remote = Scripted(says(unreachable(), unreachable(), Taken("250 ok", "relay")))
    settings = post.config.delivery.model_copy(update={"per_destination_start": 1})
    post.config = post.config.model_copy(update={"delivery": settings})
    timer = [0.0]
    worker = post.worker(remote, timer=lambda: timer[0])
    accept(post.made.database, *(message(f"u{i}@x.vn") for i in range(4)))
    while await worker.start_due():
        await worker.idle()
    assert len(remote.seen) == 1  # one round, which was one message
    assert set(post.made.recipients().values()) == {("queued", 1)}
    with post.made.database.read() as session:
        replies = {entry.last_reply for entry in listing.waiting(session)}
    assert replies == {"4.4.1 [peer-unreachable] host mx.x.vn, reason refused"}
    timer[0] = 300.0  # the probe
    post.made.later(minutes=7)
    assert await worker.start_due() == 1
    await worker.idle()
    assert len(remote.seen) == 2
    timer[0] = 600.0
    post.made.later(minutes=13)
    while await worker.start_due():
        await worker.idle()
    assert len(remote.seen) == 5 or len(remote.seen) == 6
    assert post.balance()["delivered"] >= 3


async def test_what_somebody_wants_tried_now_is_tried_at_a_dead_destination_too(
    post: Post,
) -> None:
    remote = Scripted(says(unreachable(), Taken("250 ok", "relay")))
    settings = post.config.delivery.model_copy(update={"per_destination_start": 1})
    post.config = post.config.model_copy(update={"delivery": settings})
    worker = post.worker(remote, timer=lambda: 0.0)
    new = message("u@x.vn")
    accept(post.made.database, new)
    for _ in range(2):
        assert await worker.start_due() == 1
        await worker.idle()
        with post.made.database.write() as session:
            picked = admin.pick(session, admin.Pick((new.queue_id,)), "retry", post.made.now)
            admin.retry(session, picked, admin.Intervention("cli:test", post.made.now))
    assert len(remote.seen) == 2
    assert post.balance() == {"delivered": 1}


async def test_what_may_have_killed_two_processes_goes_alone(post: Post) -> None:
    under_way = most = 0
    go_on = asyncio.Event()

    async def script(_parcel: Parcel, _fence: Fence) -> Answer:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await go_on.wait()
        under_way -= 1
        return Taken("250 ok", "relay")

    accept(post.made.database, *(message(f"u{i}@d{i}.vn") for i in range(4)))
    for _ in range(2):
        assert len(await post.made.queue.claim(4, suspects=4)) == 4
        post.made.later(minutes=16)  # their process died
    worker = post.worker(Scripted(script))
    assert await worker.start_due() == 1
    assert await worker.start_due() == 0
    go_on.set()
    await worker.idle()
    while await worker.start_due():
        await worker.idle()
    assert most == 1
    assert post.balance() == {"delivered": 4}


async def test_without_room_for_results_nothing_begins(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept(post.made.database, message())
    worker = post.worker(Scripted(says(Taken("250 ok", "relay"))))
    monkeypatch.setattr(worker_module, "DISK_RESERVE_BYTES", 1 << 60)
    assert await worker.start_due() == 0
    monkeypatch.setattr(worker_module, "DISK_RESERVE_BYTES", 0)
    assert await worker.start_due() == 1
    await worker.idle()


async def test_recipients_in_memory_are_bounded(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "MAX_ACTIVE_RECIPIENTS", 200)
    go_on = asyncio.Event()

    async def script(_parcel: Parcel, _fence: Fence) -> Answer:
        await go_on.wait()
        return Taken("250 ok", "relay")

    many = [f"u{i}@a.vn" for i in range(100)]
    accept(post.made.database, *(message(*many) for _ in range(4)))
    worker = post.worker(Scripted(script))
    assert await worker.start_due() == 2
    assert await worker.start_due() == 0
    go_on.set()
    await worker.idle()


async def test_many_recipients_go_in_transactions_of_a_hundred(post: Post) -> None:
    remote = Scripted(says(Taken("250 ok", "relay")))
    accept(post.made.database, message(*(f"u{i}@x.vn" for i in range(250))))
    await post.deliver(remote)
    assert [len(parcel.items) for parcel in remote.seen] == [100, 100, 50]


async def test_a_changed_body_is_not_delivered(post: Post) -> None:
    remote = Scripted(says(Taken("250 ok", "relay")))
    accept(post.made.database, message())
    with post.made.database.write() as session:
        session.connection().execute(MESSAGE.update().values(content=b"something else"))
    await post.deliver(remote)
    assert remote.seen == []
    assert post.balance() == {"held": 1}


async def test_a_lease_that_ran_out_ends_the_attempt_before_the_dot(post: Post) -> None:
    async def script(_parcel: Parcel, fence: Fence) -> Answer:
        post.made.later(minutes=15)
        await post.made.queue.claim(1)  # another worker
        await fence()
        raise AssertionError

    accept(post.made.database, message())
    worker = post.worker(Scripted(script))
    assert await worker.start_due() == 1
    await worker.idle()
    assert post.made.recipients() == {"binh@example.vn": ("queued", 2)}


async def test_results_wait_for_a_database_in_trouble(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "RETRY_SECONDS", (0.001,))
    settle, troubles = post.made.queue.settle, iter([True, True, False])

    async def troubled(*arguments: Sequence[object]) -> object:
        if next(troubles):
            raise Unavailable("database-unavailable", reason="OperationalError")
        return await settle(*arguments)  # type: ignore[arg-type]  # passed through

    monkeypatch.setattr(post.made.queue, "settle", troubled)
    accept(post.made.database, message())
    remote = Scripted(says(Taken("250 ok", "relay")))
    await post.deliver(remote)
    assert len(remote.seen) == 1
    assert post.balance() == {"delivered": 1}


@contextmanager
def running(worker: Worker) -> Iterator[tuple["asyncio.Task[None]", asyncio.Event]]:
    stop = asyncio.Event()
    task = asyncio.create_task(worker.run(stop))
    try:
        yield task, stop
    finally:
        stop.set()


def real_time(post: Post) -> datetime:
    post.made.now = datetime.now(UTC)
    return post.made.now


async def test_new_mail_leaves_at_once_when_the_queue_is_woken(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "POLL_SECONDS", 60)
    gone = asyncio.Event()

    async def script(_parcel: Parcel, _fence: Fence) -> Answer:
        gone.set()
        return Taken("250 ok", "relay")

    async with asyncio.timeout(10):
        with running(post.worker(Scripted(script))) as (task, stop):
            await asyncio.to_thread(accept, post.made.database, message())
            post.made.queue.wake()
            await gone.wait()
            stop.set()
            await task
    assert post.balance() == {"delivered": 1}


async def test_what_is_due_later_leaves_on_time_without_being_woken(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "POLL_SECONDS", 60)
    gone = asyncio.Event()

    async def script(_parcel: Parcel, _fence: Fence) -> Answer:
        gone.set()
        return Taken("250 ok", "relay")

    accept(post.made.database, message(at=real_time(post) + timedelta(seconds=0.2)))
    monkeypatch.setattr(post.made.queue, "_clock", lambda: datetime.now(UTC))
    worker = post.worker(Scripted(script), clock=lambda: datetime.now(UTC))
    async with asyncio.timeout(10):
        with running(worker) as (task, stop):
            await gone.wait()
            stop.set()
            await task


async def test_stopping_lets_an_attempt_finish_and_closes_connections(post: Post) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def script(_parcel: Parcel, _fence: Fence) -> Answer:
        begun.set()
        await go_on.wait()
        return Taken("250 ok", "relay")

    remote = Scripted(script)
    accept(post.made.database, message())
    async with asyncio.timeout(10):
        with running(post.worker(remote)) as (task, stop):
            await begun.wait()
            stop.set()
            go_on.set()
            await task
    assert remote.closed
    assert post.balance() == {"delivered": 1}


async def test_an_attempt_that_will_not_end_is_given_back(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "STOP_SECONDS", 0.05)
    begun = asyncio.Event()

    async def script(parcel: Parcel, fence: Fence) -> Answer:
        begun.set()
        return await hang(parcel, fence)

    accept(post.made.database, message())
    async with asyncio.timeout(10):
        with running(post.worker(Scripted(script))) as (task, stop):
            await begun.wait()
            stop.set()
            await task
    assert [item.attempt for item in await post.made.queue.claim(10)] == [2]


async def test_an_attempt_that_may_have_been_final_keeps_its_lease(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "STOP_SECONDS", 0.05)
    sent = asyncio.Event()

    async def script(parcel: Parcel, fence: Fence) -> Answer:
        await fence()
        sent.set()
        return await hang(parcel, fence)

    accept(post.made.database, message())
    async with asyncio.timeout(10):
        with running(post.worker(Scripted(script))) as (task, stop):
            await sent.wait()
            stop.set()
            await task
    assert await post.made.queue.claim(10) == []


class Crash(BaseException):
    """The process dies here: nothing that catches errors catches this."""


@contextmanager
def crashing_at(name: str) -> Iterator[None]:
    def handler(point: str) -> None:
        if point == name:
            faults.set_handler(None)
            raise Crash

    faults.set_handler(handler)
    try:
        yield
    finally:
        faults.set_handler(None)


@pytest.mark.parametrize("point", ["D1", "D2", "D4", "D5", "D6", "D7", "D8"])
async def test_after_a_crash_at_any_point_a_mailbox_has_the_message_once(
    post: Post, point: str
) -> None:
    writer = post.made.spool.writer()
    writer.write(b"Subject: x\r\n\r\n" + b"line\r\n" * (MEMORY_BYTES // 6 + 1))
    body = writer.finish()
    name = post.made.spool.keep(body, "0" * 20)
    local(post, body=body, spool_name=name)
    with crashing_at(point):
        try:
            await post.deliver(Scripted(hang))
        except Crash:
            assert point == "D1"
    post.made.later(minutes=20)  # the lease has run out
    await post.deliver(Scripted(hang))
    await post.made.queue.sweep_orphans()
    assert len(post.inbox()) == 1
    assert post.balance() == {"delivered": 1}
