"""Signing in and out: one answer to every wrong guess, limits on time, and no text lost."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from mailgov.directory.provisioning import grant_role, set_password, suspend
from mailgov.lifecycle.ending import Recall, recall
from tests.support.directory import act
from tests.support.webmail import AN, OFFICE, PASSWORD, Browser, Site, letter, make_site

TEXT = "Kính gửi ông, em gửi báo cáo."


def test_the_right_password_leads_to_the_inbox(site: Site) -> None:
    browser = site.browser().sign_in()
    assert (browser.status, browser.path) == (200, "/mail/inbox")
    assert browser.text("h1") == "Hộp thư đến"
    (event,) = site.events("sign-in")
    assert (event.mailbox, event.data["success"], event.data["channel"]) == (AN, True, "web")


@pytest.mark.parametrize(
    ("address", "password"),
    [(AN, "sai"), ("khong.co@tinhmau.test", PASSWORD), ("khong phai dia chi", "x"), (OFFICE, "")],
)
def test_every_wrong_guess_gets_the_same_answer(site: Site, address: str, password: str) -> None:
    browser = site.browser().sign_in(address, password)
    assert browser.status == 401
    assert browser.title.startswith("Lỗi:")
    assert browser.text("#problem") == (
        "Lỗi: Địa chỉ hoặc mật khẩu không đúng. Kiểm tra bộ gõ tiếng Việt và phím Caps Lock rồi thử lại."
    )
    assert browser.value("address") == address
    assert browser.value("password") == ""
    assert not browser.client.cookies


def _recalled(site: Site, *, holder_reads: bool) -> None:
    today = site.clock().date()
    how = Recall(
        readable_until=today + timedelta(days=180),
        kept_until=today + timedelta(days=540),
        contact=OFFICE,
        holder_reads=holder_reads,
    )
    with site.services.database.write() as session:
        recall(session, act("nghỉ hưu"), AN, how)


def test_a_recalled_mailbox_looks_like_a_wrong_password(site: Site) -> None:
    _recalled(site, holder_reads=False)
    assert site.browser().sign_in().status == 401


def test_who_had_a_recalled_mailbox_may_read_on_and_is_told_why(site: Site) -> None:
    site.mail.put(letter())
    before = site.signed_in()
    _recalled(site, holder_reads=True)
    assert before.go("/mail/inbox").path == "/login"  # signed in anew, as whoever it is now
    browser = site.browser().sign_in()
    assert browser.path == "/mail/inbox"
    told = browser.text(".notice.warning")
    assert "Hộp thư đã được thu hồi. Từ 21/11/2026 09:00. Lý do: nghỉ hưu." in told
    assert "Bạn được đọc thư đến hết ngày 20/05/2027." in told
    assert OFFICE in told
    assert "0123 456 789" in told
    assert not browser.all("a[href='/compose'], button[name=do]")


def test_what_may_only_be_read_is_opened_saved_and_not_changed(site: Site) -> None:
    site.mail.put(letter())
    _recalled(site, holder_reads=True)
    browser = site.browser().sign_in().go("/mail/inbox/7.1")
    assert (browser.status, site.mail.stored["INBOX"][1].flags) == (200, set())
    assert browser.all("a[href$='/raw?download=1']")
    assert not browser.all(".toolbar form")
    assert browser.go("/mail/inbox/7.1/raw?download=1").status == 200
    assert browser.go("/compose").status == 403
    csrf = browser.go("/mail/inbox").value("csrf")
    tick = {"csrf": csrf, "folder": "inbox", "message": "7.1-00", "do": "delete"}
    assert browser.post("/mail/actions", tick).status == 403
    assert site.mail.stored["INBOX"][1].flags == set()
    assert browser.post("/settings/absence", {"csrf": csrf}).status == 403
    assert browser.post("/logout", {"csrf": csrf}).path == "/login"


def test_a_suspended_mailbox_may_be_read(site: Site) -> None:
    with site.services.database.write() as session:
        suspend(session, act("nghỉ thai sản"), AN)
    browser = site.browser().sign_in()
    assert browser.path == "/mail/inbox"
    assert "Lý do: nghỉ thai sản." in browser.text(".notice.warning")


def test_guessing_is_slowed_without_locking_the_owner_out(site: Site) -> None:
    browser = site.browser()
    for _ in range(10):
        assert browser.sign_in(AN, "sai").status == 401
    throttled = browser.sign_in(AN, PASSWORD)
    assert (throttled.status, throttled.client.cookies.get("mailgov-session")) == (429, None)
    assert site.browser().sign_in(OFFICE, "sai").status == 401  # another account still may
    site.clock.pass_(minutes=1, seconds=1)
    assert browser.sign_in().path == "/mail/inbox"


def test_signing_in_goes_on_where_it_was_asked_for(site: Site) -> None:
    browser = site.browser().go("/mail/sent?filter=unread")
    assert browser.path == "/login"
    browser.submit("main form button", {"address": AN, "password": PASSWORD})
    assert browser.answer.url.path + "?" + browser.answer.url.query.decode() == (
        "/mail/sent?filter=unread"
    )


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.test/",
        "//evil.test",
        "/\\evil.test",
        "javascript:alert(1)",
        "mail",
        "/x\r\nY: z",
    ],
)
def test_signing_in_never_leads_elsewhere(site: Site, path: str) -> None:
    answer = site.browser().client.post(
        "/login",
        data={"address": AN, "password": PASSWORD, "next": path},
        follow_redirects=False,
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/mail/inbox")


def test_the_cookie_is_out_of_reach_and_stays_on_this_site(site: Site) -> None:
    browser = site.browser().go("/login")
    answer = browser.client.post(
        "/login", data={"address": AN, "password": PASSWORD}, follow_redirects=False
    )
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("mailgov-session=")
    assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))


def test_under_https_the_cookie_is_bound_to_host_and_transport(data_folder: Path) -> None:
    site = make_site(data_folder, web={"url": "https://mail.tinhmau.test"})
    browser = site.browser(url="https://mail.tinhmau.test")
    answer = browser.client.post(
        "/login",
        data={"address": AN, "password": PASSWORD},
        headers={"Origin": "https://mail.tinhmau.test"},
        follow_redirects=False,
    )
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-mailgov=")
    assert {"Secure", "HttpOnly", "Path=/"} <= set(cookie.split("; "))
    assert "domain" not in cookie.lower()
    assert browser.go("/mail/inbox").status == 200
    assert "max-age" in browser.answer.headers["strict-transport-security"]
    site.close()


def test_a_new_sign_in_is_a_new_token_and_ends_the_old_one(an: Browser, site: Site) -> None:
    old = an.client.cookies["mailgov-session"]
    an.post("/login", {"address": AN, "password": PASSWORD})
    assert an.client.cookies["mailgov-session"] != old
    other = site.browser()
    other.client.cookies.set("mailgov-session", old)
    assert other.go("/mail/inbox").path == "/login"


def test_signing_out_ends_the_sign_in_everywhere(an: Browser, site: Site) -> None:
    token = an.client.cookies["mailgov-session"]
    an.submit(".menu form button")
    assert an.path == "/login"
    assert "mailgov-session" not in an.client.cookies
    other = site.browser()
    other.client.cookies.set("mailgov-session", token)
    assert other.go("/mail/inbox").path == "/login"


def test_fifteen_minutes_without_use_end_it_and_use_goes_on(an: Browser, site: Site) -> None:
    for _ in range(4):
        site.clock.pass_(minutes=14)
        assert an.go("/mail/inbox").path == "/mail/inbox"
    site.clock.pass_(minutes=15)
    assert an.go("/mail/inbox").path == "/login"
    assert an.text(".notice") == "Phiên đăng nhập đã hết hạn. Đăng nhập lại để tiếp tục."


def test_twelve_hours_end_it_in_any_case(an: Browser, site: Site) -> None:
    for _ in range(50):
        site.clock.pass_(minutes=14)
        an.go("/help")
    assert an.go("/mail/inbox").path == "/mail/inbox"
    site.clock.pass_(minutes=14)
    an.go("/help")
    site.clock.pass_(minutes=14)
    assert an.go("/mail/inbox").path == "/login"


def test_administrators_sign_in_again_after_five_minutes(site: Site) -> None:
    with site.services.database.write() as session:
        grant_role(session, act(), mailbox=AN, role="it", agency="H99")
    browser = site.signed_in()
    site.clock.pass_(minutes=4)
    assert browser.go("/mail/inbox").path == "/mail/inbox"
    site.clock.pass_(minutes=5)
    assert browser.go("/mail/inbox").path == "/login"


def test_an_eleventh_sign_in_ends_the_one_unused_longest(site: Site) -> None:
    browsers = []
    for _ in range(11):
        browsers.append(site.signed_in())
        site.clock.pass_(seconds=1)
    assert browsers[0].go("/mail/inbox").path == "/login"
    assert [browser.go("/mail/inbox").path for browser in browsers[1:]] == ["/mail/inbox"] * 10


def test_the_end_of_the_sign_in_keeps_the_letter(an: Browser, site: Site) -> None:
    an.go("/compose")
    site.clock.pass_(minutes=20)
    an.submit("button[formaction$='/send']", {"to": OFFICE, "subject": "Báo cáo", "body": TEXT})
    assert (an.status, an.text("h1")) == (401, "Đăng nhập")
    assert TEXT in an.text(".kept pre")
    an.submit("main form button", {"address": AN, "password": "sai"})
    assert an.status == 401
    an.submit("main form button", {"address": AN, "password": PASSWORD})
    assert re.fullmatch(r"/compose/[0-9a-f]{32}", an.path)
    assert (an.value("body"), an.value("to"), an.value("subject")) == (TEXT, OFFICE, "Báo cáo")
    assert "được giữ nguyên" in an.text(".notice")
    assert site.events("message.accepted") == []


def test_somebody_elses_sign_in_gets_the_text_in_a_draft_of_its_own(
    an: Browser, site: Site
) -> None:
    an.write(subject="riêng của An", body=TEXT)
    path = an.path
    with site.services.database.write() as session:
        set_password(session, act(), OFFICE, "Cau thang 9 bac cao!")
    site.clock.pass_(minutes=20)
    an.submit("button[formaction$='/save']", {"body": "viết thêm"})
    an.submit("main form button", {"address": OFFICE, "password": "Cau thang 9 bac cao!"})
    assert an.path != path
    assert an.value("body") == "viết thêm"
    again = site.signed_in().go(path)
    assert again.value("body") == TEXT


def test_our_script_is_told_to_ask_for_the_password_in_place(an: Browser, site: Site) -> None:
    an.write(body=TEXT)
    site.clock.pass_(minutes=20)
    answer = an.client.post(f"{an.path}/save", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json()) == (401, {"error": "signed-out"})
    answer = an.client.post(
        "/login",
        data={"address": AN, "password": PASSWORD},
        headers={"Accept": "application/json", "Sec-Fetch-Site": "same-origin"},
    )
    again = answer.json()
    saved = an.client.post(
        f"{an.path}/save",
        data={"csrf": again["csrf"], "version": "1", "body": "thêm"},
        headers={"Accept": "application/json", "Sec-Fetch-Site": "same-origin"},
    )
    assert saved.json()["version"] == 2


def test_the_language_is_chosen_on_any_page_and_kept(site: Site) -> None:
    browser = site.browser().go("/login?next=/search")
    browser.submit(".languages button[value=en]")
    assert (browser.path, browser.text("h1")) == ("/login", "Sign in")
    assert browser.value("next") == "/search"
    browser.sign_in()
    assert browser.text("h1") == "Inbox"
    assert browser.all("html")[0].get("lang") == "en"
    browser.submit(".languages button[value=vi]")
    assert (browser.path, browser.text("h1")) == ("/mail/inbox", "Hộp thư đến")
