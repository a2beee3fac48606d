"""Lists of messages and what can be done to them, each with a way back."""

from datetime import timedelta

import pytest
from sqlmodel import select

from mailgov.db.models import Mailbox
from mailgov.errors import NotFound, Unavailable
from mailgov_webmail.mailbox import FLAGGED, SEEN, Quota
from tests.support.webmail import AN, NOW, Browser, Site, letter


def fill(site: Site, count: int) -> None:
    for number in range(1, count + 1):
        site.mail.put(letter(f"Thư {number}"), at=NOW - timedelta(minutes=count - number))


def test_an_empty_folder_says_so_and_what_to_do_next(an: Browser) -> None:
    an.go("/mail/inbox")
    assert an.text(".empty") == "Chưa có thư nào. Soạn thư"
    assert (
        an.go("/mail/inbox?filter=unread").text(".empty") == "Không có thư chưa đọc. Xem tất cả thư"
    )
    assert an.go("/mail/trash").text(".empty") == "Chưa có thư nào. Về Hộp thư đến"


def test_rows_show_who_what_when_and_state(an: Browser, site: Site) -> None:
    site.mail.put(
        letter("Cũ", sender="lvc@x.vn"), "INBOX", SEEN, FLAGGED, at=NOW - timedelta(days=1)
    )
    site.mail.put(letter("Mới", files={"a.pdf": b"%PDF"}))
    an.go("/mail/inbox")
    new, old = an.all(".messages tbody tr")
    assert [new.get("class"), old.get("class")] == ["unread", None]
    words = " ".join(new.text_content().split())
    assert "Trần Thị B Chưa đọc: Mới" in words
    assert words.endswith("09:00")
    assert new.cssselect("svg[aria-label='có tệp đính kèm']")
    assert old.cssselect(".star button")[0].get("aria-pressed") == "true"
    assert " ".join(old.text_content().split()).endswith("Hôm qua")
    assert an.title == "Hộp thư đến (1) – Thư công vụ"
    assert an.text("nav [aria-current]") == "Hộp thư đến số thư: 1"


def test_own_mail_is_listed_by_its_recipients(an: Browser, site: Site) -> None:
    site.mail.put(letter(sender=AN, to="Bình <b@x.vn>, c@x.vn"), "Sent")
    assert an.go("/mail/sent").text(".who") == "Bình +1"


def test_long_folders_have_pages_and_the_address_holds_the_state(an: Browser, site: Site) -> None:
    fill(site, 120)
    an.go("/mail/inbox")
    assert an.text(".pager") == "1–50 trong 120 Sau ›"
    assert len(an.all(".messages tbody tr")) == 50
    an.follow(".pager a[rel=next]").follow(".pager a[rel=next]")
    assert an.text(".pager") == "101–120 trong 120 ‹ Trước"
    assert an.text(".what a").split(": ")[1] == "Thư 20 Chưa đọc"
    assert an.go("/mail/inbox?page=99").answer.url.query == b"page=3"
    assert an.go("/mail/inbox?page=-1&filter=nothing").text(".pager").startswith("1–50")
    assert len(an.answer.content) < 60 << 10


def test_the_filter_shows_what_it_says(an: Browser, site: Site) -> None:
    site.mail.put(letter("đọc rồi"), "INBOX", SEEN, FLAGGED)
    site.mail.put(letter("chưa đọc"))
    assert an.go("/mail/inbox?filter=unread").text(".what a") == "Chưa đọc: chưa đọc"
    assert an.go("/mail/inbox?filter=flag").text(".what a") == "đọc rồi"
    assert an.text(".filters [aria-current]") == "Gắn cờ"


@pytest.mark.parametrize(
    ("verb", "flags", "done"),
    [
        ("read", {SEEN}, "Đã đánh dấu 2 thư là đã đọc. Hoàn tác"),
        ("unread", set(), "Đã đánh dấu 2 thư là chưa đọc. Hoàn tác"),
    ],
)
def test_flags_are_set_and_undone_where_they_were_changed(
    an: Browser, site: Site, verb: str, flags: set[str], done: str
) -> None:
    site.mail.put(letter("một"), "INBOX", SEEN)
    site.mail.put(letter("hai"))
    an.go("/mail/inbox")
    tokens = [box.get("value") for box in an.all("[name=message]")]
    an.submit(f"button[value={verb}]", {"message": tokens})
    assert an.text(".notice") == done
    assert [one.flags for one in site.mail.stored["INBOX"].values()] == [flags, flags]
    an.submit("#undo")
    assert an.text(".notice") == "Đã hoàn tác."
    assert [one.flags for one in site.mail.stored["INBOX"].values()] == [{SEEN}, set()]


