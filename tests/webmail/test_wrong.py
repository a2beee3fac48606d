"""“Kết quả này sai”: from every page where a finding stands, to those who keep the rule."""

from datetime import timedelta

import pytest

from mailgov.directory.provisioning import grant_role
from mailgov.ledger import record
from mailgov.ledger.events import MessageRefused
from tests.support.directory import act
from tests.support.webmail import AN, NOW, OFFICE, Browser, Site, letter

from .test_quarantine import hold, letters_to

WHY = "Tài liệu đã công khai"
TOLD = "Đã gửi ý kiến của bạn"


@pytest.fixture(autouse=True)
def officer(site: Site) -> None:
    """The office keeps the rules of the department."""
    with site.services.database.write() as session:
        grant_role(session, act(), mailbox=OFFICE, role="security-officer", agency="H99.02")


def reported(site: Site) -> list[tuple[str, str, str]]:
    """Who said it of which rule, on which page."""
    return [(e.actor, e.data["code"], e.data["face"]) for e in site.events("hit.wrong")]


def test_from_the_writing_page(an: Browser, site: Site) -> None:
    an.write(to="binh@example.vn", subject="TUYỆT MẬT", body="Kính gửi anh.")
    an.submit("button[formaction$='/check']")
    assert "secret-mark" in an.text("#findings")
    an.submit("button[name=wrong]", {"wrong-1": WHY})
    assert TOLD in an.text(".notice.success")
    assert an.value("subject") == "TUYỆT MẬT"
    assert reported(site) == [(AN, "secret-mark", "compose")]
    (event,) = site.events("hit.wrong")
    assert event.data["draft"]
    assert event.data["reason"] == WHY
    assert letters_to(site, OFFICE) == 1


def test_a_reason_is_needed_and_the_letter_stays(an: Browser, site: Site) -> None:
    an.write(to="binh@example.vn", subject="TUYỆT MẬT", body="Kính gửi anh.")
    an.submit("button[formaction$='/check']")
    an.submit("button[name=wrong]")
    assert "Chưa ghi lý do" in an.text("[role=alert]")
    assert "Kính gửi anh." in an.value("body")
    assert reported(site) == []


def test_from_a_marked_message(an: Browser, site: Site) -> None:
    new = hold(site)
    hostname = site.services.config.site.hostname
    marked = letter(
        header={
            "Received": f"from a by {hostname} with SMTP id {new.queue_id}; Sat, 21 Nov 2026 08:00:00 +0700",
            "X-Mailgov-Policy": "action=tag; reason=encrypted-archive",
        }
    )
    uid = site.mail.put(marked)
    path = f"/mail/inbox/{site.mail.validity}.{uid}"
    an.go(path)
    assert "Tệp đặt mật khẩu" in an.text(".notice.warning")
    an.submit("form[action='/wrong'] button", {"reason": WHY})
    assert an.path == path
    assert TOLD in an.text(".notice.success")
    (event,) = site.events("hit.wrong")
    assert (event.message_id, event.data["face"]) == (new.queue_id, "message")


def test_from_held_mail_once_a_day(an: Browser, site: Site) -> None:
    hold(site)
    for _ in range(2):
        an.go("/quarantine").submit("form[action='/wrong'] button", {"reason": WHY})
        assert TOLD in an.text(".notice.success")
    assert reported(site) == [(AN, "encrypted-archive", "quarantine")]
    assert letters_to(site, OFFICE) == 1


def test_from_the_help_page(an: Browser, site: Site) -> None:
    an.go("/help/rules/macro").submit("form[action='/wrong'] button", {"reason": WHY})
    assert an.path == "/help/rules/macro"
    assert TOLD in an.text(".notice.success")
    assert reported(site) == [(AN, "macro", "help")]


def test_a_refused_message_by_its_reference(an: Browser, site: Site) -> None:
    """What was refused in Thunderbird left nothing but its event, which says whose it was."""
    for reference, mailbox in (("0" * 19 + "1", AN), ("0" * 19 + "2", OFFICE)):
        refused = MessageRefused(
            at=NOW - timedelta(hours=1), message_id=reference, mailbox=mailbox,
            agency_code="H99.02", direction="submission", code="macro", codes=["macro"],
        )  # fmt: skip
        with site.services.database.write() as session:
            record(session, refused)
    an.go(f"/help/rules/macro?ref={'0' * 19}1")
    an.submit("form[action='/wrong'] button", {"reason": WHY})
    assert [event.message_id for event in site.events("hit.wrong")] == ["0" * 19 + "1"]
    an.go(f"/help/rules/macro?ref={'0' * 19}2")
    an.submit("form[action='/wrong'] button", {"reason": WHY})
    assert an.status == 404
    an.go(f"/help/rules/executable?ref={'0' * 19}1")
    an.submit("form[action='/wrong'] button", {"reason": WHY})
    assert an.status == 409


def test_strangers_are_asked_to_sign_in(site: Site) -> None:
    stranger = site.browser().go("/help/rules/macro")
    assert stranger.all("form[action='/wrong']") == []
    stranger.follow("a[href^='/login']")
    assert stranger.path == "/login"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"code": "no-such-rule", "face": "help"}, 404),
        ({"code": "macro", "face": "elsewhere"}, 400),
        ({"code": "macro", "face": "help", "reason": " "}, 400),
        ({"code": "macro", "face": "help", "queue_id": "0" * 20}, 404),
    ],
)
def test_forged_forms(an: Browser, site: Site, fields: dict[str, str], status: int) -> None:
    an.go("/help/rules/macro")
    an.post("/wrong", {"reason": WHY, "csrf": an.value("csrf"), **fields})
    assert an.status == status
    assert reported(site) == []


def test_the_way_back_leads_to_no_other_site(an: Browser) -> None:
    an.go("/help/rules/macro")
    token = an.value("csrf")
    fields = {"reason": WHY, "csrf": token, "code": "macro", "face": "help"}
    an.post("/wrong", {**fields, "back": "https://example.org/"})
    assert an.path == "/mail/inbox"
