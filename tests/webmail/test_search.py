"""Search over folders."""

from tests.support.webmail import Browser, Site, letter


def test_words_are_found_over_all_folders_but_junk_and_trash(an: Browser, site: Site) -> None:
    for folder in ("INBOX", "Archive", "Sent", "Junk", "Trash"):
        site.mail.put(letter(f"Giao ban ở {folder}"), folder)
    site.mail.put(letter("Khác hẳn"))
    an.go("/mail/inbox").submit(".search button", {"q": "giao ban"})
    assert an.path == "/search"
    assert sorted(cell.text for cell in an.all("td.where")) == ["Hộp thư đến", "Lưu trữ", "Đã gửi"]
    assert an.all("#q")[0].get("value") == "giao ban"
    an.follow(".what a")
    assert an.text("h1").startswith("Giao ban ở")


def test_one_folder_can_be_searched_alone(an: Browser, site: Site) -> None:
    site.mail.put(letter("Giao ban"), "Junk")
    an.go("/search?q=giao&in=junk")
    assert an.text(".where") == "Thư rác"
    assert an.all("#in option[selected]")[0].get("value") == "junk"


def test_nothing_found_says_so_and_what_to_try(an: Browser) -> None:
    an.go("/search?q=không-có")
    assert an.text(".empty").startswith("Không tìm thấy “không-có”. Thử ít từ hơn")
    assert not an.go("/search").all(".empty")


def test_only_the_newest_are_shown_and_the_page_says_so(an: Browser, site: Site) -> None:
    for number in range(60):
        site.mail.put(letter(f"Giao ban {number}"))
    an.go("/search?q=giao")
    assert len(an.all("th.what")) == 50
    assert "Còn nhiều thư khác" in an.text("main p[role=status]")


def test_operators_of_either_language_narrow_it(an: Browser, site: Site) -> None:
    site.mail.put(letter("Giao ban quý IV"), "INBOX")
    site.mail.put(letter("Giao ban tháng"), "INBOX", "\\Seen")
    for question in ("tiêu-đề:giao là:chưa-đọc", "subject:giao is:unread"):
        an.go(f"/search?q={question}")
        assert [link.text for link in an.all("th.what a")] == ["Giao ban quý IV"]


def test_the_filter_form_writes_operators(an: Browser, site: Site) -> None:
    site.mail.put(letter("Giao ban"), "Sent")
    an.go("/search?q=giao").submit(".filters button", {"is": "unread", "in": "sent"})
    assert an.all("#question")[0].get("value") == "giao là:chưa-đọc trong:đã-gửi"
    assert an.text(".where") == "Đã gửi"
    assert an.all("#beside")[0].get("value") == "giao"
    assert an.all("#f-is option[selected]")[0].get("value") == "unread"


def test_what_is_not_understood_is_told_and_nothing_is_searched(an: Browser, site: Site) -> None:
    site.mail.put(letter("Giao ban"))
    an.go("/search?q=giao trước:32/13")
    assert an.text("#problem").startswith("Lỗi: Không hiểu trước:32/13. Ngày viết 21/11/2026")
    assert not an.all("th.what")
    assert not an.all(".empty")


def test_everywhere_takes_in_junk_and_trash(an: Browser, site: Site) -> None:
    site.mail.put(letter("Giao ban"), "Trash")
    assert an.go("/search?q=giao").all(".empty")
    assert an.go("/search?q=giao in:all").text(".where") == "Thùng rác"
