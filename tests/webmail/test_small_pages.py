"""Help, settings, probes, static files."""

import pytest

from mailgov.errors import Unavailable
from mailgov_policies import RULES
from mailgov_webmail.devices import device_name
from mailgov_webmail.mailbox import Quota
from tests.support.webmail import AN, Browser, Site


@pytest.mark.parametrize("language", ["vi", "en"])
def test_every_rule_has_its_help_page_open_to_everybody(site: Site, language: str) -> None:
    browser = site.browser()
    browser.client.cookies.set("mailgov-language", language)
    browser.go("/help")
    listed = {a.get("href") for a in browser.all(".lines a")}
    for rule in RULES:
        assert f"/help/rules/{rule.key}" in listed
        browser.go(f"/help/rules/{rule.key}")
        assert browser.status == 200
        assert rule.key in browser.text("code")
        assert len(browser.all(".ways > div")) == 4


def test_settings_tell_who_one_is_and_how_full(an: Browser, site: Site) -> None:
    site.mail.space = Quota(41 << 20, 100 << 20)
    an.go("/settings")
    assert AN in an.text(".facts")
    assert "Sở Nội vụ (H99.02)" in an.text(".facts")
    assert "Đã dùng 41 MB trong 100 MB (41 %)." in an.text()
    site.mail.space = None
    assert "không đặt hạn mức" in an.go("/settings").text()


def test_other_sign_ins_are_listed_and_ended(an: Browser, site: Site) -> None:
    other = site.signed_in()
    an.go("/settings")
    assert len(an.all(".lines.static li")) == 2
    an.submit("form[action='/settings/devices'] button")
    assert an.text(".notice") == "Đã đăng xuất ở mọi nơi khác."
    assert len(an.all(".lines.static li")) == 1
    assert other.go("/mail/inbox").path == "/login"
    assert an.go("/mail/inbox").path == "/mail/inbox"


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/130.0 Safari/537.36 Edg/130.0", "Edge, Windows"),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/130.0 Mobile Safari/537.36", "Chrome, Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Safari/604.1", "Safari, iPhone"),
        ("curl/8", "curl/8"),
        ("", ""),
    ],
)  # fmt: skip
def test_browsers_have_names_people_know(agent: str, name: str) -> None:
    assert device_name(agent) == name


def test_probes_answer_whoever_asks(site: Site) -> None:
    client = site.browser().client
    assert client.get("/healthz", headers={"Host": "10.0.0.1"}).text == "ok"
    assert client.get("/readyz", headers={"Host": "10.0.0.1"}).status_code == 200

    async def down(_: object) -> None:
        raise Unavailable("database-unavailable", reason="x")

    object.__setattr__(site.services.database, "query", down)
    assert client.get("/readyz").status_code == 503
    assert client.get("/healthz").status_code == 200


def test_static_files_are_kept_for_good_under_their_content(site: Site) -> None:
    browser = site.browser().go("/login")
    href = browser.all("link[rel=stylesheet]")[0].get("href")
    answer = browser.client.get(href)
    assert answer.headers["content-type"].startswith("text/css")
    assert "immutable" in answer.headers["cache-control"]
    old = browser.client.get("/static/000000000000/mail.css")
    assert (old.status_code, old.headers["cache-control"]) == (200, "no-cache")


def test_script_and_style_stay_small(site: Site) -> None:
    client = site.browser().client
    sizes = {
        name: len(file.content) for name, file in site.app.state.parts.templates.static.items()
    }
    assert sizes["mail.js"] < 40 << 10
    answer = client.get("/login", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"


def test_the_start_page_leads_on(site: Site, an: Browser) -> None:
    assert site.browser().go("/").path == "/login"
    assert an.go("/").path == "/mail/inbox"
