"""Held mail in a real browser: told accessibly, decided on with a question first."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser as Chromium

from mailgov.directory.provisioning import grant_role
from tests.support.chromium import chromium, served
from tests.support.directory import act
from tests.support.webmail import AN, Site

from .test_chromium import ACCESSIBLE, opened, sign_in
from .test_quarantine import hold, states

pytestmark = pytest.mark.chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with chromium() as started:
        yield started


@pytest.fixture
def address(site: Site) -> Iterator[str]:
    with site.services.database.write() as session:
        grant_role(session, act(), mailbox=AN, role="security-officer", agency="H99.02")
    with served(site.app) as url:
        yield url


def test_held_mail_is_told_accessibly_and_removed_after_a_question(
    browser: Chromium, site: Site, address: str
) -> None:
    hold(site)
    context, page, complaints = opened(browser, address, viewport={"width": 320, "height": 640})
    sign_in(page)
    page.goto("/quarantine")
    for closed in page.query_selector_all("details.mending, details.wrong"):
        closed.evaluate("one => one.open = true")
    assert page.evaluate(ACCESSIBLE) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    answers = iter((False, True))
    asked: list[str] = []

    def answer(dialog: object) -> None:
        asked.append(dialog.message)  # type: ignore[attr-defined]  # playwright's Dialog
        dialog.accept() if next(answers) else dialog.dismiss()  # type: ignore[attr-defined]  # as above

    page.on("dialog", answer)
    page.fill("[id^=branch-reason]", "mã độc")
    page.click("button[formaction$='/remove']")
    assert states(site) == {"held"}
    page.click("button[formaction$='/remove']")
    page.wait_for_url("**/quarantine?done=removed")
    assert states(site) == {"removed"}
    assert asked == ["Gỡ hẳn thư này? Không thể lấy lại."] * 2
    assert complaints == []
    context.close()
