"""What follows from an answer: the recipient's state, and who hears of it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from mailgov.config import Delivery
from mailgov.delivery.outcome import Outcome, conclude
from mailgov.delivery.status import advice_for, describe, status_of
from mailgov.delivery.transports import Answer, Taken
from mailgov.errors import DeliveryDeferred, DeliveryError, DeliveryRefused

from ..queue.samples import NOON
from .parcels import parcel

IN_MAILBOX = Taken("250 ok", "mailbox")
RELAYED = Taken("250 ok", "relay")
TOLD_BY_PEER = Taken("250 ok", "dsn-relay")
NO = DeliveryRefused("peer-refused", reply="550 5.1.1 no such user")
LATER = DeliveryDeferred("peer-deferred", reply="451 4.7.1 later")


def outcome(
    answer: Answer,
    *,
    notify: str = "",
    age: timedelta = timedelta(0),
    sender: str = "an@tinhmau.gov.vn",
    delay_notified: bool = False,
) -> Outcome:
    (item,) = parcel(notify=notify.split(), sender=sender).items
    attempt = 70 if age else 1  # so many fill the days
    item = replace(item, delay_notified=delay_notified, attempt=attempt)
    (found,) = conclude([item], {1: answer}, NOON + age, Delivery(), lambda: 0.5)
    return found


@pytest.mark.parametrize(
    ("answer", "age_hours", "state", "minutes"),
    [
        (IN_MAILBOX, 0, "delivered", None),
        (RELAYED, 0, "delivered", None),
        (NO, 0, "bounced", None),
        (LATER, 0, "queued", 5),
        (LATER, 119.99, "queued", 0.6),
        (LATER, 120, "bounced", None),
        (NO, 200, "bounced", None),
    ],
)
def test_the_state_of_a_recipient(
    answer: Answer, age_hours: float, state: str, minutes: float | None
) -> None:
    found = outcome(answer, age=timedelta(hours=age_hours)).result
    assert found.state == state
    now = NOON + timedelta(hours=age_hours)
    waited = found.next_attempt_at - now if found.next_attempt_at else None
    assert waited == (None if minutes is None else timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("notify", "answer", "age_hours", "notice"),
    [
        ("", NO, 0, "failure"),
        ("FAILURE", NO, 0, "failure"),
        ("DELAY", NO, 0, None),
        ("NEVER", NO, 0, None),
        ("", LATER, 3.9, None),
        ("", LATER, 4, "delay"),
        ("DELAY", LATER, 4, "delay"),
        ("FAILURE", LATER, 4, None),
        ("NEVER", LATER, 4, None),
        ("", LATER, 120, "failure"),
        ("NEVER", LATER, 120, None),
        ("", IN_MAILBOX, 0, None),
        ("SUCCESS", IN_MAILBOX, 0, "success"),
        ("SUCCESS", RELAYED, 0, "success"),
        ("SUCCESS", TOLD_BY_PEER, 0, None),
        ("FAILURE", IN_MAILBOX, 0, None),
    ],
)
def test_who_hears_of_it(notify: str, answer: Answer, age_hours: float, notice: str | None) -> None:
    assert outcome(answer, notify=notify, age=timedelta(hours=age_hours)).notice == notice


@pytest.mark.parametrize("answer", [NO, LATER, IN_MAILBOX])
def test_never_a_notice_for_a_notice(answer: Answer) -> None:
    told = outcome(answer, notify="SUCCESS FAILURE DELAY", age=timedelta(hours=200), sender="")
    assert told.notice is None


def test_a_delay_is_told_once() -> None:
    assert outcome(LATER, age=timedelta(hours=9), delay_notified=True).notice is None


def test_a_recipient_without_answer_has_no_outcome() -> None:
    assert conclude(parcel("a@x.vn", "b@x.vn").items, {1: NO}, NOON, Delivery(), lambda: 0) != []
    assert len(conclude(parcel("a@x.vn", "b@x.vn").items, {1: NO}, NOON, Delivery(), int)) == 1


@pytest.mark.parametrize(
    ("error", "status", "advice"),
    [
        (NO, "5.1.1", "address"),
        (LATER, "4.7.1", "policy"),
        (DeliveryRefused("peer-refused", reply="550 no"), "5.0.0", "ask-recipient"),
        (DeliveryRefused("peer-refused", reply="552 5.2.2 full"), "5.2.2", "full"),
        (DeliveryRefused("peer-refused", reply="552 5.3.4 big"), "5.3.4", "size"),
        (DeliveryRefused("peer-refused", reply="550 5.7.26 unsigned"), "5.7.26", "policy"),
        (DeliveryRefused("peer-refused", reply="550 5.7.1234 odd"), "5.0.0", "ask-recipient"),
        (DeliveryRefused("domain-not-found", domain="x.vn"), "5.1.2", "address"),
        (DeliveryRefused("domain-takes-no-mail", domain="x.vn"), "5.1.10", "address"),
        (DeliveryRefused("peer-lacks-smtputf8"), "5.6.7", "plain-address"),
        (DeliveryDeferred("peer-unreachable", host="h", reason="r"), "4.4.1", "ask-recipient"),
        (DeliveryDeferred("own-trouble"), "4.0.0", "ask-recipient"),
    ],
)
def test_status_and_advice(error: DeliveryError, status: str, advice: str) -> None:
    assert (status_of(error), advice_for(error)) == (status, advice)


def test_a_failure_is_described_in_the_peers_words_or_ours() -> None:
    assert describe(NO) == "550 5.1.1 no such user"
    unreachable = DeliveryDeferred("peer-unreachable", host="mx.x.vn", reason="refused")
    assert describe(unreachable) == "4.4.1 [peer-unreachable] host mx.x.vn, reason refused"
