"""The pages in a real browser: with and without script, by keyboard, on small screens, attacked."""

import re
import tomllib
from collections.abc import Iterator
from importlib.resources import files

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import BrowserContext, Page, Route, expect
from sqlmodel import select

from mailgov.db.models import MessageRow
from mailgov_webmail.mailbox import FLAGGED, Quota
from tests.support.chromium import chromium, served
from tests.support.webmail import AN, OFFICE, PASSWORD, Site, letter
from tests.webmail.test_compose import BODY, UNICODE

pytestmark = pytest.mark.chromium

ACCESSIBLE = files("tests.webmail").joinpath("accessible.js").read_text("utf-8")
HOSTILE = tomllib.loads(files("tests.webmail").joinpath("hostile_html.toml").read_text("utf-8"))
PAGES = [
    "/login?out=1", "/mail/inbox", "/mail/inbox/7.1", "/mail/inbox/7.2", "/mail/junk", "/compose",
    "/search", "/search?q=giao+ban", "/search?q=none", "/search?q=sau:32/13", "/settings", "/settings/absence", "/help",
    "/help/rules/legacy-encoding",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with chromium() as started:
        yield started


@pytest.fixture
def address(site: Site) -> Iterator[str]:
    """Where the webmail with some mail answers."""
    html = '<p>Mời họp.</p><img src="http://t.example/p.gif"><a href="https://x.example">Cổng</a>'
    site.mail.put(letter("Thông báo lịch họp giao ban", "Nội dung.", files={"a.pdf": b"%PDF"}))
    header = {"Mailgov-Document": "type=GM; symbol=12/GM-SNV; urgency=khan; due=2026-11-22"}
    site.mail.put(letter("Giấy mời họp giao ban quý IV", html=html, header=header))
    site.mail.put(letter("Góp ý dự thảo"), "INBOX", FLAGGED)
    site.mail.space = Quota(41 << 20, 100 << 20)
    with served(site.app) as url:
        yield url


def opened(
    browser: Chromium, address: str, **options: object
) -> tuple[BrowserContext, Page, list[str]]:
    """A page, and what its console complains of."""
    context = browser.new_context(base_url=address, locale="vi-VN", **options)  # type: ignore[arg-type]  # playwright's own names
    context.set_default_timeout(10_000)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return context, page, complaints


def sign_in(page: Page) -> None:
    page.goto("/login")
    page.fill("#address", AN)
    page.fill("#password", PASSWORD)
    page.click("main button.primary")
    page.wait_for_url("**/mail/inbox")


def write(page: Page, **fields: str) -> None:
    for name, value in fields.items():
        page.fill(f"#{name}", value)


def messages(site: Site) -> list[MessageRow]:
    with site.services.database.read() as session:
        return list(session.exec(select(MessageRow)))


def test_without_script_a_letter_is_judged_mended_and_sent(
    browser: Chromium, site: Site, address: str
) -> None:
    context, page, complaints = opened(browser, address, java_script_enabled=False)
    sign_in(page)
    page.click("nav .write")
    write(page, to=OFFICE, subject="Báo cáo", body=BODY)
    page.click("#send")
    expect(page.locator("#summary")).to_be_focused()
    assert page.title().startswith("Lỗi:")
    page.click("button[value='unicode:body']")
    expect(page.locator("#body")).to_have_value(f"Kính gửi ông,\n{UNICODE}\nTrân trọng.")
    page.click("#send")
    page.wait_for_url("**/mail/inbox?done=*")
    assert len(messages(site)) == 1
    page.click(".what a >> nth=0")
    expect(page.locator("h1")).to_have_text("Góp ý dự thảo")
    page.click("button[value=archive]")
    page.click("#undo")
    expect(page.locator(".notice")).to_have_text("Đã hoàn tác.")
    assert [said for said in complaints if "422" not in said] == []
    context.close()


def test_with_script_the_letter_is_checked_and_kept_while_it_is_written(
    browser: Chromium, site: Site, address: str
) -> None:
    context, page, complaints = opened(browser, address)
    sign_in(page)
    page.clock.install()
    page.goto("/compose")
    write(page, to=OFFICE, subject="Báo cáo", body=BODY)
    page.clock.run_for(1500)
    expect(page.locator(".finding.block .level")).to_have_text("Chặn")
    expect(page.locator("#check-count")).to_have_text("1 phải sửa")
    page.click(".finding a[data-line]")
    assert page.evaluate("getSelection().toString()").startswith("Em göi")
    page.clock.run_for(3500)
    expect(page.locator("#saved")).to_have_text("Đã lưu nháp 09:00")
    page.fill("#body", "Kính gửi ông,\nEm gửi báo cáo.")
    page.clock.run_for(15_000)
    expect(page.locator(".counts")).to_have_text("không thấy vấn đề gì")
    page.focus("#body")
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/mail/inbox?done=*")
    assert len(messages(site)) == 1
    assert complaints == []
    context.close()


def test_a_letter_sent_while_it_is_being_kept_waits_for_the_keeping(
    browser: Chromium, site: Site, address: str
) -> None:
    context, page, complaints = opened(browser, address)
    sign_in(page)
    page.clock.install()
    page.goto("/compose")
    under_way: list[Route] = []
    page.route("**/save", lambda route: under_way.append(route))
    write(page, to=OFFICE, subject="Báo cáo", body="Em gửi báo cáo.")
    with page.expect_request("**/save"):
        page.clock.run_for(5000)
    page.keyboard.press("Control+Enter")
    page.keyboard.press("Control+Enter")
    assert "/compose/" in page.url
    assert not page.url.endswith("/send")
    under_way[0].continue_()
    page.wait_for_url("**/mail/inbox?done=*")
    assert len(messages(site)) == 1
    assert complaints == []
    context.close()


def test_the_end_of_the_sign_in_and_a_lost_connection_keep_the_page_and_its_text(
    browser: Chromium, site: Site, address: str
) -> None:
    context, page, _ = opened(browser, address)
    sign_in(page)
    page.clock.install()
    page.goto("/compose")
    write(page, to=OFFICE, subject="Báo cáo")
    site.clock.pass_(minutes=20)
    page.fill("#body", "viết khi đã hết phiên")
    page.clock.run_for(5000)
    expect(page.locator("#sign-in")).to_be_visible()
    page.fill("#again-password", "sai")
    page.keyboard.press("Enter")
    expect(page.locator("#sign-in-problem")).to_be_visible()
    page.fill("#again-password", PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#sign-in")).to_be_hidden()
    expect(page.locator("#saved")).to_have_text("Đã lưu nháp 09:20")
    context.set_offline(True)
    page.fill("#body", "viết khi mất mạng")
    page.clock.run_for(5000)
    expect(page.locator("#lost")).to_be_visible()
    context.set_offline(False)
    expect(page.locator("#lost")).to_be_hidden()
    page.clock.run_for(5000)
    expect(page.locator("[name=version]")).not_to_have_value("1")
    page.reload()
    expect(page.locator("#body")).to_have_value("viết khi mất mạng")
    context.close()


def test_files_are_attached_as_they_are_chosen(browser: Chromium, address: str) -> None:
    context, page, complaints = opened(browser, address)
    sign_in(page)
    page.goto("/compose")
    page.fill("#body", "xem tệp")
    page.set_input_files(
        "#upload", {"name": "Báo cáo.txt", "mimeType": "text/plain", "buffer": b"x"}
    )
    expect(page.locator("#files .line-title")).to_have_text("Báo cáo.txt")
    expect(page.locator("#body")).to_have_value("xem tệp")
    assert complaints == []
    context.close()


def test_the_list_is_worked_by_keyboard(browser: Chromium, site: Site, address: str) -> None:
    context, page, complaints = opened(browser, address)
    sign_in(page)
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator(".what a >> nth=1")).to_be_focused()
    page.keyboard.press("x")
    expect(page.locator("[name=message] >> nth=1")).to_be_checked()
    page.keyboard.press("e")
    page.wait_for_url("**done=*")
    assert len(site.mail.stored["Archive"]) == 1
    page.keyboard.press("z")
    page.wait_for_url("**undone=1")
    assert len(site.mail.stored["Archive"]) == 0
    page.keyboard.press("j")
    page.keyboard.press("o")
    page.wait_for_url(re.compile(r"/mail/inbox/7\."))
    page.keyboard.press("u")
    page.wait_for_url("**/mail/inbox")
    page.keyboard.press("/")
    page.keyboard.type("xe giao ban jk#")
    expect(page.locator("#q")).to_have_value("xe giao ban jk#")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?q=*")
    assert complaints == []
    context.close()


# WCAG 2.2, 1.4.12 and 1.4.4: readers may space the text and double its size.
WIDE_TEXT = """() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync("*{line-height:1.5!important;letter-spacing:.12em!important;"
    + "word-spacing:.16em!important}p{margin-bottom:2em!important}html{font-size:200%}");
  document.adoptedStyleSheets = [sheet];
  return document.documentElement.scrollWidth - document.documentElement.clientWidth;
}"""


def faults(page: Page) -> list[str]:
    """What the page must not have, on every size of screen, in light and dark, with wide text."""
    found = []
    for width in (1280, 640, 320):
        page.set_viewport_size({"width": width, "height": 800})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of playwright's words
            found += [f"{width} {scheme}: {fault}" for fault in page.evaluate(ACCESSIBLE)]
    if page.evaluate(WIDE_TEXT) > 0:
        found.append("wide text is cut")
    return found


def test_pages_fit_every_screen_and_can_be_read_and_named(browser: Chromium, address: str) -> None:
    context, page, complaints = opened(browser, address)
    sign_in(page)
    found = {}
    for path in PAGES:
        page.goto(path)
        found[path] = faults(page)
    page.goto("/compose")
    page.select_option("#document", "bao-cao")
    write(page, to=f"{OFFICE}, dở dang", body=BODY, symbol="45/BC-STC")
    page.click("#send")
    page.wait_for_selector("#summary")
    page.wait_for_selector(".finding")
    found["compose, refused"] = faults(page)
    assert {path: one for path, one in found.items() if one} == {}
    assert [said for said in complaints if "422" not in said] == []
    context.close()


def test_the_look_for_faults_finds_them(browser: Chromium, address: str) -> None:
    context, page, _ = opened(browser, address)
    page.goto("/login")
    page.evaluate(
        """() => document.querySelector("main").insertAdjacentHTML("beforeend",
          "<h1>x</h1><h4>x</h4><input><a href='#x'></a><button>x</button><p class='grey'>x</p>"
          + "<div class='wide'>x</div>")"""
    )
    page.evaluate(
        """() => {
          const sheet = new CSSStyleSheet();
          sheet.replaceSync(".grey{color:#999;background:#fff}.wide{width:3000px}"
            + "main button:last-of-type{min-height:0;height:10px;width:10px;padding:0}");
          document.adoptedStyleSheets = [sheet];
        }"""
    )
    found = " ".join(page.evaluate(ACCESSIBLE))
    for fault in ("one h1", "skips a level", "no label", "no name", "leads nowhere", "small target",
                  "contrast 2.8", "too wide"):  # fmt: skip
        assert fault in found
    context.close()


def test_hostile_mail_runs_nothing_and_calls_nobody(
    browser: Chromium, site: Site, address: str
) -> None:
    cases = [case["html"] for case in HOSTILE["case"]]
    together = site.mail.put(letter("Tất cả", html="\n".join(cases)), "Junk")
    alone = [site.mail.put(letter("Thử", html=case), "Junk") for case in cases]
    context, page, complaints = opened(browser, address)
    sign_in(page)
    strangers: list[str] = []
    page.on("dialog", lambda dialog: (strangers.append(dialog.message), dialog.dismiss()))
    context.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((address, "data:image/"))
            else strangers.append(request.url)
        ),
    )
    context.on("page", lambda opened: strangers.append(f"window {opened.url}"))
    page.goto(f"/mail/junk/7.{together:x}")
    # An open element of one case must not shelter the next: each has a frame of its own as well.
    page.evaluate(
        """(paths) => Promise.all(paths.map((path) => new Promise((done) => {
          const frame = document.createElement("iframe");
          frame.onload = done;
          frame.src = path;
          document.body.append(frame);
        })))""",
        [f"/mail/junk/7.{uid:x}/body" for uid in alone],
    )
    assert len(page.frames) == len(cases) + 2
    assert page.url == f"{address}/mail/junk/7.{together:x}"
    expect(page.locator("h1")).to_have_text("Tất cả")
    assert strangers == []
    # Broken picture data is no address that anybody could be called at.
    assert [said for said in complaints if "ERR_INVALID_URL" not in said] == []
    context.close()


def test_a_forged_page_of_another_site_changes_nothing(
    browser: Chromium, site: Site, address: str
) -> None:
    context, page, _ = opened(browser, address)
    sign_in(page)
    forged = (
        f'<form method="post" action="{address}/settings/devices"><button>x</button></form>'
        f'<form method="post" action="{address}/login"><input name="address" value="x"></form>'
    )
    page.route(
        "http://evil.example/", lambda route: route.fulfill(body=forged, content_type="text/html")
    )
    for number in (0, 1):
        page.goto("http://evil.example/")
        with (
            page.expect_response(lambda answer: answer.request.method == "POST") as answered,
            page.expect_navigation(),
        ):
            page.evaluate(f"document.forms[{number}].submit()")
        assert answered.value.status == 403
        page.wait_for_url(f"{address}/**")
    page.goto("/mail/inbox")
    assert page.url.endswith("/mail/inbox")
    context.close()
