"""Reading a message: safe, told apart, written down once a day."""

import io
import zipfile

import pytest

from mailgov.errors import Unavailable
from mailgov_webmail.mailbox import SEEN
from mailgov_webmail.pages.message import disposition
from mailgov_webmail.security import FILE_POLICY, MAIL_POLICY
from tests.support.webmail import AN, Browser, Site, letter

TRACE = "from pc by mail.vidu.gov.vn with ESMTPSA id 0123456789abcdefghjk; x"
HTML = (
    '<p onclick="x()">Kính gửi</p><script>alert(1)</script><img src="http://t.test/p.gif">'
    '<a href="https://lua-dao.example">Cổng</a>'
)


def opened(an: Browser, site: Site, data: bytes, folder: str = "INBOX", *flags: str) -> Browser:
    uid = site.mail.put(data, folder, *flags)
    slug = {"INBOX": "inbox", "Trash": "trash", "Drafts": "drafts"}[folder]
    return an.go(f"/mail/{slug}/7.{uid:x}")


def test_a_message_shows_who_wrote_what_to_whom(an: Browser, site: Site) -> None:
    opened(an, site, letter("Giấy mời", "Kính gửi ông.\n<b>không phải thẻ</b>"))
    assert an.text("h1") == "Giấy mời"
    assert "Trần Thị B <ttb@sotaichinh.tinhmau.test>" in an.text(".from")
    assert an.text(".date") == "21/11/2026 08:05"
    assert "<b>không phải thẻ</b>" in an.text(".body-text")
    assert an.all(".body-text")[0].get("lang") == "vi"
    assert not an.all("iframe")


def test_opening_marks_it_read_and_is_an_act_of_use_once_a_day(an: Browser, site: Site) -> None:
    opened(an, site, letter(header={"Received": TRACE}))
    path = an.path
    assert site.mail.stored["INBOX"][1].flags == {SEEN}
    an.go(path)
    (event,) = site.events("message.opened")
    assert (event.message_id, event.mailbox, event.agency_code) == (
        "0123456789abcdefghjk", AN, "H99.02",
    )  # fmt: skip
    site.clock.pass_(days=1)
    site.signed_in().go(path)
    assert len(site.events("message.opened")) == 2


def test_a_browser_that_only_guesses_opens_nothing(an: Browser, site: Site) -> None:
    uid = site.mail.put(letter())
    an.go(f"/mail/inbox/7.{uid:x}", **{"Sec-Purpose": "prefetch"})
    assert site.mail.stored["INBOX"][1].flags == set()
    assert site.events("message.opened") == []


def test_trouble_with_the_ledger_keeps_nobody_from_reading(an: Browser, site: Site) -> None:
    async def down(_: object) -> None:
        raise Unavailable("database-unavailable", reason="x")

    object.__setattr__(site.services.database, "submit", down)
    assert opened(an, site, letter()).status == 200


def test_html_stands_in_a_frame_that_may_do_nothing(an: Browser, site: Site) -> None:
    opened(an, site, letter("x", "bản chữ", html=HTML))
    (frame,) = an.all("iframe")
    assert frame.get("sandbox") == "allow-popups allow-popups-to-escape-sandbox"
    assert "Đã chặn 1 ảnh bên ngoài" in an.text(".notice")
    an.go(f"{an.path}?text=1")
    assert an.text(".body-text") == "bản chữ"
    an.go(frame.get("src"))
    assert an.answer.headers["content-security-policy"] == MAIL_POLICY
    assert an.text() == "Kính gửi Cổng".replace(" ", "") or "Kính gửi" in an.text()
    assert not an.all("script, img[src], [onclick]")
    assert an.all("a")[0].get("data-host") == "lua-dao.example"


def test_html_too_long_to_treat_is_shown_as_its_words(
    an: Browser, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailgov_webmail.html_mail.MAX_INPUT", 20)
    opened(an, site, letter("x", "bản chữ", html=HTML))
    assert not an.all("iframe")
    assert an.text(".body-text") == "bản chữ"


def test_files_are_downloads_with_their_names(an: Browser, site: Site) -> None:
    opened(an, site, letter(files={"Báo cáo.pdf": b"%PDF-1.4", "x.html": b"<script>"}))
    assert an.text(".files li").startswith("Báo cáo.pdf 1 KB Tải về")
    links = [a.get("href") for a in an.all(".files li a")]
    an.go(links[0])
    assert an.answer.content == b"%PDF-1.4"
    headers = an.answer.headers
    assert headers["content-type"] == "application/pdf"
    assert headers["content-disposition"] == (
        "attachment; filename=\"Bao cao.pdf\"; filename*=UTF-8''B%C3%A1o%20c%C3%A1o.pdf"
    )
    assert headers["content-security-policy"] == FILE_POLICY
    assert headers["x-content-type-options"] == "nosniff"


def test_all_files_come_in_one_archive(an: Browser, site: Site) -> None:
    opened(an, site, letter("Tài liệu", files={"Báo cáo.pdf": b"1", "../b.pdf": b"2"}))
    an.go(an.all(".files h2 a")[0].get("href"))
    with zipfile.ZipFile(io.BytesIO(an.answer.content)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "Báo cáo.pdf": b"1", "b.pdf": b"2",
        }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ('a"b\\c.pdf', "attachment; filename=\"c.pdf\"; filename*=UTF-8''c.pdf"),
        ('a"b.pdf', "attachment; filename=\"a_b.pdf\"; filename*=UTF-8''a%22b.pdf"),
        ("a\r\nX: y.pdf", "attachment; filename=\"aX: y.pdf\"; filename*=UTF-8''aX%3A%20y.pdf"),
        ("Đề án 100%.docx", "attachment; filename=\"De an 100_.docx\"; filename*=UTF-8''%C4%90%E1%BB%81%20%C3%A1n%20100%25.docx"),
        ("文書.pdf", "attachment; filename=\"__.pdf\"; filename*=UTF-8''%E6%96%87%E6%9B%B8.pdf"),
    ],
)  # fmt: skip
def test_names_in_headers_stay_in_their_place(name: str, header: str) -> None:
    assert disposition(name).replace("?", "_") == header


