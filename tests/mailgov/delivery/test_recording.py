"""Results outlive a database that is away, and a process that ends for the disk."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from mailgov import durable
from mailgov.config import Config, load_config
from mailgov.db import Database
from mailgov.delivery import recording
from mailgov.delivery import worker as worker_module
from mailgov.delivery.transports import Answer, Fence, Parcel, Taken, Transport
from mailgov.delivery.transports.maildir import MaildirTransport
from mailgov.delivery.worker import Worker
from mailgov.errors import Unavailable
from mailgov.queue import MAILBOX, unrecorded
from mailgov.queue.conserve import conserve
from mailgov.queue.item import Result
from mailgov.queue.tables import RECIPIENT
from mailgov.queue.unrecorded import Unrecorded

from ..queue.samples import Bench, accept, add_mailbox, bench, message
from .test_worker import AN, Directory, Scripted

OK = Taken("250 ok", "relay")
Script = Callable[[Parcel, Fence], Awaitable[Answer]]


class Office:
    """A queue, and one process after another that delivers from it."""

    def __init__(self, made: Bench, config: Config) -> None:
        self.made = made
        self.config = config
        self.directory = Directory({AN: add_mailbox(made.database, AN)})

    async def life(self, script: Script, *, until: asyncio.Event) -> Scripted:
        """A process from its start to its end; what it has sent."""
        durable.trust_again()
        remote = Scripted(script)
        transports: dict[str, Transport] = {
            MAILBOX: MaildirTransport(self.config.data.path),
            "": remote,
        }
        worker = Worker(
            config=self.config, queue=self.made.queue, directory=self.directory,
            clock=lambda: self.made.now, transports=transports,
        )  # fmt: skip
        async with asyncio.timeout(30):
            await worker.run(until)
        return remote

    def states(self) -> dict[str, int]:
        """Recipients by state; fails unless every message balances."""
        with self.made.database.read() as session:
            balance = conserve(session)
        assert balance.discrepancies == []
        return dict(balance.states)

    def crashes(self) -> list[tuple[int, bool]]:
        """Of each recipient, the ends of processes counted, and whether one may be added."""
        with self.made.database.read() as session:
            rows = session.connection().execute(select(RECIPIENT)).all()
        return [(row.crashes, row.lease_until is not None) for row in rows]


@pytest.fixture
def office(any_database: Database, tmp_path: Path) -> Iterator[Office]:
    config = load_config(None, data={"path": str(tmp_path)}, delivery={"attempt_seconds": 30})
    yield Office(bench(any_database, tmp_path, config.delivery), config)
    durable.trust_again()


def ending(stop: asyncio.Event) -> Script:
    """The disk fails between the dot and the yes."""

    async def script(_parcel: Parcel, fence: Fence) -> Answer:
        await fence()
        durable.distrust("fsync")
        stop.set()
        return OK

    return script


def going(office: Office, stop: asyncio.Event) -> Script:
    """All is well, until nothing waits."""

    async def script(_parcel: Parcel, fence: Fence) -> Answer:
        await fence()
        stop.set()
        return OK

    return script


async def test_what_was_taken_when_the_disk_failed_is_not_sent_again(office: Office) -> None:
    accept(office.made.database, message("b@example.vn", "c@example.vn"))
    stop = asyncio.Event()
    first = await office.life(ending(stop), until=stop)
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.3, stop.set)
    second = await office.life(going(office, stop), until=stop)
    assert [len(life.seen) for life in (first, second)] == [1, 0]
    assert office.states() == {"delivered": 2}
    assert not list((office.config.data.path / "unrecorded").glob("*"))


async def test_after_a_failure_of_the_disk_nothing_becomes_final(office: Office) -> None:
    stop = asyncio.Event()
    sent = []

    async def script(_parcel: Parcel, fence: Fence) -> Answer:
        durable.distrust("fsync")
        stop.set()
        await fence()
        sent.append(1)
        return OK

    accept(office.made.database, message())
    await office.life(script, until=stop)
    assert sent == []
    assert office.states() == {"queued": 1}


async def test_failures_of_the_disk_set_no_message_aside(office: Office) -> None:
    new = message(AN, "b@example.vn", mailbox_id=office.directory.mailboxes[AN])
    accept(office.made.database, new)

    for _ in range(4):
        office.made.later(hours=3)
        stop = asyncio.Event()

        async def script(_parcel: Parcel, _fence: Fence, stop: asyncio.Event = stop) -> Answer:
            durable.distrust("fsync")
            stop.set()
            await asyncio.Event().wait()
            raise AssertionError

        await office.life(script, until=stop)
    office.made.later(hours=3)
    stop = asyncio.Event()
    await office.life(going(office, stop), until=stop)
    assert office.states() == {"delivered": 2}
    assert office.crashes() == [(0, False), (0, False)]


async def test_a_dot_waits_for_older_results(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "RETRY_SECONDS", (0.01,))
    is_away, tried, stop = True, asyncio.Event(), asyncio.Event()
    order: list[str] = []
    settle = office.made.queue.settle

    async def troubled(results: list[Result], notices: object = ()) -> object:
        if is_away:
            tried.set()
            raise Unavailable("database-unavailable", reason="away")
        order.append(f"written {results[0].item.destination}")
        return await settle(results, notices)  # type: ignore[arg-type]  # passed through

    async def script(parcel: Parcel, fence: Fence) -> Answer:
        if parcel.destination == "two.vn":
            nonlocal is_away
            await tried.wait()
            asyncio.get_running_loop().call_later(0.1, come_back)
        await fence()
        order.append(f"dot {parcel.destination}")
        if parcel.destination == "two.vn":
            stop.set()
        return OK

    def come_back() -> None:
        nonlocal is_away
        is_away = False

    monkeypatch.setattr(office.made.queue, "settle", troubled)
    accept(office.made.database, message("a@one.vn"), message("b@two.vn"))
    await office.life(script, until=stop)
    assert order == ["dot one.vn", "written one.vn", "dot two.vn", "written two.vn"]


async def test_a_dot_does_not_wait_for_ever(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "PAUSE_SECONDS", 0.01)
    recorder = recording.Recorder(office.made.queue, office.config.data.path / "unrecorded")
    accept(office.made.database, message())
    attempt = recording.Attempt(await office.made.queue.claim(1))
    recorder._up_to_date.clear()
    with pytest.raises(Unavailable):
        await recorder.fence(attempt)
    assert not attempt.is_final


async def test_results_of_a_database_that_stays_away_are_written_by_the_next_process(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "STOP_SECONDS", 0.05)
    stop = asyncio.Event()

    async def away(*_: object) -> None:
        stop.set()
        raise Unavailable("database-unavailable", reason="away")

    async def script(_parcel: Parcel, fence: Fence) -> Answer:
        await fence()
        return OK

    accept(office.made.database, message())
    with monkeypatch.context() as patched:
        patched.setattr(office.made.queue, "settle", away)
        await office.life(script, until=stop)
    assert office.states() == {"queued": 1}
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.3, stop.set)
    again = await office.life(script, until=stop)
    assert again.seen == []
    assert office.states() == {"delivered": 1}


async def test_a_note_counts_for_its_own_attempt_only(office: Office) -> None:
    new = message("a@one.vn")
    accept(office.made.database, new)
    (item,) = await office.made.queue.claim(1)
    noted = Unrecorded(new.queue_id, item.recipient_id, 1, "250 ok", "relay")
    assert await office.made.queue.still_open([noted]) == [item]
    for other in (
        Unrecorded(new.queue_id, item.recipient_id, 2),
        Unrecorded("0" * 20, item.recipient_id, 1),
        Unrecorded(new.queue_id, item.recipient_id + 1, 1),
    ):
        assert await office.made.queue.still_open([other]) == []
    await office.made.queue.settle([Result(item, "delivered", "250 ok")])
    assert await office.made.queue.still_open([noted]) == []


async def test_a_database_that_says_nothing_keeps_nobody_from_ending(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "STOP_SECONDS", 0.05)
    monkeypatch.setattr(recording, "LEAVE_SECONDS", 0.05)
    stop = asyncio.Event()

    async def silent(*_: object) -> None:
        await asyncio.Event().wait()

    async def script(_parcel: Parcel, _fence: Fence) -> Answer:
        stop.set()
        await asyncio.Event().wait()
        raise AssertionError

    accept(office.made.database, message())
    with monkeypatch.context() as patched:
        patched.setattr(office.made.queue, "release", silent)
        await office.life(script, until=stop)
    ((_, noted),) = unrecorded.found(office.config.data.path / "unrecorded")
    assert [(one.attempt, one.by) for one in noted] == [(1, None)]


def test_a_note_of_another_version_says_nothing(tmp_path: Path) -> None:
    unrecorded.keep(tmp_path, [Unrecorded("0" * 20, 1, 1)])
    ((path, _),) = unrecorded.found(tmp_path)
    text = path.read_bytes().partition(b"\n")[2].replace(b"attempt", b"try")
    path.write_bytes(hashlib.sha256(text).hexdigest().encode() + b"\n" + text)
    assert list(unrecorded.found(tmp_path)) == [(path, [])]


def test_a_torn_note_says_nothing(tmp_path: Path) -> None:
    noted = [Unrecorded("0" * 20, 1, 1, "250 ok", "relay")]
    unrecorded.keep(tmp_path, noted)
    ((path, read),) = unrecorded.found(tmp_path)
    assert read == noted
    path.write_bytes(path.read_bytes()[:-7])
    assert list(unrecorded.found(tmp_path)) == [(path, [])]
