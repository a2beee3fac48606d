"""Signing in and out: one answer to every wrong guess, and limits on time."""

from tests.support.webmail import Site


def test_the_right_password_leads_to_the_inbox(site: Site) -> None:
    browser = site.browser().sign_in()
    assert (browser.status, browser.path) == (200, "/mail/inbox")
    assert browser.text("h1") == "Hộp thư đến"
    assert [event.data["success"] for event in site.events("sign-in")] == [True]
