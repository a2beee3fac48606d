"""What follows from the answers to an attempt. Pure: time and chance come in as arguments."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from mailgov.config import Delivery
from mailgov.delivery.status import describe
from mailgov.delivery.transports import Answer, Answers, Taken
from mailgov.errors import DeliveryRefused
from mailgov.queue import QueueItem
from mailgov.queue.item import Result
from mailgov.queue.schedule import is_delay_notice_due, next_attempt

NoticeKind = Literal["failure", "delay", "success"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of one recipient, and whether the sender hears of it."""

    result: Result
    answer: Answer
    notice: NoticeKind | None
    has_expired: bool = False  # given up for its age


def conclude(
    items: Iterable[QueueItem],
    answers: Answers,
    now: datetime,
    settings: Delivery,
    chance: Callable[[], float],
) -> list[Outcome]:
    """The outcome for each recipient that has an answer."""
    return [
        _outcome(item, answers[item.recipient_id], now, settings, chance)
        for item in items
        if item.recipient_id in answers
    ]


def _outcome(
    item: QueueItem,
    answer: Answer,
    now: datetime,
    settings: Delivery,
    chance: Callable[[], float],
) -> Outcome:
    has_sender = item.message.mail_from is not None  # never a notice for a notice (RFC 5321, 6.1)
    if isinstance(answer, Taken):
        tells = has_sender and "SUCCESS" in item.notify and answer.by != "dsn-relay"
        result = Result(item, "delivered", answer.reply)
        return Outcome(result, answer, "success" if tells else None)
    reply = describe(answer)
    at = next_attempt(now, item.queued_at, item.attempt, settings, chance)
    if at is None or isinstance(answer, DeliveryRefused):
        tells = has_sender and _wants(item, "FAILURE")
        result = Result(item, "bounced", reply)
        has_expired = not isinstance(answer, DeliveryRefused)
        return Outcome(result, answer, "failure" if tells else None, has_expired)
    tells = (
        has_sender
        and not item.delay_notified
        and is_delay_notice_due(now, item.queued_at, item.attempt, settings)
        and _wants(item, "DELAY")
    )
    return Outcome(Result(item, "queued", reply, at), answer, "delay" if tells else None)


def _wants(item: QueueItem, wish: str) -> bool:
    """RFC 3461, 4.1: who said nothing hears of failures and delays."""
    return not item.notify or wish in item.notify