def test_the_star_of_a_row_needs_no_tick(an: Browser, site: Site) -> None:
    site.mail.put(letter())
    an.go("/mail/inbox").submit(".star button")
    assert site.mail.stored["INBOX"][1].flags == {FLAGGED}
    an.submit(".star button")
    assert site.mail.stored["INBOX"][1].flags == set()


@pytest.mark.parametrize(
    ("start", "verb", "folder", "done"),
    [
        ("inbox", "archive", "Archive", "Đã chuyển 1 thư vào Lưu trữ. Hoàn tác"),
        ("inbox", "delete", "Trash", "Đã chuyển 1 thư vào Thùng rác. Hoàn tác"),
        ("inbox", "junk", "Junk", "Đã chuyển 1 thư vào Thư rác. Hoàn tác"),
        ("junk", "restore", "INBOX", "Đã chuyển 1 thư về Hộp thư đến. Hoàn tác"),
        ("trash", "restore", "INBOX", "Đã chuyển 1 thư về Hộp thư đến. Hoàn tác"),
    ],
)
def test_messages_are_moved_at_once_and_undone(
    an: Browser, site: Site, start: str, verb: str, folder: str, done: str
) -> None:
    begin = {"inbox": "INBOX", "junk": "Junk", "trash": "Trash"}[start]
    site.mail.put(letter(), begin, FLAGGED)
    an.go(f"/mail/{start}")
    an.submit(f"button[value={verb}]", {"message": an.value("message")})
    assert (an.path, an.text(".notice")) == (f"/mail/{start}", done)
    assert [one.flags for one in site.mail.stored[folder].values()] == [{FLAGGED}]
    an.submit("#undo")
    assert len(site.mail.stored[begin]) == 1
    assert site.mail.stored[folder] == {}


def test_moving_removing_and_marking_as_read_are_acts_of_use(an: Browser, site: Site) -> None:
    for verb, field in (("archive", "filed"), ("delete", "removed"), ("read", "read")):
        site.mail.put(letter())
        an.go("/mail/inbox").submit(f"button[value={verb}]", {"message": an.value("message")})
        event = site.events("mail.used")[-1]
        assert (event.mailbox, event.data["channel"], event.data[field]) == (AN, "web", 1)
    an.submit("button[value=unread]", {"message": an.value("message")})
    assert len(site.events("mail.used")) == 3


def test_messages_go_into_folders_of_ones_own(an: Browser, site: Site) -> None:
    site.mail.stored["Hồ sơ/2026 & cũ"] = {}
    site.mail.put(letter())
    an.go("/mail/inbox")
    option = next(o for o in an.all("#to option") if o.text == "Hồ sơ/2026 & cũ")
    an.submit("button[value=move]", {"message": an.value("message"), "to": option.get("value")})
    assert an.text(".notice") == "Đã chuyển 1 thư vào Hồ sơ/2026 & cũ. Hoàn tác"
    assert len(site.mail.stored["Hồ sơ/2026 & cũ"]) == 1
    assert an.go(f"/mail/{option.get('value')}").text("h1") == "Hồ sơ/2026 & cũ (1 chưa đọc)"


def test_only_erasing_asks_first(an: Browser, site: Site) -> None:
    site.mail.put(letter(), "Trash")
    an.go("/mail/trash").submit("button[value=erase]", {"message": an.value("message")})
    assert an.text("h1") == "Xóa hẳn 1 thư?"
    assert len(site.mail.stored["Trash"]) == 1
    an.submit("main button.danger")
    assert an.text(".notice") == "Đã xóa hẳn 1 thư."
    assert site.mail.stored["Trash"] == {}


def test_without_a_tick_nothing_happens_and_the_page_says_why(an: Browser, site: Site) -> None:
    site.mail.put(letter())
    an.go("/mail/inbox").submit("button[value=delete]")
    assert "Chưa chọn thư nào" in an.text(".notice")
    assert len(site.mail.stored["INBOX"]) == 1


