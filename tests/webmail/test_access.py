"""App passwords and the second factor: made, used, lost."""

import re
from pathlib import Path

import pyotp
import pytest

from mailgov.directory.provisioning import get_mailbox, grant_role, reset_second_factor
from mailgov.directory.tokens import may_be_app_password
from tests.support.directory import act
from tests.support.webmail import AN, PASSWORD, Browser, Site, make_site

SAVED = "button[formaction$='/save']"


def secret_of(browser: Browser) -> str:
    return browser.text("code.secret").replace(" ", "")


def code_of(site: Site, secret: str, steps: int = 0) -> str:
    code: str = pyotp.TOTP(secret).at(site.clock(), counter_offset=steps)
    return code


def enrol(site: Site, browser: Browser) -> tuple[str, list[str]]:
    """Turn the second factor on; its secret, and the recovery codes."""
    browser.go("/settings/second-factor")
    secret = secret_of(browser)
    browser.submit("main form button", {"code": code_of(site, secret)})
    assert browser.path == "/settings/second-factor"
    assert browser.status == 200
    codes = [one.text_content() for one in browser.all("section.notice code.secret")]
    site.clock.pass_(seconds=90)
    return secret, codes


def sign_in(site: Site, code: str) -> Browser:
    browser = site.browser().sign_in()
    assert browser.text("h1") == "Xác thực bước hai"
    return browser.submit("main form button", {"code": code})


# App passwords


async def opens(site: Site, password: str, channel: str = "imap") -> bool:
    account = await site.services.directory.sign_in(AN, password, channel=channel, ip="10.9.9.9")  # type: ignore[arg-type]  # a name of a channel
    return account is not None


async def test_an_app_password_is_made_shown_once_used_and_revoked(an: Browser, site: Site) -> None:
    an.go("/settings/devices")
    assert "Chưa có mật khẩu ứng dụng nào." in an.text("main")
    an.submit(
        "form[action$='/passwords'] button",
        {"label": "Thunderbird, máy bàn", "opens": "imap", "password": PASSWORD},
    )
    password = an.text("code.secret")
    assert may_be_app_password(password)
    assert (await opens(site, password), await opens(site, password, "smtp")) == (True, False)
    an.go("/settings/devices")
    assert password not in an.answer.text
    line = an.text("section[aria-labelledby='passwords'] li")
    assert line.startswith("Thunderbird, máy bàn Chỉ đọc thư (IMAP)")
    assert "10.9.9.9" in line
    an.submit("form[action$='/revoke'] button")
    assert an.path == "/settings/devices"
    assert "Đã thu hồi" in an.text(".notice")
    assert not await opens(site, password)
    changes = [event.data for event in site.events("directory.changed")]
    assert [one["verb"] for one in changes if one["noun"] == "app-password"] == ["add", "revoke"]
    assert password not in str(changes)


@pytest.mark.parametrize(
    ("values", "status", "problem"),
    [
        ({"label": "máy", "password": "sai"}, 403, "Mật khẩu không đúng."),
        ({"label": " ", "password": PASSWORD}, 400, "Mật khẩu ứng dụng cần có tên"),
    ],
)
def test_an_app_password_takes_the_password_and_a_name(
    an: Browser, site: Site, values: dict[str, str], status: int, problem: str
) -> None:
    an.go("/settings/devices").submit("form[action$='/passwords'] button", values)
    assert an.status == status
    assert problem in an.text("#problem")
    assert not an.all("code.secret")


def test_nobody_revokes_what_is_anothers(an: Browser, site: Site) -> None:
    an.go("/settings")
    token = an.value("csrf")
    an.post("/settings/devices/passwords/1/revoke", {"csrf": token}, **an.form_headers)
    assert an.status == 404


# The second factor


