"""Letters can be called back until they are due; nothing is lost or sent twice on the way."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from mailgov.clock import VIETNAM
from mailgov.db.models import Draft, Mailbox
from mailgov.errors import Unavailable
from mailgov_webmail.compose.drafts import SENDING_ENDS
from mailgov_webmail.compose.outbox import TRY_AGAIN, Postman
from mailgov_webmail.pages.compose import later_choices
from tests.support.webmail import AN, OFFICE, Browser, Site, make_site
from tests.webmail.test_compose import SEND, TCVN3, rows, sent


@pytest.fixture
def site(data_folder: Path) -> Iterator[Site]:
    """A webmail that waits ten seconds before it sends."""
    made = make_site(data_folder, web={"undo_seconds": 10})
    yield made
    made.close()


def written(an: Browser, **fields: str) -> Browser:
    """A letter, sent."""
    an.write(to=OFFICE, subject="Báo cáo", body="Kính gửi.")
    return an.submit(SEND, fields)


def state(site: Site) -> str:
    (draft,) = rows(site, Draft)
    return str(draft.state)


def test_a_letter_waits_and_then_leaves_with_its_copy(an: Browser, site: Site) -> None:
    written(an)
    assert an.path == "/mail/inbox"
    assert "Thư sẽ được gửi sau 10 giây." in an.text(".notice.success")
    assert an.text("nav .count") == "số thư: 1"
    assert site.send_due() == 0
    assert sent(site) == []
    site.clock.pass_(seconds=10)
    assert site.send_due() == 1
    assert len(sent(site)) == 1
    assert len(site.mail.stored["Sent"]) == 1
    assert state(site) == "sent"
    assert site.send_due() == 0
    assert not an.go("/outbox").all("nav .count")
    assert an.text(".empty") == "Không có thư nào đang chờ gửi."


def test_undo_brings_the_letter_back_whole(an: Browser, site: Site) -> None:
    written(an).submit("#undo")
    assert an.value("subject") == "Báo cáo"
    assert an.value("body") == "Kính gửi."
    site.clock.pass_(minutes=5)
    assert site.send_due() == 0
    assert sent(site) == []
    assert state(site) == "open"


def test_what_has_left_can_not_be_called_back(an: Browser, site: Site) -> None:
    written(an)
    site.clock.pass_(seconds=11)
    site.send_due()
    an.submit("#undo")
    assert "không lấy lại được nữa" in an.text()
    assert len(sent(site)) == 1


def test_the_outbox_shows_it_and_sends_it_now(an: Browser, site: Site) -> None:
    written(an, later=(site.clock.now + timedelta(days=2)).isoformat())
    assert "Thư sẽ được gửi 23/11/2026 09:00." in an.text(".notice.success")
    an.go("/outbox")
    assert "Sẽ gửi lúc 23/11/2026 09:00." in an.text(".cases")
    an.submit("button[formaction$='/now']")
    assert site.send_due() == 1
    assert len(sent(site)) == 1


def test_the_outbox_gives_it_back(an: Browser, site: Site) -> None:
    written(an).go("/outbox").submit(".cases button.primary")
    assert an.value("subject") == "Báo cáo"
    assert state(site) == "open"


def test_nobody_reaches_into_anothers_outbox(an: Browser, site: Site) -> None:
    written(an)
    (draft,) = rows(site, Draft)
    office = site.signed_in(OFFICE)
    assert office.go("/outbox").text(".empty")
    office.post(f"/outbox/{draft.id}/undo", {})
    office.post(f"/outbox/{draft.id}/now", {})
    assert state(site) == "waiting"
    assert site.send_due() == 0


@pytest.mark.parametrize("later", ["mai", "2026-11-20T09:00:00+07:00", "2027-11-21T09:00:00+07:00"])
def test_a_time_that_is_none_is_refused_and_the_letter_kept(
    an: Browser, site: Site, later: str
) -> None:
    written(an, later=later)
    assert "giờ gửi sau không hợp lệ" in an.text().lower()
    assert an.value("subject") == "Báo cáo"
    assert state(site) == "open"


def test_what_is_refused_never_gets_there(an: Browser, site: Site) -> None:
    an.write(to=OFFICE, subject="Báo cáo", body=TCVN3).submit(SEND)
    assert an.status == 422
    assert state(site) == "open"


def test_what_the_gate_refuses_later_is_kept_and_explained(an: Browser, site: Site) -> None:
    written(an)
    site.clock.pass_(seconds=10)
    with site.services.database.write() as session:
        (draft,) = session.exec(select(Draft))
        draft.fields = {**draft.fields, "letter": {**draft.fields["letter"], "body": TCVN3}}
    site.send_due()
    assert sent(site) == []
    assert state(site) == "failed"
    an.go("/outbox")
    assert "Chưa gửi được:" in an.text(".cases")
    assert an.all(".cases a[href^='/help/rules/']")
    an.submit(".cases button.primary")
    assert an.value("subject") == "Báo cáo"
    assert state(site) == "open"


def test_who_was_suspended_meanwhile_sends_nothing(an: Browser, site: Site) -> None:
    written(an)
    with site.services.database.write() as session:
        box = session.exec(select(Mailbox).where(Mailbox.address == AN)).one()
        box.state = "suspended"
    site.clock.pass_(minutes=10)
    site.send_due()
    assert sent(site) == []
    assert state(site) == "failed"


def test_trouble_of_ours_only_delays_it(an: Browser, site: Site) -> None:
    written(an)
    site.clock.pass_(seconds=10)
    site.reader.trouble = Unavailable("reader-unavailable")
    site.send_due()
    assert state(site) == "waiting"
    assert "đang trục trặc" in an.go("/outbox").text(".cases")
    site.reader.trouble = None
    assert site.send_due() == 0
    site.clock.pass_(seconds=TRY_AGAIN.total_seconds())
    assert site.send_due() == 1
    assert len(sent(site)) == 1


def test_two_processes_send_it_once(an: Browser, site: Site) -> None:
    written(an)
    site.clock.pass_(seconds=10)
    parts = site.app.state.parts
    other = Postman(parts.services, parts.mail)

    async def both() -> None:
        await asyncio.gather(parts.postman.send_due(), other.send_due())

    asyncio.run(both())
    assert len(sent(site)) == 1
    assert len(site.mail.stored["Sent"]) == 1


@pytest.mark.parametrize("taken", [False, True])
def test_a_process_that_died_while_sending(an: Browser, site: Site, taken: bool) -> None:
    """Whether or not the gate had it already, it leaves once and the copy is there."""
    written(an)
    (before,) = rows(site, Draft)
    site.clock.pass_(seconds=10)
    if taken:
        site.send_due()
        site.mail.stored["Sent"].clear()
    with site.services.database.write() as session:
        (draft,) = session.exec(select(Draft))
        draft.fields, draft.state = before.fields, "sending"
        draft.due_at = draft.updated_at = site.clock.now
    assert site.send_due() == 0
    site.clock.pass_(seconds=SENDING_ENDS.total_seconds() + 1)
    assert site.send_due() == 1
    assert len(sent(site)) == 1
    assert len(site.mail.stored["Sent"]) == 1
    assert state(site) == "sent"


@pytest.mark.parametrize(
    ("at", "keys"),
    [
        ("2026-11-20T09:10", ["hour", "afternoon", "tomorrow", "monday"]),  # a Friday
        ("2026-11-20T15:10", ["hour", "tomorrow", "monday"]),
        ("2026-11-22T15:10", ["hour", "tomorrow"]),  # a Sunday
        ("2026-11-23T15:10", ["hour", "tomorrow", "monday"]),
    ],
)
def test_times_to_choose_from(at: str, keys: list[str]) -> None:
    now = datetime.fromisoformat(at).replace(tzinfo=VIETNAM)
    choices = later_choices(now.astimezone(UTC))
    assert [key for key, _ in choices] == keys
    assert all(when > now for _, when in choices)
    assert all(when.weekday() == 0 for key, when in choices if key == "monday")


def test_the_postman_waits_for_what_is_due(an: Browser, site: Site) -> None:
    """He sleeps until a letter is due, wakes for a new one, and goes when told to stop."""
    written(an)
    postman: Postman = site.app.state.parts.postman

    async def work() -> None:
        stop = asyncio.Event()
        running = asyncio.create_task(postman.run(stop))
        site.clock.pass_(seconds=10)
        postman.wake()
        async with asyncio.timeout(20):
            while not await asyncio.to_thread(sent, site):
                pass
            stop.set()
            await running

    asyncio.run(work())
