"""Held mail in the webmail: whose it is, who decides, what they see and may do."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlmodel import select

from mailgov.addresses import Address
from mailgov.db.models import MessageRow, RecipientRow
from mailgov.directory.provisioning import grant_role
from mailgov.queue import NewMessage
from mailgov_policies.verdict import Action, Finding, Verdict
from tests.support.directory import act
from tests.support.webmail import AN, NOW, OFFICE, Browser, Site

from ..mailgov.queue.samples import accept, body_of, message

TEXT = f"From: An <{AN}>\r\nTo: binh@example.vn\r\nSubject: Moi hop\r\n\r\nNoi dung rieng.\r\n"
HELD = Verdict(
    Action.HOLD,
    "encrypted-archive",
    (Finding("encrypted-archive", Action.HOLD, "part 2", {"file": "bi-mat.zip"}, 1),),
    (),
    "default/1",
)
WHY = {"reason": "Giấy mời gấp"}


def hold(site: Site, *, login: str = AN) -> NewMessage:
    """A message of An's that the policy keeps."""
    new = message(
        "binh@example.vn", sender=AN, held=True,
        at=NOW - timedelta(hours=2), body=body_of(TEXT.encode()),
    )  # fmt: skip
    new = replace(new, verdict=HELD, envelope=replace(new.envelope, login=Address.parse(login)))
    accept(site.services.database, new)
    return new


@pytest.fixture
def officer(site: Site) -> Browser:
    """The office, which decides on held mail of the department."""
    with site.services.database.write() as session:
        grant_role(session, act(), mailbox=OFFICE, role="security-officer", agency="H99.02")
    return site.signed_in(OFFICE)


def states(site: Site) -> set[str]:
    with site.services.database.read() as session:
        query = select(RecipientRow.state).where(RecipientRow.address == "binh@example.vn")
        return set(session.exec(query))


def letters_to(site: Site, address: str) -> int:
    with site.services.database.read() as session:
        return len(session.exec(select(RecipientRow).where(RecipientRow.address == address)).all())


def test_nothing_held(an: Browser) -> None:
    an.go("/quarantine")
    assert an.status == 200
    assert "Không có thư nào của bạn bị giữ." in an.text()
    assert an.all("#branch") == []


def test_signed_out_visitors_sign_in_first(site: Site) -> None:
    assert site.browser().go("/quarantine").path == "/login"


def test_ones_own_held_mail_says_why_and_until_when(an: Browser, site: Site) -> None:
    new = hold(site)
    an.go("/quarantine")
    assert "binh@example.vn" in an.text(".lines")
    assert new.queue_id in an.text(".lines")
    an.follow(".line-title a")
    assert an.path == "/help/rules/encrypted-archive"


def test_mail_of_others_is_not_shown_and_can_not_be_asked_for(an: Browser, site: Site) -> None:
    mine, other = hold(site), hold(site, login=OFFICE)
    an.go("/quarantine")
    assert other.queue_id not in an.text()
    token = an.value("csrf")
    for verb in ("release", "report"):
        an.post(f"/quarantine/{other.queue_id}/{verb}", {**WHY, "csrf": token})
        assert an.status == 404
    an.go("/quarantine")
    assert mine.queue_id in an.text()
    assert site.events("release.asked") == []


@pytest.mark.usefixtures("officer")
def test_the_sender_asks_once_a_day_and_the_officer_is_told(an: Browser, site: Site) -> None:
    hold(site)
    an.go("/quarantine").submit(".lines button.primary", WHY)
    assert an.text(".notice.success") == "Đã gửi đề nghị đến người có thẩm quyền."
    assert letters_to(site, OFFICE) == 1
    an.submit(".lines button.primary", WHY)
    assert "Đã có đề nghị trong ngày" in an.text(".notice.success")
    assert letters_to(site, OFFICE) == 1
    assert len(site.events("release.asked")) == 1
    assert states(site) == {"held"}


def test_a_reason_is_needed(an: Browser, site: Site) -> None:
    hold(site)
    an.go("/quarantine").submit(".lines button.primary", {"reason": "  "})
    assert an.status == 400
    assert "Chưa ghi lý do" in an.text()


def test_the_officer_releases_what_the_rules_now_permit(officer: Browser, site: Site) -> None:
    new = hold(site)
    officer.go("/quarantine")
    assert AN in officer.text()
    assert "Noi dung rieng" not in officer.answer.text
    assert "bi-mat.zip" not in officer.answer.text
    officer.submit(".lines button.primary", WHY)
    assert officer.text(".notice.success") == "Đã nhả thư."
    assert states(site) == {"queued"}
    (event,) = site.events("message.rejudged")
    assert (event.message_id, event.actor, event.data["overruled"]) == (
        new.queue_id, OFFICE, False,
    )  # fmt: skip
    assert officer.go("/quarantine").all(".lines") == []


def test_the_officer_can_not_release_what_would_be_refused(officer: Browser, site: Site) -> None:
    new = hold(site)
    with site.services.database.write() as session:
        session.get_one(MessageRow, new.queue_id).login = OFFICE  # An's name is not the office's
    officer.go("/quarantine").submit(".lines button.primary", WHY)
    assert officer.status == 409
    assert "sender-identity" in officer.text()
    assert states(site) == {"held"}


def test_roles_elsewhere_decide_nothing_here(site: Site) -> None:
    with site.services.database.write() as session:
        grant_role(session, act(), mailbox=OFFICE, role="security-officer", agency="H99.47")
    new = hold(site)
    browser = site.signed_in(OFFICE).go("/quarantine")
    assert "Không có thư nào chờ bạn duyệt." in browser.text()
    token = browser.value("csrf")
    browser.post(f"/quarantine/{new.queue_id}/release", {**WHY, "csrf": token})
    assert browser.status == 404
    assert states(site) == {"held"}


def test_it_stands_in_where_nobody_secures_and_only_there(site: Site) -> None:
    with site.services.database.write() as session:
        grant_role(session, act(), mailbox=OFFICE, role="it", agency="H99.02")
    hold(site)
    stand_in = site.signed_in(OFFICE).go("/quarantine")
    assert stand_in.text("#branch") == "Thư chờ tôi duyệt"
    with site.services.database.write() as session:
        grant_role(session, act(), mailbox=AN, role="security-officer", agency="H99.02")
    assert stand_in.go("/quarantine").all("#branch") == []
    assert site.signed_in(AN).go("/quarantine").text("#branch") == "Thư chờ tôi duyệt"


def test_it_releases_what_it_keeps(site: Site) -> None:
    with site.services.database.write() as session:
        grant_role(session, act(), mailbox=OFFICE, role="it", agency="H99.02")
    hold(site)
    site.signed_in(OFFICE).go("/quarantine").submit(".lines button.primary", WHY)
    assert states(site) == {"queued"}


def test_a_false_hit_is_reported(an: Browser, site: Site) -> None:
    new = hold(site)
    an.go("/quarantine").submit(".lines button[formaction]", WHY)
    assert an.text(".notice.success") == "Đã ghi nhận. Cảm ơn bạn."
    (event,) = site.events("hit.wrong")
    assert (event.message_id, event.actor) == (new.queue_id, AN)
    assert event.data["code"] == "encrypted-archive"
