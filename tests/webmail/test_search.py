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
