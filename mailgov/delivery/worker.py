"""The worker: claims what is due, hands it to a transport, writes down what came of it.

A crash at any point repeats an attempt: a recipient elsewhere may get a message twice, a mailbox of
ours never, and nobody not at all.
"""

import asyncio
import random
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Protocol

from mailgov import durable
from mailgov.addresses import Address
from mailgov.clock import Clock
from mailgov.config import Config
from mailgov.content.header_block import HeaderBlock, split_header
from mailgov.delivery import bounce
from mailgov.delivery.destinations import Destinations, is_trouble
from mailgov.delivery.outcome import NoticeKind, Outcome, conclude
from mailgov.delivery.recording import Attempt, Recorder, by_message
from mailgov.delivery.transports import Answer, Answers, LeaseLost, Parcel, Taken, Transport
from mailgov.errors import DeliveryDeferred, DeliveryError, InputError, Unavailable
from mailgov.logs import logger
from mailgov.message import Body
from mailgov.queue import MAILBOX, NewMessage, Queue, QueuedMessage, QueueItem
from mailgov.queue.claims import MAX_RECIPIENTS
from mailgov.queue.item import Notice

POLL_SECONDS = 1.0
"""At least so often the queue is looked at: others may have put something in."""

STOP_SECONDS = 10.0
"""Attempts under way get this long to finish when we stop."""

MAX_ACTIVE_RECIPIENTS = 20_000
"""Recipients in memory at once, however many wait."""

MAX_SUSPECTS = 8
"""Messages under way at once that may have killed a process; of those that may have killed two, one."""

LOCAL_PROBE_SECONDS = 10.0
"""Our own mailboxes are looked after: they are back sooner than others' servers."""

DISK_RESERVE_BYTES = 8 << 20
"""With less than this free no attempt begins: its result could not be written down."""

log = logger("delivery")


class LocalMailbox(Protocol):
    """What a notice needs of its recipient's mailbox."""

    @property
    def mailbox_id(self) -> int:
        """Its row."""


class Mailboxes(Protocol):
    """What the worker asks of the directory, to send notices."""

    async def find_mailbox(self, address: Address) -> LocalMailbox | None:
        """The mailbox behind an address of ours. Raises Unavailable."""

    async def is_local_domain(self, domain: str) -> bool:
        """Whether a domain is ours. Raises Unavailable."""

    async def return_path(self, address: Address) -> Address | None:
        """Whom a bounce to a rewritten sender of ours goes to; None for all other addresses.

        Raises InputError `return-path-forged`, `return-path-old`; Unavailable.
        """


class NoticeSigner(Protocol):
    """What the worker asks of the signer."""

    async def sign(self, header: bytes, body: Body, domain: str) -> bytes | None:
        """DKIM-Signature fields to prepend; None when the domain has no key. Raises Unavailable."""