def test_after_an_action_the_list_is_where_it_was(an: Browser, site: Site) -> None:
    fill(site, 60)
    an.go("/mail/inbox?page=2&filter=unread")
    an.submit("button[value=read]", {"message": an.all("[name=message]")[0].get("value")})
    assert an.answer.url.query.startswith(b"page=2&filter=unread&done=")
    an.submit("#undo")
    assert an.answer.url.query == b"page=2&filter=unread&undone=1"


def test_an_old_notice_does_not_come_back_with_its_page(an: Browser, site: Site) -> None:
    site.mail.put(letter())
    an.go("/mail/inbox").submit("button[value=archive]", {"message": an.value("message")})
    path = f"{an.path}?{an.answer.url.query.decode()}"
    assert an.go(path).all("#undo")
    site.clock.pass_(seconds=31)
    assert not an.go(path).all(".notice")


def test_a_notice_that_somebody_made_up_is_not_shown(an: Browser, site: Site) -> None:
    site.mail.put(letter())
    an.go("/mail/inbox").submit("button[value=archive]", {"message": an.value("message")})
    sealed = an.answer.url.params["done"]
    forged = "A" + sealed[1:] if sealed[0] != "A" else "B" + sealed[1:]
    assert not an.go(f"/mail/inbox?done={forged}").all(".notice")
    assert not an.go("/mail/inbox?done=x").all(".notice")
    an.go("/mail/archive")
    csrf = an.value("csrf")
    answer = an.post("/mail/undo", {"csrf": csrf, "done": forged}, **an.form_headers)
    assert answer.status == 400


def test_messages_of_another_time_are_left_alone(an: Browser, site: Site) -> None:
    site.mail.put(letter())
    an.go("/mail/inbox")
    site.mail.validity = 8  # the folder was made anew: the same UIDs are other messages
    an.submit("button[value=delete]", {"message": an.value("message")})
    assert an.status == 404
    assert len(site.mail.stored["INBOX"]) == 1


def test_an_unreachable_store_says_so_and_writing_goes_on(an: Browser, site: Site) -> None:
    site.mail.trouble = Unavailable("mailstore-unavailable")
    an.go("/mail/inbox?page=2")
    assert an.status == 503
    assert an.title.startswith("Lỗi:")
    assert an.all("main a.primary")[0].get("href") == "/mail/inbox?page=2"
    assert next(a.text_content() for a in an.all("nav li")).strip() == "Hộp thư đến"
    assert "0123 456 789" in an.text("main")
    assert an.go("/compose").status == 200


def test_a_folder_that_went_away_is_said_to_be_gone(an: Browser, site: Site) -> None:
    site.mail.trouble = NotFound("folder-missing", folder="Archive")
    assert an.go("/mail/archive").status == 404


def test_a_nearly_full_mailbox_says_so_on_its_lists(an: Browser, site: Site) -> None:
    site.mail.space = Quota(91 << 20, 100 << 20)
    assert "đã dùng 91 % dung lượng" in an.go("/mail/inbox").text(".notice.warning")
    site.mail.space = Quota(41 << 20, 100 << 20)
    assert not an.go("/mail/inbox").all(".notice")
    assert an.text(".space a") == "Dung lượng 41 %"


def test_a_mailbox_that_may_only_be_read_says_why(an: Browser, site: Site) -> None:
    site.mail.put(letter())
    with site.services.database.write() as session:
        row = session.exec(select(Mailbox).where(Mailbox.address == AN)).one()
        row.state, row.suspend_reason, row.suspended_at = "suspended", "chuyển công tác", NOW
    an.go("/mail/inbox")
    assert an.status == 200
    notice = an.text(".notice.warning")
    assert notice.startswith("Hộp thư đang tạm khóa. Từ 21/11/2026 09:00. Lý do: chuyển công tác.")
    assert "0123 456 789" in notice


def test_drafts_being_written_head_their_folder(an: Browser, site: Site) -> None:
    an.write(to="b@x.vn", subject="Dự thảo", body="x")
    path = an.path
    an.go("/mail/drafts")
    assert an.text(".drafts li") == "Dự thảo b@x.vn 09:00"
    assert an.all(".drafts a")[0].get("href") == path
