"""Held mail in the webmail: whose it is, who decides, what they see and may do."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlmodel import select

from mailgov.addresses import Address
from mailgov.db.models import MessageRow, RecipientRow
from mailgov.directory.provisioning import add_group, edit_group, get_mailbox, grant_role
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
    case = an.text(f"#own-{new.queue_id}")
    for told in ("binh@example.vn", new.queue_id, "Tệp đặt mật khẩu", 'tệp "bi-mat.zip"'):
        assert told in case
    assert "Luật An ninh mạng 116/2025/QH15, Điều 17.3" in case
    assert "Bấm Gửi." in an.text(".mending li")
    an.follow(".mending a")
    assert an.path == "/help/rules/encrypted-archive"


def test_mail_of_others_is_not_shown_and_can_not_be_asked_for(an: Browser, site: Site) -> None:
    mine, other = hold(site), hold(site, login=OFFICE)
    an.go("/quarantine")
    assert other.queue_id not in an.text()
    token = an.value("csrf")
    for verb in ("release", "remove"):
        an.post(f"/quarantine/{other.queue_id}/{verb}", {**WHY, "csrf": token})
        assert an.status == 404
    struck = {"code": "encrypted-archive", "face": "help", "queue_id": other.queue_id}
    an.post("/wrong", {**WHY, **struck, "csrf": token})
    assert an.status == 404
    an.go("/quarantine")
    assert mine.queue_id in an.text()
    assert site.events("release.asked") == []


@pytest.mark.usefixtures("officer")
def test_the_sender_asks_once_a_day_and_the_officer_is_told(an: Browser, site: Site) -> None:
    hold(site)
    an.go("/quarantine").submit(".decide button.primary", WHY)
    assert an.text(".notice.success") == "Đã gửi đề nghị đến người có thẩm quyền."
    assert letters_to(site, OFFICE) == 1
    an.submit(".decide button.primary", WHY)
    assert "Đã có đề nghị trong ngày" in an.text(".notice.success")
    assert letters_to(site, OFFICE) == 1
    assert len(site.events("release.asked")) == 1
    assert states(site) == {"held"}


def test_a_reason_is_needed(an: Browser, site: Site) -> None:
    hold(site)
    an.go("/quarantine").submit(".decide button.primary", {"reason": "  "})
    assert an.status == 400
    assert "Chưa ghi lý do" in an.text()


def test_the_officer_releases_what_the_rules_now_permit(officer: Browser, site: Site) -> None:
    new = hold(site)
    officer.go("/quarantine")
    assert AN in officer.text()
    assert "Noi dung rieng" not in officer.answer.text
    assert "bi-mat.zip" not in officer.answer.text
    officer.submit(".decide button.primary", WHY)
    assert officer.text(".notice.success") == "Đã nhả thư."
    assert states(site) == {"queued"}
    (event,) = site.events("message.rejudged")
    assert (event.message_id, event.actor, event.data["overruled"]) == (
        new.queue_id, OFFICE, False,
    )  # fmt: skip
    assert officer.go("/quarantine").all(".cases") == []
    assert letters_to(site, AN) == 1


def test_the_officer_can_not_release_what_would_be_refused(officer: Browser, site: Site) -> None:
    new = hold(site)
    with site.services.database.write() as session:
        session.get_one(MessageRow, new.queue_id).login = OFFICE  # An's name is not the office's
    officer.go("/quarantine").submit(".decide button.primary", WHY)
    assert officer.status == 409
    assert "sender-identity" in officer.text("[role=alert]")
    assert officer.all(".decide input[name=reason]")[0].get("value") == WHY["reason"]
    assert states(site) == {"held"}
    officer.submit("button[name=anyway]")
    assert states(site) == {"queued"}
    (event,) = site.events("message.rejudged")
    assert (event.data["overruled"], event.data["action"]) == (True, "reject")
    assert event.data["reason"] == WHY["reason"]


def test_a_stand_in_overrules_nothing(site: Site) -> None:
    with site.services.database.write() as session:
        grant_role(session, act(), mailbox=OFFICE, role="it", agency="H99.02")
    new = hold(site)
    with site.services.database.write() as session:
        session.get_one(MessageRow, new.queue_id).login = OFFICE
    browser = site.signed_in(OFFICE).go("/quarantine")
    token = browser.value("csrf")
    browser.submit(".decide button.primary", WHY)
    assert "Chỉ người phụ trách an toàn thông tin" in browser.text("[role=alert]")
    assert browser.all("button[name=anyway]") == []
    browser.post(f"/quarantine/{new.queue_id}/release", {**WHY, "anyway": "1", "csrf": token})
    assert browser.status == 409
    assert states(site) == {"held"}


def test_nobody_overrules_a_mark_of_secrecy(officer: Browser, site: Site) -> None:
    text = TEXT.replace("Noi dung rieng.", "TUYET MAT")
    body = body_of(text.replace("Moi hop", "TUYỆT MẬT").encode())
    new = message("binh@example.vn", sender=AN, held=True, at=NOW, body=body)
    new = replace(new, verdict=HELD, envelope=replace(new.envelope, login=Address.parse(AN)))
    accept(site.services.database, new)
    officer.go("/quarantine")
    token = officer.value("csrf")
    officer.submit(".decide button.primary", WHY)
    assert officer.status == 409
    assert "không ai được nhả" in officer.text("[role=alert]")
    assert officer.all("button[name=anyway]") == []
    officer.post(f"/quarantine/{new.queue_id}/release", {**WHY, "anyway": "1", "csrf": token})
    assert officer.status == 409
    assert states(site) == {"held"}


def test_the_officer_removes_and_the_sender_hears_why(officer: Browser, site: Site) -> None:
    new = hold(site)
    officer.go("/quarantine").submit("button[formaction$='/remove']", WHY)
    assert "Đã gỡ bỏ thư" in officer.text(".notice.success")
    assert states(site) == {"removed"}
    assert letters_to(site, AN) == 1
    (event,) = site.events("recipient.removed")
    assert (event.message_id, event.actor, event.data["reason"]) == (
        new.queue_id, OFFICE, WHY["reason"],
    )  # fmt: skip


def test_senders_remove_nothing(an: Browser, site: Site) -> None:
    new = hold(site)
    an.go("/quarantine")
    assert an.all("button[formaction$='/remove']") == []
    an.post(f"/quarantine/{new.queue_id}/remove", {**WHY, "csrf": an.value("csrf")})
    assert an.status == 404
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
    site.signed_in(OFFICE).go("/quarantine").submit(".decide button.primary", WHY)
    assert states(site) == {"queued"}


def test_a_false_hit_is_reported(an: Browser, site: Site) -> None:
    new = hold(site)
    an.go("/quarantine").submit(".wrong button", WHY)
    assert "Đã gửi ý kiến của bạn" in an.text(".notice.success")
    (event,) = site.events("hit.wrong")
    assert (event.message_id, event.actor) == (new.queue_id, AN)
    assert event.data["code"] == "encrypted-archive"


GROUP = "toan-so@sonoivu.tinhmau.test"


def hold_for_group(site: Site) -> NewMessage:
    """What An wrote to a group that the office moderates."""
    with site.services.database.write() as session:
        add_group(session, act(), address=GROUP, agency="H99.02")
        edit_group(session, act(), GROUP, mode="moderated", add=[OFFICE])
        group_id = get_mailbox(session, GROUP).id
    why = {"group": GROUP, "members": "1"}
    finding = Finding("group-moderated", Action.HOLD, f"recipient {GROUP}", why, 1)
    new = message(
        "binh@example.vn", sender=AN, held=True,
        at=NOW - timedelta(hours=2), body=body_of(TEXT.encode()),
    )  # fmt: skip
    new = replace(
        new,
        verdict=Verdict(Action.HOLD, "group-moderated", (finding,), (), "default/1"),
        recipients=tuple(replace(one, group_id=group_id) for one in new.recipients),
    )
    accept(site.services.database, new)
    return new


@pytest.mark.parametrize(("act_of", "state"), [("release", "queued"), ("remove", "removed")])
def test_moderators_decide_without_any_role(
    site: Site, an: Browser, act_of: str, state: str
) -> None:
    new = hold_for_group(site)
    moderator = site.signed_in(OFFICE)
    moderator.go("/quarantine")
    assert "Thư gửi nhóm chờ duyệt" in moderator.text(f"#branch-{new.queue_id}")
    assert new.queue_id in an.go("/quarantine").text("#main")
    assert an.all("#branch") == []
    token = moderator.value("csrf")
    moderator.post(f"/quarantine/{new.queue_id}/{act_of}", {**WHY, "csrf": token})
    assert moderator.path == "/quarantine"
    assert moderator.all("#branch") == []
    assert letters_to(site, AN) == 1
    assert states(site) == {state}