class Worker:
    """Delivers until told to stop. `transports` by destination, `""` for all others."""

    def __init__(
        self,
        *,
        config: Config,
        queue: Queue,
        directory: Mailboxes,
        clock: Clock,
        transports: Mapping[str, Transport],
        signer: NoticeSigner | None = None,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._settings = config.delivery
        self._queue = queue
        self._directory = directory
        self._clock = clock
        self._transports = transports
        self._signer = signer
        self._timer = timer
        settings = config.delivery
        self._destinations = Destinations(
            settings.per_destination_start, settings.per_destination, settings.probe_seconds
        )
        # Half of what is under way may be ours: mailboxes and others' servers don't wait for each other.
        half = max(settings.concurrency // 2, 1)
        self._local = Destinations(half, half, LOCAL_PROBE_SECONDS)
        self._recorder = Recorder(queue, config.data.path / "unrecorded")
        self._tasks: dict[asyncio.Task[None], Attempt] = {}
        self._active = 0  # recipients under way
        self._claims = 0
        self._suspects = 0  # messages under way that may have killed a process
        self._grave = 0  # and those that may have killed two

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver what is due until `stop` is set; then let attempts under way finish."""
        stopped = asyncio.create_task(self._wake_at(stop))
        try:
            await self._recorder.when_served(self._recover)
            while not stop.is_set():
                await self._round()
        finally:
            stopped.cancel()
            await self._finish()

    async def _recover(self) -> None:
        """Begin where the process before us ended."""
        await self._recorder.take_over(self._settle_taken)
        await self._queue.recover()

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._queue.wake()

    async def _round(self) -> None:
        """Start what is due and fits; else wait for more, or for room."""
        try:
            await self._queue.mind_the_clock()
            seconds = await self._seconds_to_next()
            if seconds <= 0 and await self.start_due():
                return
        except Unavailable as exc:
            log.warning("queue.unavailable", why=str(exc))
            seconds = POLL_SECONDS
        for transport in self._transports.values():
            await transport.tend()
        # What is due and was not begun waits for room: whoever makes room wakes the queue.
        await self._queue.wait(seconds if seconds > 0 else POLL_SECONDS)

    async def _seconds_to_next(self) -> float:
        """How long nothing is due, as far as it matters; 0 or less when something is."""
        due = await self._queue.next_due()
        if due is None:
            return POLL_SECONDS
        return min((due - self._clock()).total_seconds(), POLL_SECONDS)

    async def start_due(self) -> int:
        """Claim what is due and begin to deliver it. How many messages were begun."""
        free = min(
            self._settings.concurrency - len(self._tasks),
            (MAX_ACTIVE_RECIPIENTS - self._active) // MAX_RECIPIENTS,
        )
        if free <= 0 or self._recorder.is_behind or not await self._can_write():
            return 0
        self._claims += 1
        items = await self._queue.claim(
            free,
            self._room,
            suspects=MAX_SUSPECTS - self._suspects,
            grave=1 - self._grave,
            fresh=(free + self._claims % 2) // 2,  # of single messages every other
        )
        groups = by_message(items)
        for group in groups:
            self._begin(group)
        return len(groups)

    async def _can_write(self) -> bool:
        """Whether the disk has room for results."""
        try:
            free = (await asyncio.to_thread(shutil.disk_usage, self._config.data.path)).free
        except OSError as exc:
            log.warning("disk.unreadable", why=exc.strerror)
            return False
        if free < DISK_RESERVE_BYTES:
            log.error("disk.full", free_bytes=free)
        return free >= DISK_RESERVE_BYTES

    def _known(self, destination: str) -> Destinations:
        return self._local if destination == MAILBOX else self._destinations

    def _room(self, destination: str) -> int:
        """Messages that a destination may have under way besides those that it has."""
        return self._known(destination).room(destination, self._timer())

    def _begin(self, items: Sequence[QueueItem]) -> None:
        destination = items[0].destination
        crashes = max(item.crashes for item in items)
        self._known(destination).begin(destination)
        self._active += len(items)
        self._suspects += crashes == 1
        self._grave += crashes > 1

        def ended(task: "asyncio.Task[None]") -> None:
            del self._tasks[task]
            self._known(destination).end(destination)
            self._active -= len(items)
            self._suspects -= crashes == 1
            self._grave -= crashes > 1
            if not task.cancelled() and (error := task.exception()) is not None:
                log.error("attempt.failed", exc_info=error)
            self._queue.wake()

        attempt = Attempt(items)
        task = asyncio.create_task(self._deliver(attempt))
        self._tasks[task] = attempt
        task.add_done_callback(ended)

    async def idle(self) -> None:
        """Return when no attempt is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _finish(self) -> None:
        """Let attempts finish for a while, cancel the rest, close connections, note what is left."""
        if durable.failure():
            # Only answers to a dot are worth waiting for: nothing can be written down any more.
            for task, attempt in list(self._tasks.items()):
                if not attempt.is_final or attempt.answers is not None:
                    task.cancel()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=STOP_SECONDS)
            for task in late:
                task.cancel()
            await self.idle()
        await self._recorder.close()
        for transport in self._transports.values():
            await transport.close()

    async def _deliver(self, attempt: Attempt) -> None:
        """Deliver one message to recipients at one destination."""
        try:
            await self._attempt(attempt)
        except asyncio.CancelledError:
            if attempt.is_final and attempt.answers is None:
                await self._put_off(attempt)
            else:
                await self._recorder.leave(attempt)
            raise
        except Unavailable as exc:
            log.warning("queue.unavailable", why=str(exc))
            await self._recorder.leave(attempt)

    async def _put_off(self, attempt: Attempt) -> None:
        """We leave before an answer to the dot: it may have been a yes."""
        unknown = DeliveryDeferred("outcome-unknown", host=attempt.items[0].destination)
        answers = dict.fromkeys((item.recipient_id for item in attempt.items), unknown)
        now = self._clock()
        outcomes = conclude(attempt.items, answers, now, self._settings, random.random)
        waits = [o.result for o in outcomes if o.result.state == "queued"]
        if not await self._recorder.written_soon(lambda: self._queue.settle(waits)):
            waits = []
        # What is too old by now is given up, and told of, by its next attempt.
        done = {result.item.recipient_id for result in waits}
        attempt.items = tuple(item for item in attempt.items if item.recipient_id not in done)
        await self._recorder.leave(attempt)

    async def _attempt(self, attempt: Attempt) -> None:
        """Try once and write down what came of it. Raises Unavailable when the disk failed."""
        message = attempt.items[0].message
        body = await self._recorder.when_served(lambda: self._queue.load(message))
        if body is None:
            return  # set aside: these are not the bytes that were accepted
        try:
            attempt.answers = await self._answers(attempt, body)
        except LeaseLost:
            log.warning("lease.lost", queue_id=message.queue_id)
            # Unless others have it: no process has died of it.
            await self._recorder.when_served(lambda: self._queue.release(attempt.items))
            return
        await self._settle(attempt.items, attempt.answers, body)

    async def _settle(self, items: Sequence[QueueItem], answers: Answers, body: Body) -> None:
        """Write down what came of an attempt. Raises Unavailable when the disk failed."""
        message, now = items[0].message, self._clock()
        outcomes = conclude(items, answers, now, self._settings, random.random)
        for outcome in outcomes:
            _log(outcome)

        async def settle() -> None:
            notices = await self._notices(message, body, outcomes, now)
            await self._queue.settle([outcome.result for outcome in outcomes], notices)

        await self._recorder.record(settle)

    async def _settle_taken(self, items: Sequence[QueueItem], answers: Answers) -> None:
        """Write down what the process before us could not."""
        body = await self._queue.load(items[0].message)
        if body is not None:
            await self._settle(items, answers, body)

    async def _answers(self, attempt: Attempt, body: Body) -> Answers:
        """What the destination says; what is known of it when it seems dead."""
        destination = attempt.items[0].destination
        known = self._known(destination)
        why = known.why_dead(destination, self._timer())
        if why is not None and not any(item.by_hand for item in attempt.items):
            return dict.fromkeys((item.recipient_id for item in attempt.items), why)
        answers = await self._tried(attempt, body)
        trouble = next((a for a in answers.values() if is_trouble(a)), None)
        if any(_is_from_there(answer) for answer in answers.values()):
            known.worked(destination)
        elif trouble is not None and known.failed(destination, trouble, self._timer()):
            log.warning("destination.dead", destination=destination, why=str(trouble))
        return answers

    async def _tried(self, attempt: Attempt, body: Body) -> Answers:
        """What the transport says; trouble of any kind is a reason to try later."""
        items = attempt.items
        parcel = Parcel(items[0].message, items[0].destination, items, body)
        transport = self._transports.get(parcel.destination) or self._transports[""]
        error: DeliveryError
        try:
            async with asyncio.timeout(self._settings.attempt_seconds):
                return await transport.deliver(parcel, partial(self._recorder.fence, attempt))
        except DeliveryError as exc:
            error = exc
        except TimeoutError:
            error = DeliveryDeferred("attempt-late")
        except Unavailable as exc:
            error = DeliveryDeferred(exc.code, **exc.fields)
        except LeaseLost:
            raise
        except Exception:  # a fault of ours costs time, never mail
            log.exception("attempt.failed", queue_id=parcel.message.queue_id)
            error = DeliveryDeferred("own-trouble")
        return dict.fromkeys((item.recipient_id for item in items), error)

    async def _notices(
        self, message: QueuedMessage, body: Body, outcomes: Sequence[Outcome], now: datetime
    ) -> list[Notice]:
        """A notice for each kind of news to the sender, or to the postmaster who can't be told."""
        news: dict[NoticeKind, list[Outcome]] = {}
        for outcome in outcomes:
            kind = outcome.notice
            if kind is None and _is_notice_lost(outcome):
                kind = "failure"
            if kind is not None:
                news.setdefault(kind, []).append(outcome)
        if not news:
            return []
        to, for_postmaster = await self._reader_of(message, [o.result.item for o in outcomes])
        if to is None:
            log.error("notice.undeliverable", queue_id=message.queue_id)
            return []
        header = await asyncio.to_thread(_header, message, body)
        whole = None
        # RFC 8689, 5: what may travel in TLS only does not return as a whole.
        is_wanted = message.ret == "FULL" and not message.require_tls
        if is_wanted and message.size_bytes <= bounce.MAX_WHOLE_OCTETS:
            whole = message.prefix + await asyncio.to_thread(body.read)
        notices = []
        for kind, told in news.items():
            if for_postmaster and kind != "failure":
                continue
            returned = whole if kind == "failure" and not for_postmaster else None
            occasion = bounce.Occasion(kind, message, told, header, now, returned, for_postmaster)
            new = await asyncio.to_thread(bounce.notice, occasion, to, self._config)
            new = await self._signed(new)
            notices.append(Notice(new, {o.result.item.recipient_id: kind for o in told}))
        return notices

    async def _reader_of(
        self, message: QueuedMessage, items: Sequence[QueueItem]
    ) -> tuple[bounce.Sender | None, bool]:
        """Who is to read a notice, and whether that is the postmaster in place of the sender."""
        if message.mail_from is not None:
            sender = await self._sender(message.mail_from)
            if sender is not None:
                return sender, False
        postmaster = await self._postmaster(message)
        if postmaster is None or any(item.address.key == postmaster.address.key for item in items):
            return None, True  # nor is a notice about the postmaster's own notices of any use
        return postmaster, True

    async def _postmaster(self, message: QueuedMessage) -> bounce.Sender | None:
        """The mailbox of ours that looks after mail; None when there is none."""
        named = self._config.relay.postmaster
        candidates = [Address.parse(named)] if named else []
        candidates.append(Address("postmaster", self._config.site.hostname))
        if message.mail_from is not None:
            candidates.append(Address("postmaster", message.mail_from.domain))
        for address in candidates:
            mailbox = await self._directory.find_mailbox(address)
            if mailbox is not None:
                return bounce.Sender(address, MAILBOX, mailbox.mailbox_id)
        return None

    async def _signed(self, new: NewMessage) -> NewMessage:
        """The notice with our signature, by the name of this server or the first domain above it.

        Without a key, or one that can't be had now, it goes as it is: the news matter more.
        """
        if self._signer is None:
            return new
        content = new.body.read()
        header = split_header(content).raw
        domain = self._config.site.hostname
        while "." in domain:
            try:
                signature = await self._signer.sign(header, new.body, domain)
            except Unavailable as exc:
                log.warning("notice.unsigned", queue_id=new.queue_id, why=str(exc))
                return new
            if signature is not None:
                return replace(new, prefix=signature)
            domain = domain.partition(".")[2]
        return new

    async def _sender(self, address: Address) -> bounce.Sender | None:
        mailbox = await self._directory.find_mailbox(address)
        if mailbox is not None:
            return bounce.Sender(address, MAILBOX, mailbox.mailbox_id)
        try:
            address = await self._directory.return_path(address) or address
        except InputError:
            return None  # too old by now
        if await self._directory.is_local_domain(address.domain):
            return None
        return bounce.Sender(address, address.domain, None)


def _is_notice_lost(outcome: Outcome) -> bool:
    """Whether a notice of ours came back: only the postmaster is left to hear of it."""
    message = outcome.result.item.message
    is_ours = message.mail_from is None and message.direction == "internal"
    return is_ours and outcome.result.state == "bounced"


def _is_from_there(answer: Answer) -> bool:
    """Whether the destination said something of the message, be it no."""
    return isinstance(answer, Taken) or answer.code in ("peer-refused", "peer-deferred")


def _header(message: QueuedMessage, body: Body) -> HeaderBlock:
    """The header of the message as it was to be delivered."""
    with body.open() as stream:
        start = stream.read(bounce.MAX_RETURNED_OCTETS)
    return HeaderBlock(message.prefix + split_header(start).raw)


def _log(outcome: Outcome) -> None:
    result = outcome.result
    log.info(
        f"recipient.{result.state}",
        queue_id=result.item.message.queue_id,
        recipient=str(result.item.address),
        attempt=result.item.attempt,
        reply=result.reply,
    )