def test_the_second_factor_is_turned_on_with_a_first_code(an: Browser, site: Site) -> None:
    other = site.signed_in()
    an.go("/settings/second-factor")
    picture = an.all("main img")[0].get("src")
    assert picture.startswith("data:image/svg+xml")
    an.submit("main form button", {"code": "000000"})
    assert an.status == 400
    secret, codes = enrol(site, an)
    assert len(set(codes)) == 10
    assert all(re.fullmatch(r"[a-z2-7]{4}(-[a-z2-7]{4}){3}", code) for code in codes)
    assert other.go("/mail/inbox").path == "/login"  # other sign-ins ended
    an.go("/settings/devices")
    assert "Còn 10 mã khôi phục" in an.text("main")
    assert secret not in an.answer.text
    assert an.go("/settings/second-factor").path == "/settings/devices"


def test_signing_in_takes_a_code_after_the_password(an: Browser, site: Site) -> None:
    secret, _ = enrol(site, an)
    browser = site.browser().sign_in()
    assert "mailgov-session" not in browser.client.cookies
    assert browser.go("/mail/inbox").path == "/login"
    browser.sign_in()
    browser.submit("main form button", {"code": "abc"})
    assert (browser.status, "Mã không đúng" in browser.text("#problem")) == (401, True)
    browser.submit("main form button", {"code": code_of(site, secret)})
    assert browser.path == "/mail/inbox"
    results = [event.data["success"] for event in site.events("sign-in")]
    assert results == [False, True]


def test_a_code_is_good_once_and_the_ones_beside_it_for_clocks_that_differ(
    an: Browser, site: Site
) -> None:
    secret, _ = enrol(site, an)
    now = code_of(site, secret)
    assert sign_in(site, now).path == "/mail/inbox"
    assert sign_in(site, now).status == 401  # replayed
    assert sign_in(site, code_of(site, secret, -1)).status == 401  # older than one taken
    assert sign_in(site, code_of(site, secret, 2)).status == 401
    assert sign_in(site, code_of(site, secret, 1)).path == "/mail/inbox"
    site.clock.pass_(minutes=5)
    assert sign_in(site, code_of(site, secret, -2)).status == 401
    assert sign_in(site, code_of(site, secret, -1)).path == "/mail/inbox"


def test_a_recovery_code_is_good_once(an: Browser, site: Site) -> None:
    _, codes = enrol(site, an)
    assert sign_in(site, codes[3].upper()).path == "/mail/inbox"
    assert sign_in(site, codes[3]).status == 401
    assert "Còn 9 mã" in site.signed_in().go("/settings/devices").text("main")


def test_new_recovery_codes_take_a_code_and_void_the_old(an: Browser, site: Site) -> None:
    secret, codes = enrol(site, an)
    an.go("/settings/devices").submit("form[action$='/codes'] button", {"code": "000000"})
    assert an.status == 403
    an.go("/settings/devices").submit(
        "form[action$='/codes'] button", {"code": code_of(site, secret)}
    )
    renewed = [one.text_content() for one in an.all("section.notice code.secret")]
    assert len(renewed) == 10
    assert sign_in(site, codes[0]).status == 401
    assert sign_in(site, renewed[0]).path == "/mail/inbox"


def test_guessing_codes_is_held(an: Browser, site: Site) -> None:
    secret, _ = enrol(site, an)
    browser = site.browser().sign_in()
    for _ in range(10):
        assert browser.submit("main form button", {"code": "000000"}).status == 401
    assert browser.submit("main form button", {"code": code_of(site, secret)}).status == 429


def test_the_step_between_ends_after_five_minutes(an: Browser, site: Site) -> None:
    secret, _ = enrol(site, an)
    browser = site.browser().sign_in()
    site.clock.pass_(minutes=5, seconds=1)
    browser.submit("main form button", {"code": code_of(site, secret)})
    assert browser.status == 401
    assert "hết hạn" in browser.text("#problem")


@pytest.mark.parametrize("step", ["", "a.b.c", "a.9999999999.annv@sonoivu.tinhmau.test"])
def test_a_made_up_step_opens_nothing(an: Browser, site: Site, step: str) -> None:
    secret, _ = enrol(site, an)
    browser = site.browser()
    browser.go("/login")
    browser.post("/login/code", {"step": step, "code": code_of(site, secret)})
    assert (browser.status, "mailgov-session" in browser.client.cookies) == (401, False)


