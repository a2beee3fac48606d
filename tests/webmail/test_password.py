"""Passwords in the web: changed when one likes, before anything else when they are first or old; activation."""

import itertools
from datetime import timedelta

import pytest
from sqlmodel import select

from mailgov.db.models import Activation, Credential, WebSession
from mailgov.directory.change import Act
from mailgov.directory.provisioning import add_app_password, get_mailbox, set_password
from mailgov.lifecycle.activation import issue
from tests.support.webmail import AN, PASSWORD, Browser, Site

NEW = "Mua he nang 7 chay!"
FORM = "main form button"


def change(browser: Browser, old: str, new: str, again: str = "") -> Browser:
    """Fill in the form."""
    browser.go("/settings/password")
    return browser.submit(FORM, {"password": old, "new": new, "again": again or new})


def given(site: Site, *, must_change: bool) -> None:
    """An administrator sets An's password."""
    with site.services.database.write() as session:
        at = site.clock()
        set_password(session, Act("cli:test", at), AN, PASSWORD, must_change=must_change)


def test_changed_everything_is_signed_out(an: Browser, site: Site) -> None:
    other = site.signed_in()
    change(an, PASSWORD, NEW)
    assert an.path == "/login"
    assert "Đã đặt mật khẩu mới" in an.text("main")
    assert other.go("/mail/inbox").path == "/login"
    assert site.browser().sign_in().status == 401
    assert an.submit(FORM, {"address": AN, "password": NEW}).path == "/mail/inbox"


@pytest.mark.parametrize(
    ("old", "new", "again", "told"),
    [
        ("Sai mat khau 1 roi!", NEW, "", "mật khẩu hiện tại không đúng"),
        (PASSWORD, NEW, "Mua he nang 8 chay!", "không giống nhau"),
        (PASSWORD, PASSWORD, "", "không dùng lại"),
        (PASSWORD, "ngan", "", "ít nhất 14"),
        (PASSWORD, "Nguyen Van An 1 nha!", "", "không được"),
        (PASSWORD, "Matkhau@12345678", "", "quá dễ đoán"),
    ],
)
def test_a_change_that_is_refused_says_why(
    an: Browser, old: str, new: str, again: str, told: str
) -> None:
    change(an, old, new, again)
    assert an.path == "/settings/password"
    assert told.lower() in an.text(".notice.error").lower()
    assert an.go("/mail/inbox").path == "/mail/inbox"


def test_the_last_three_passwords_do_not_come_back(an: Browser) -> None:
    passwords = [PASSWORD, *(f"Mua he nang {n} chay!" for n in range(4))]
    for old, new in itertools.pairwise(passwords):
        change(an, old, new)
        an.submit(FORM, {"address": AN, "password": new})
    change(an, passwords[-1], passwords[2])
    assert "3 mật khẩu gần nhất" in an.text(".notice.error")
    change(an, passwords[-1], PASSWORD)
    assert an.path == "/login"


def test_a_first_password_is_changed_before_anything_else(site: Site) -> None:
    given(site, must_change=True)
    browser = site.browser().sign_in()
    assert browser.path == "/settings/password"
    assert "mật khẩu cấp lần đầu" in browser.text(".notice.warning")
    for path in ("/mail/inbox", "/compose", "/settings", "/settings/second-factor"):
        assert browser.go(path).path == "/settings/password"
    browser.submit(FORM, {"password": PASSWORD, "new": NEW, "again": NEW})
    browser.submit(FORM, {"address": AN, "password": NEW})
    assert browser.path == "/mail/inbox"


def test_whoever_was_recalled_meanwhile_is_out(an: Browser, site: Site) -> None:
    with site.services.database.write() as session:
        get_mailbox(session, AN).state = "recalled"
        # Even where a sign-in was not ended as well.
        for row in session.exec(select(WebSession)):
            row.ended_at = None
            session.add(row)
    assert an.go("/mail/inbox").path == "/login"


class TestActivation:
    """A link, good once."""

    def link(self, site: Site, days: int = 7) -> str:
        with site.services.database.write() as session:
            new = issue(session, Act("cli:test", site.clock()), AN, days)
        return f"/activate/{new.token}"

    def test_the_holder_sets_a_password_once(self, site: Site) -> None:
        with site.services.database.write() as session:
            add_app_password(
                session, Act("cli:test", site.clock()), AN, label="máy", scopes=("imap",), most=9
            )
        path = self.link(site)
        assert site.browser().sign_in().status == 401  # the old password ended with the link
        browser = site.browser().go(path)
        assert AN in browser.text("main")
        assert browser.go(path).status == 200  # to look uses nothing up
        browser.submit(FORM, {"new": NEW, "again": NEW})
        assert browser.path == "/login"
        assert browser.submit(FORM, {"address": AN, "password": NEW}).path == "/mail/inbox"
        again = site.browser().go(path)
        assert again.status == 403
        assert "không còn dùng được" in again.text("main")
        with site.services.database.read() as session:
            rows = session.exec(select(Credential).where(Credential.kind == "app")).all()
        assert all(row.revoked_at for row in rows)

    def test_a_bad_password_leaves_the_link_good(self, site: Site) -> None:
        path = self.link(site)
        browser = site.browser().go(path)
        for new, again in (("ngan", "ngan"), (NEW, f"{NEW}?")):
            browser.go(path).submit(FORM, {"new": new, "again": again})
            assert browser.status == 400
        browser.submit(FORM, {"new": NEW, "again": NEW})
        assert browser.path == "/login"

    def test_a_newer_link_makes_the_older_void(self, site: Site) -> None:
        first, second = self.link(site), self.link(site)
        assert site.browser().go(first).status == 403
        assert site.browser().go(second).status == 200

    def test_a_link_ends(self, site: Site) -> None:
        path = self.link(site, days=2)
        site.clock.pass_(seconds=timedelta(days=2).total_seconds())
        browser = site.browser().go(path)
        assert browser.status == 403

    @pytest.mark.parametrize("token", ["x", "a" * 4000, "%00"])
    def test_no_link_of_ours(self, site: Site, token: str) -> None:
        assert site.browser().go(f"/activate/{token}").status == 403

    def test_only_a_digest_is_kept(self, site: Site) -> None:
        token = self.link(site).rpartition("/")[2]
        with site.services.database.read() as session:
            (row,) = session.exec(select(Activation)).all()
        assert token not in row.token_hash