def test_the_source_is_shown_byte_for_byte(an: Browser, site: Site) -> None:
    data = letter(html="<script>alert(1)</script>")
    opened(an, site, data)
    path = an.path
    an.go(f"{path}/raw")
    assert an.answer.content == data
    assert an.answer.headers["content-type"].startswith("text/plain")
    an.go(f"{path}/raw?download=1")
    assert an.answer.content == data
    assert an.answer.headers["content-disposition"].startswith("attachment")


def test_the_print_view_names_everything_and_who_printed(an: Browser, site: Site) -> None:
    opened(an, site, letter("Giấy mời", files={"a.pdf": b"%PDF"}))
    an.go(f"{an.path}/print")
    for words in (
        "Giấy mời",
        "Trần Thị B",
        AN,
        "21/11/2026 08:05",
        "a.pdf (1 KB)",
        "Nguyễn Văn An",
    ):
        assert words in an.text()
    assert not an.all("nav, form, button")


def test_a_declared_document_heads_its_message(an: Browser, site: Site) -> None:
    header = {"Mailgov-Document": "type=GM; symbol=12/GM-SNV; urgency=thuong-khan; due=2026-11-22"}
    opened(an, site, letter(header=header))
    assert an.text(".document") == (
        "Loại Giấy mời (GM) Số, ký hiệu 12/GM-SNV Độ khẩn Thượng khẩn Hạn trả lời 22/11/2026"
    )


def test_what_our_relay_marked_is_pointed_out_with_its_reason(an: Browser, site: Site) -> None:
    header = {"X-Mailgov-Policy": "action=tag; reason=legacy-encoding-possible"}
    opened(an, site, letter(header=header))
    assert "Hệ thống lưu ý:" in an.text(".notice.warning")
    assert an.all(".notice a")[0].get("href") == "/help/rules/legacy-encoding-possible"


def test_many_recipients_are_folded_and_counted(an: Browser, site: Site) -> None:
    to = ", ".join(f"u{n}@x.vn" for n in range(25))
    opened(an, site, letter(to=to))
    assert "u0@x.vn và 24 người khác" in an.text("details.to summary")
    reply_all = next(a for a in an.all(".toolbar a") if "tất cả" in a.text)
    assert reply_all.text == "Trả lời tất cả (26)"
    assert reply_all.get("data-sure") == "Thư trả lời sẽ đến 26 người. Tiếp tục?"


def test_a_message_can_be_dealt_with_from_its_page(an: Browser, site: Site) -> None:
    opened(an, site, letter())
    an.submit("button[value=archive]")
    assert (an.path, an.text(".notice")) == ("/mail/inbox", "Đã chuyển 1 thư vào Lưu trữ. Hoàn tác")
    opened(an, site, letter(), "Trash", SEEN)
    an.submit("button[value=restore]")
    assert an.path == "/mail/trash"


def test_a_message_that_cannot_be_taken_apart_is_still_to_be_had(an: Browser, site: Site) -> None:
    opened(an, site, letter())
    site.mail.stored["INBOX"][1].data = b"X: " + b"a" * 70_000 + b"\r\n\r\nx"
    an.go(an.path)
    assert an.status == 200
    assert an.text("h1") == "Không hiển thị được thư này"
    assert an.all(f"a[href='{an.path}/raw']")


def test_unfinished_mail_of_other_programs_can_be_gone_on_with(an: Browser, site: Site) -> None:
    opened(an, site, letter("Dự thảo", "còn dở", to="b@x.vn", sender=AN), "Drafts")
    an.follow(".toolbar a.primary")
    assert (an.value("to"), an.value("subject"), an.value("body").strip()) == (
        "b@x.vn", "Dự thảo", "còn dở",
    )  # fmt: skip