def test_a_recalled_mailbox_gets_no_further_than_the_first_step(an: Browser, site: Site) -> None:
    secret, _ = enrol(site, an)
    browser = site.browser().sign_in()
    with site.services.database.write() as session:
        get_mailbox(session, AN).state = "recalled"
    browser.submit("main form button", {"code": code_of(site, secret)})
    assert browser.status == 401


def test_the_text_that_was_being_written_survives_both_steps(an: Browser, site: Site) -> None:
    secret, _ = enrol(site, an)
    an.write(body="Kính gửi ông", to="ttb@tinhmau.test")
    site.clock.pass_(minutes=20)
    an.submit(SAVED, {"body": "Kính gửi ông, bản hai"})
    assert an.status == 401
    an.submit("main form button", {"address": AN, "password": PASSWORD})
    an.submit("main form button", {"code": code_of(site, secret)})
    assert an.path.startswith("/compose/")
    assert "bản hai" in an.value("body")


def test_programs_are_asked_by_json(an: Browser, site: Site) -> None:
    secret, _ = enrol(site, an)
    client = site.browser().client
    told = client.post(
        "/login",
        data={"address": AN, "password": PASSWORD},
        headers={"Accept": "application/json"},
    )
    assert (told.status_code, told.json()["error"]) == (401, "second-factor")
    step = told.json()["step"]
    for code, status in (("000000", 401), (code_of(site, secret), 200)):
        told = client.post(
            "/login/code",
            data={"step": step, "code": code},
            headers={"Accept": "application/json"},
        )
        assert told.status_code == status
    assert told.json()["address"] == AN


def test_it_is_turned_off_with_a_code_and_by_it_staff_with_a_reason(
    an: Browser, site: Site
) -> None:
    secret, _ = enrol(site, an)
    off = "button[formaction$='/off']"
    assert an.go("/settings/devices").submit(off, {"code": "1"}).status == 403
    an.go("/settings/devices").submit(off, {"code": code_of(site, secret)})
    assert "Đã tắt xác thực hai bước" in an.text(".notice")
    assert site.browser().sign_in().path == "/mail/inbox"
    enrol(site, an)
    with site.services.database.write() as session:
        reset_second_factor(session, act("mất điện thoại"), AN)
    assert an.go("/mail/inbox").path == "/login"
    assert site.browser().sign_in().path == "/mail/inbox"


def test_roles_may_demand_it_before_anything_else(data_folder: Path) -> None:
    site = make_site(data_folder, sign_in={"second_factor_roles": ["it"]})
    with site.services.database.write() as session:
        grant_role(session, act(), mailbox=AN, role="it")
    browser = site.browser().sign_in()
    for path in ("/mail/inbox", "/settings", "/compose", "/reports"):
        assert browser.go(path).path == "/settings/second-factor"
    told = browser.client.get("/search?q=a", headers={"Accept": "application/json"})
    assert (told.status_code, told.json()) == (403, {"error": "second-factor-first"})
    assert browser.go("/settings/devices").status == 200
    enrol(site, browser)
    assert browser.go("/mail/inbox").path == "/mail/inbox"
    site.close()


def test_a_browser_that_was_here_is_known_again(site: Site) -> None:
    browser = site.browser().sign_in()
    cookie = browser.client.cookies["mailgov-browser"]
    stranger = site.browser()
    for _ in range(10):
        assert stranger.sign_in(AN, "sai").status == 401
    assert stranger.sign_in().status == 429
    browser.submit("form[action='/logout'] button")
    assert browser.sign_in().path == "/mail/inbox"
    assert browser.client.cookies["mailgov-browser"] == cookie


def test_the_key_of_second_factors_is_a_file_for_its_owner_only(an: Browser, site: Site) -> None:
    secret, _ = enrol(site, an)
    file = site.services.config.data.path / "keys" / "second-factor"
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_bytes(bytes(32))  # another machine's
    browser = sign_in(site, code_of(site, secret))
    assert browser.status == 503
