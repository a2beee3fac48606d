"""Pictures for the README, taken from a running demonstration in Chromium.

Usage: python tools/screenshots.py [FOLDER]   (default docs/screenshots)
Chromium is Debian's; MAILGOV_CHROMIUM names another.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from mailgov.demo.samples import TCVN3_TEXT, docx

CHROMIUM = os.environ.get("MAILGOV_CHROMIUM", "/usr/bin/chromium")
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
]  # fmt: skip
HEIGHT = 860


def main() -> None:
    """Start the demonstration, take every picture, stop it."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data:
        command = [sys.executable, "-m", "mailgov_cli", "demo", "--data", f"{data}/demo"]
        demo = subprocess.Popen(  # noqa: S603 - our own program
            [*command, "--ports", "free", "--ready-json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "MAILGOV_LANG": "vi"},
        )
        try:
            assert demo.stdout is not None
            assert demo.stderr is not None
            ready = json.loads(demo.stdout.readline())
            while "Ctrl+C" not in demo.stderr.readline():
                pass  # the sample messages are being sent
            take(folder, ready)
        finally:
            demo.terminate()
            demo.communicate()


def take(folder: Path, ready: dict[str, object]) -> None:
    """All pictures of one demonstration."""
    url = f"http://{ready['listeners']['web']}"  # type: ignore[index]  # as `--ready-json` gives it
    logins = {login["role"]: login for login in reversed(ready["logins"])}  # type: ignore[call-overload]
    colleague = ready["logins"][1]  # type: ignore[index]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = signed_in(browser, url, colleague)
        page.screenshot(path=folder / "inbox.png")
        page.get_by_role("link", name="Giấy mời họp giao ban quý IV").first.click()
        page.screenshot(path=folder / "message.png")
        phone = signed_in(browser, url, colleague, width=390, dark=True)
        phone.screenshot(path=folder / "inbox-phone-dark.png")
        page = signed_in(browser, url, logins["official"])
        compose(page, url, colleague["address"])
        page.screenshot(path=folder / "compose-findings.png")
        page = signed_in(browser, url, logins["auditor"])
        page.goto(f"{url}/reports")
        page.screenshot(path=folder / "reports.png")
        page.goto(f"{url}/reports/active-use?period=2026-10&agency=H99")
        page.screenshot(path=folder / "report.png")
        browser.close()


def signed_in(
    browser: Browser, url: str, login: dict[str, str], *, width: int = 1280, dark: bool = False
) -> Page:
    """A browser of its own, at the inbox."""
    context = browser.new_context(
        viewport={"width": width, "height": HEIGHT},
        locale="vi-VN",
        color_scheme="dark" if dark else "light",
    )
    page = context.new_page()
    page.goto(f"{url}/login")
    page.fill("[name=address]", login["address"])
    page.fill("[name=password]", login["password"])
    page.keyboard.press("Enter")
    page.wait_for_url("**/mail/inbox*")
    return page


def compose(page: Page, url: str, to: str) -> None:
    """A report typed with an old font, and a file that is one of the permitted kinds."""
    page.goto(f"{url}/compose")
    page.fill("#to", to)
    page.fill("#subject", "Báo cáo tháng 11 về cải cách hành chính")
    page.select_option("#document", label="Báo cáo (BC)")
    page.fill("#symbol", "45/BC-SNV")
    page.fill("#body", TCVN3_TEXT)
    page.set_input_files(
        "#upload",
        {"name": "45-BC-SNV.docx", "mimeType": "application/octet-stream",
         "buffer": docx(["SỞ NỘI VỤ", "Số: 45/BC-SNV", "BÁO CÁO", "Tình hình tháng 11"])},
    )  # fmt: skip
    page.click("#check")
    page.wait_for_selector("#findings .finding")


if __name__ == "__main__":
    main()
