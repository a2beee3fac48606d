"""In a real browser: the invitation is written, sent and read; the old file is told before sending."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from ..support.chromium import chromium
from ..support.platform import Platform

pytestmark = [pytest.mark.chromium, pytest.mark.corpus]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(locale="vi-VN")
    yield context.new_page()
    context.close()


def sign_in(page: Page, platform: Platform, login: dict[str, str]) -> None:
    host, port = platform.address("web")
    page.goto(f"http://{host}:{port}/login")
    page.fill("[name=address]", login["address"])
    page.fill("[name=password]", login["password"])
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Hộp thư đến")).to_be_visible()


def compose(page: Page, to: str, subject: str, file: Path) -> None:
    page.get_by_role("link", name="Soạn thư").first.click()
    page.fill("#to", to)
    page.fill("#subject", subject)
    page.fill("#body", "Kính gửi Sở Tài chính,\n\nXem tệp kèm theo. Trân trọng.\n")
    page.set_input_files("#upload", str(file))
    expect(page.locator("#files")).to_contain_text(file.name)


def test_an_invitation_goes_from_browser_to_browser(
    platform: Platform, browser: Browser, page: Page, corpus: Path
) -> None:
    official, colleague = platform.login("official"), platform.login("official", 1)
    document = corpus / "documents/decree-30-2020/Phuluc4.docx"
    sign_in(page, platform, official)
    compose(page, colleague["address"], "Giấy mời họp (trình duyệt)", document)
    page.select_option("#document", label="Giấy mời (GM)")
    page.fill("#symbol", "15/GM-SNV")
    page.click("#send")
    page.wait_for_url("**/mail/**")
    page.goto(page.url.partition("/mail")[0] + "/mail/sent")
    expect(page.get_by_role("link", name="Giấy mời họp (trình duyệt)")).to_be_visible()

    context = browser.new_context(locale="vi-VN")
    other = context.new_page()
    sign_in(other, platform, colleague)
    other.get_by_role("link", name="Giấy mời họp (trình duyệt)").click()
    expect(other.get_by_role("heading", name="Giấy mời họp (trình duyệt)")).to_be_visible()
    with other.expect_download() as download:
        other.get_by_role("link", name=document.name).first.click()
    assert Path(download.value.path()).read_bytes() == document.read_bytes()
    context.close()
    rows = platform.json("report", "run", "documents", "--by", "category")[0]["rows"]
    assert any(row["key"] == "invitation" and row["numbered"] >= 1 for row in rows)


def test_a_file_in_a_private_encoding_is_told_before_it_is_sent(
    platform: Platform, page: Page, corpus: Path
) -> None:
    official, colleague = platform.login("official"), platform.login("official", 1)
    sign_in(page, platform, official)
    document = corpus / "documents/legacy-tcvn3/2005-QDSUA522.doc"
    compose(page, colleague["address"], "Quyết định (trình duyệt)", document)
    finding = page.locator("#findings .finding").filter(has_text="legacy-encoding")
    expect(finding.first).to_contain_text("TCVN3")
    expect(finding.first).to_contain_text("Chặn")
    page.click("#send")
    expect(page.locator("#summary")).to_be_focused()
    assert page.title().startswith("Lỗi:")
    expect(page.locator("#files")).to_contain_text(document.name)


def test_the_auditor_reads_the_report_in_the_browser(platform: Platform, page: Page) -> None:
    sign_in(page, platform, platform.login("auditor"))
    page.get_by_role("link", name="Báo cáo").first.click()
    page.get_by_role("link", name="Tỷ lệ được cấp hộp thư").click()
    expect(page.get_by_role("heading", name="Định nghĩa")).to_be_visible()
    expect(page.locator("ol.bars")).to_be_visible()
    expect(page.get_by_role("rowheader", name="Sở Nội vụ")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Tải CSV").click()
    assert Path(download.value.path()).read_bytes().startswith(b"\xef\xbb\xbf")


def test_an_official_without_a_role_sees_the_own_unit_only(platform: Platform, page: Page) -> None:
    sign_in(page, platform, platform.login("official"))
    base = page.url.partition("/mail")[0]
    reply = page.goto(f"{base}/reports/coverage?agency=H99.04")
    assert reply is not None
    assert reply.status == 403
    reply = page.goto(f"{base}/reports/coverage")
    assert reply is not None
    assert reply.status == 200
    expect(page.locator("table.figures")).to_contain_text("Sở Nội vụ")
