"""Held mail and reports in the webmail, asked by each role for things of another branch and of nobody.

Routes are taken from the table of the application: the other pages show the own mailbox alone.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.routing import Route

from mailgov_webmail.routes import routes

from ..support.webmail import Browser, MemoryMailbox, Site, make_site
from .conftest import HOLDERS, THEIR_HELD

ASKED = ({"id": THEIR_HELD, "agency": "H98.01"}, {"id": "0fffffffffffffffffff", "agency": "H96.01"})
PLACES = {"report": "coverage", "kind": "csv"}
# Between two requests these change whoever asks.
_PASSING = re.compile(r'value="[^"]*"|nonce-[\w+/=-]+|nonce="[^"]*"|\d{2}:\d{2}(?::\d{2})?')
PAGES = [
    (route.path, method)
    for route in routes
    if isinstance(route, Route) and route.path.startswith(("/quarantine", "/reports"))
    for method in sorted(route.methods or ())
    if method != "HEAD"
]


@pytest.fixture(scope="module")
def site(two_branches: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The webmail over both branches."""
    data = tmp_path_factory.mktemp("pages") / "data"
    shutil.copytree(two_branches / "data", data)
    made = make_site(data, sign_in={"second_factor_roles": []})
    made.mailboxes.update({address: MemoryMailbox() for address in HOLDERS.values()})
    yield made
    made.close()


@pytest.mark.parametrize("role", HOLDERS)
def test_no_page_shows_another_branch_nor_that_it_is_there(site: Site, role: str) -> None:
    browser = site.signed_in(HOLDERS[role])
    found = re.search(r'name="csrf" value="([^"]+)"', browser.answer.text)
    assert found
    csrf = found[1]
    leaks: list[tuple[object, ...]] = []
    for path, method in PAGES:
        told = [_asked(browser, path, method, names, csrf) for names in ASKED]
        if re.search(r"(?i)\bkin\b|kin\.(?:test|example)|H98", told[0][1]):
            leaks.append((path, method, "seen", told[0]))
        if told[0] != told[1]:
            leaks.append((path, method, "told apart", told))
    assert not leaks, "\n\n".join(f"LEAK {one}" for one in leaks)


def _asked(
    browser: Browser, path: str, method: str, names: dict[str, str], csrf: str
) -> tuple[int, str]:
    here = re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: _place(found, names), path)
    if method == "GET":
        answer = browser.client.get(here, params={"agency": names["agency"]})
    else:
        answer = browser.client.post(
            here,
            data={"csrf": csrf, "reason": "x", "agency": names["agency"]},
            headers=browser.form_headers,
        )
    text = answer.text
    for name, neutral in (*((one, "…") for one in names.values()),):
        text = text.replace(name, neutral)
    return answer.status_code, _PASSING.sub("", text)


def _place(found: re.Match[str], names: dict[str, str]) -> str:
    return names.get(found[1]) or PLACES[found[1]]


def test_the_security_officer_sees_what_is_held_in_the_own_branch(site: Site) -> None:
    page = site.signed_in(HOLDERS["security-officer"]).go("/quarantine").text()
    assert "annv@sonoivu.tinhmau.test" in page
    assert "kin.test" not in page
