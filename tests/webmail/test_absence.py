"""Automatic answers: turned on, changed, turned off, by their owner alone."""

from datetime import date, timedelta

import pytest
from sqlmodel import select

from mailgov.absence import away
from mailgov.db.models import Absence
from tests.support.webmail import AN, NOW, Browser, Site

SAVE = "form[action$='/absence'] button"
OFF = "form[action$='/absence/off'] button"
TEXT = "Tôi nghỉ phép đến ngày 5/12.\r\nCần gấp: vanthu@sonoivu.tinhmau.test"


def kept(site: Site) -> tuple[str, date | None, date | None] | None:
    with site.services.database.read() as session:
        row = session.exec(select(Absence)).first()
        return (row.text, row.first_day, row.last_day) if row else None


def test_it_is_off_until_turned_on_and_off_again(an: Browser, site: Site) -> None:
    an.go("/settings").follow("a[href='/settings/absence']")
    assert an.text("#state") == "Đang tắt"
    assert an.all(OFF) == []
    an.submit(SAVE, {"text": TEXT})
    assert an.text(".notice.success") == "Đã lưu."
    assert an.text("#state") == "Đang bật"
    assert kept(site) == (TEXT.replace("\r\n", "\n"), None, None)
    (event,) = site.events("directory.changed")[-1:]
    assert (event.actor, event.data["noun"], event.data["verb"]) == (AN, "absence", "add")
    assert "nghỉ phép" not in str(event.data)
    with site.services.database.read() as session:
        (one,) = away(session, [event_mailbox(site)], "ai@khac.test", NOW)
    assert one.text.startswith("Tôi nghỉ phép")
    an.submit(OFF)
    assert an.text("#state") == "Đang tắt"
    assert kept(site) is None


def event_mailbox(site: Site) -> int:
    with site.services.database.read() as session:
        return session.exec(select(Absence.mailbox_id)).one()


@pytest.mark.parametrize(
    ("first", "last", "state"),
    [
        (0, 3, "Đang bật"),
        (1, 3, "Đã đặt, chưa đến ngày"),
        (-3, 0, "Đang bật"),
        (-3, -1, "Đã hết thời gian"),
    ],
)
def test_between_days(an: Browser, site: Site, first: int, last: int, state: str) -> None:
    days = [NOW.date() + timedelta(days=more) for more in (first, last)]
    # A calendar sends ISO dates; without one people type them as they write them.
    form = {"text": "Vắng.", "first_day": f"{days[0]:%d/%m/%Y}", "last_day": days[1].isoformat()}
    an.go("/settings/absence").submit(SAVE, form)
    assert kept(site) == ("Vắng.", *days)
    assert an.text("#state") == state
    assert an.value("last_day") == days[1].isoformat()
    assert f"Từ ngày {days[0]:%d/%m/%Y} đến hết ngày {days[1]:%d/%m/%Y}" in an.text("main")


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"text": "  "}, "từ 1 đến 2000 chữ"),
        ({"text": "x" * 2001}, "từ 1 đến 2000 chữ"),
        ({"text": "Vắng.", "first_day": "31/02/2026"}, "Ngày chưa đúng"),
        ({"text": "Vắng.", "first_day": "2026-12-05", "last_day": "2026-12-04"}, "Ngày cuối"),
    ],
)
def test_what_can_not_be_is_told_and_nothing_typed_is_lost(
    an: Browser, site: Site, form: dict[str, str], told: str
) -> None:
    an.go("/settings/absence").submit(SAVE, form)
    assert an.status == 400
    assert told in an.text("[role=alert]")
    assert an.text("textarea") == form["text"].strip()
    assert kept(site) is None


def test_a_text_is_no_page(an: Browser) -> None:
    an.go("/settings/absence").submit(SAVE, {"text": "<script>alert(1)</script>"})
    assert "<script>alert" not in an.answer.text
    assert an.text("textarea") == "<script>alert(1)</script>"


def test_in_english(an: Browser) -> None:
    an.go("/settings").post("/language", {"language": "en", "back": "/settings/absence"})
    an.go("/settings/absence")
    assert an.text("h1") == "Automatic answer while you are away"
    assert an.text("#state") == "Off"


def test_only_for_those_signed_in(site: Site, an: Browser) -> None:
    assert site.browser().go("/settings/absence").path == "/login"
    an.go("/settings/absence").post("/settings/absence", {"text": "Vắng.", "csrf": "other"})
    assert an.status == 403
    assert kept(site) is None
