"""What every answer carries, and what no request gets past."""

import asyncio
import re

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.testclient import TestClient

from mailgov.errors import Unavailable
from mailgov_webmail.security import PAGE_POLICY, capped, is_token, masked
from tests.support.webmail import OFFICE, Browser, Site, letter

PAGES = ["/login", "/help", "/mail/inbox", "/compose", "/settings", "/search?q=a", "/nothing-here"]


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_shut_against_foreign_content(an: Browser, path: str) -> None:
    headers = an.go(path).answer.headers
    assert headers["content-security-policy"] == PAGE_POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers


@pytest.mark.parametrize("path", PAGES)
def test_no_page_has_script_or_style_of_its_own_or_anything_from_elsewhere(
    an: Browser, path: str
) -> None:
    an.go(path)
    for element in an.page.iter():
        if not isinstance(element.tag, str):
            continue
        assert not [name for name in element.attrib if name.startswith("on")], element.tag
        assert "style" not in element.attrib
        for name in ("src", "href", "action", "formaction"):
            assert not re.match(r"(?:[a-z]+:)?//", element.get(name, "")), element.get(name)
        if element.tag in ("script", "style"):
            assert not (element.text or "").strip()


def test_the_sign_in_form_says_where_it_comes_from(site: Site) -> None:
    assert site.browser().go("/login").answer.headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize(
    "host", ["evil.test", "localhost.evil.test", "127.0.0.2", "", "a@localhost"]
)
def test_foreign_hosts_are_turned_away(site: Site, host: str) -> None:
    answer = site.browser().client.get("/login", headers={"Host": host})
    assert answer.status_code == 421


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8080", "127.0.0.1:9", "[::1]:8080"])
def test_loopback_hosts_are_ours_without_any_setting(site: Site, host: str) -> None:
    assert site.browser().client.get("/login", headers={"Host": host}).status_code == 200


FOREIGN = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
    {"Origin": "http://evil.test"},
    {"Origin": "http://localhost:81"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_posts_of_other_sites_are_refused_even_with_the_token(
    an: Browser, site: Site, headers: dict[str, str]
) -> None:
    site.mail.put(letter())
    an.form_headers = {}
    an.go("/mail/inbox").submit("button.plain[name=star]", **headers)
    assert an.status == 403
    assert an.title.startswith("Lỗi:")
    assert site.mail.stored["INBOX"][1].flags == set()
    assert an.post("/login", {"address": OFFICE, "password": "x"}, **headers).status == 403
    assert an.post("/language", {"language": "en"}, **headers).status == 403


@pytest.mark.parametrize(
    "token",
    ["", "x", "ăâ", "AAAA", masked("another session's token")],
    ids=["none", "short", "not-ascii", "unmasked", "of-another-session"],
)
def test_posts_without_the_token_are_refused(an: Browser, site: Site, token: str) -> None:
    site.mail.put(letter())
    an.go("/mail/inbox").submit("button.plain[name=star]", {"csrf": token})
    assert an.status == 403
    assert site.mail.stored["INBOX"][1].flags == set()


def test_a_browser_that_hides_the_origin_needs_the_token(an: Browser, site: Site) -> None:
    site.mail.put(letter())
    an.form_headers = {"Origin": "null"}
    assert an.go("/mail/inbox").submit("button.plain[name=star]").status == 200
    assert site.mail.stored["INBOX"][1].flags == {"\\Flagged"}
    hidden = an.post("/login", {"address": OFFICE, "password": "x"}, Origin="null")
    assert hidden.status == 403


def test_the_token_looks_different_each_time_and_means_the_same() -> None:
    shown = {masked("token") for _ in range(20)}
    assert len(shown) == 20
    assert all(is_token(one, "token") for one in shown)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/logout"),
        ("GET", "/mail/actions/x"),
        ("POST", "/mail/inbox"),
        ("GET", "/compose/x/send"),
    ],
)
def test_nothing_changes_by_following_a_link(an: Browser, method: str, path: str) -> None:
    answer = an.client.request(method, path, headers={"Sec-Fetch-Site": "same-origin"})
    assert answer.status_code in (404, 405)
    assert an.go("/mail/inbox").path == "/mail/inbox"


def test_a_form_beyond_its_cap_is_refused_before_it_is_read(an: Browser) -> None:
    an.form_headers["Content-Length"] = "99999999999"
    assert an.post("/mail/actions", {"a": "b"}, **an.form_headers).status == 413
    big = {"csrf": "x", "body": "a" * (2 << 20)}
    assert an.post("/mail/actions", big, **{"Sec-Fetch-Site": "same-origin"}).status == 413


def test_a_body_that_is_longer_than_it_says_is_cut(site: Site) -> None:
    def endless() -> object:
        for _ in range(40):
            yield b"a=" + b"b" * 65_536 + b"&"

    answer = site.browser().client.post(
        "/login",
        content=endless(),  # type: ignore[arg-type]  # an iterator of bytes
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "body",
    [b"", b"--x", b"--x\r\nContent-Disposition: form-data\r\n\r\nx", b"\0" * 1000],
)
def test_forms_that_are_none_are_told_so(an: Browser, body: bytes) -> None:
    answer = an.client.post(
        f"/compose/{'0' * 32}/save",
        content=body,
        headers={
            "Content-Type": "multipart/form-data; boundary=x",
            "Sec-Fetch-Site": "same-origin",
        },
    )
    assert answer.status_code in (400, 403)


@pytest.mark.parametrize(
    "path",
    [
        "/mail/nothing", "/mail/~", "/mail/~%FF", "/mail/inbox/1.1", "/mail/inbox/zzz", "/compose/abc",
        "/mail/inbox/1.1/att/1", "/help/rules/nothing", "/static/x/../app.py", "/static/x/none.css",
    ],
)  # fmt: skip
def test_what_does_not_exist_is_said_in_words(an: Browser, path: str) -> None:
    assert an.go(path).status == 404


def test_a_defect_of_ours_is_a_page_with_a_reference(
    an: Browser, site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    site.mail.trouble = RuntimeError("geheim: mật khẩu")
    client = TestClient(site.app, base_url="http://localhost", raise_server_exceptions=False)
    client.cookies = an.client.cookies
    answer = client.get("/mail/inbox")
    assert answer.status_code == 500
    assert "mật khẩu" not in answer.text
    reference = re.search(r"<code>([0-9a-f]{8})</code>", answer.text)
    assert reference is not None
    assert reference[1] in "".join(capfd.readouterr())


def test_trouble_with_the_database_keeps_the_text(an: Browser, site: Site) -> None:
    an.write(subject="Báo cáo", body="dài lắm")

    async def down(*_: object) -> None:
        raise Unavailable("database-unavailable", reason="x")

    query = site.services.database.query
    object.__setattr__(site.services.database, "query", down)
    an.submit("button[formaction$='/save']", {"body": "dài lắm, viết thêm"})
    assert (an.status, an.title.split()[0]) == (503, "Lỗi:")
    assert "dài lắm, viết thêm" in an.text(".kept pre")
    object.__setattr__(site.services.database, "query", query)
    an.submit("main form button")
    assert an.value("body") == "dài lắm, viết thêm"


async def test_a_sender_that_falls_silent_is_let_go(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailgov_webmail.security.RECEIVE_SECONDS", 0.01)

    async def silence() -> dict[str, object]:
        await asyncio.Event().wait()
        raise AssertionError

    scope = {"type": "http", "method": "POST", "path": "/login", "headers": []}
    with pytest.raises(HTTPException, match="408"):
        await capped(Request(scope, silence), 100).body()
