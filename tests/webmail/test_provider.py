"""Signing in by an identity provider: a real one on loopback, and what it must not get away with."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pyotp
import pytest
from joserfc.jwk import ECKey

from mailgov.directory.provisioning import get_mailbox, second_factor
from tests.support.directory import NOW, act
from tests.support.oidc import CLIENT, SECRET, IdentityProvider
from tests.support.webmail import AN, OFFICE, PASSWORD, Browser, Site, make_site

VERIFIED = {"email": AN, "email_verified": True}


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    """A provider that knows An."""
    made = IdentityProvider(lambda: NOW)
    made.claims |= VERIFIED
    yield made
    made.close()


@pytest.fixture
def provided(
    data_folder: Path, provider: IdentityProvider, tmp_path: Path
) -> Iterator[Callable[..., Site]]:
    """A webmail with that provider, and with settings of the test's."""
    secret = tmp_path / "secret"
    secret.write_text(f"{SECRET}\n")
    made: list[Site] = []

    def make(**settings: Any) -> Site:
        oidc = {
            "issuer": provider.issuer,
            "client_id": CLIENT,
            "client_secret_file": str(secret),
            "name": "Cổng cán bộ",
            **settings,
        }
        made.append(make_site(data_folder, oidc=oidc))
        return made[-1]

    yield make
    for site in made:
        site.close()


def there_and_back(browser: Browser, start: str = "/login/provider") -> Browser:
    """Follow the way to the provider and back again."""
    away = browser.client.get(start, follow_redirects=False)
    assert away.status_code == 303, away.text
    signed_in = httpx2.get(away.headers["Location"], follow_redirects=False)
    back = urlsplit(signed_in.headers["Location"])
    assert back.path == "/login/provider/done"
    return returned(browser, back.query)


def returned(browser: Browser, query: str) -> Browser:
    """Come back with this; where a sign-in leads to is not looked at."""
    answer = browser.client.get(f"/login/provider/done?{query}", follow_redirects=False)
    return browser._show(answer)


def leads_to(browser: Browser) -> str:
    """Where a sign-in that was good leads to."""
    assert browser.status == 303
    assert "mailgov-session" in browser.client.cookies
    return str(browser.answer.headers["Location"])


def test_whoever_has_a_mailbox_comes_in(provided: Callable[..., Site]) -> None:
    site = provided()
    browser = site.browser().go("/login?next=/settings")
    link = browser.page.cssselect('a[href^="/login/provider"]')[0]
    assert link.text_content() == "Đăng nhập bằng Cổng cán bộ"
    there_and_back(browser, link.get("href"))
    assert leads_to(browser) == "/settings"
    (event,) = site.events("sign-in")
    assert (event.mailbox, event.data["success"], event.data["channel"]) == (AN, True, "web")


def test_the_staff_number_may_tell_who_it_is(
    provided: Callable[..., Site], provider: IdentityProvider
) -> None:
    provider.claims = {"sub": "1", "employee_number": "VC-00417"}
    assert leads_to(there_and_back(provided(match="staff-number").browser())) == "/mail/inbox"


@pytest.mark.parametrize(
    "claims",
    [
        {"email": AN},
        {"email": AN, "email_verified": "true"},
        {"email": "ai.do@sonoivu.tinhmau.test", "email_verified": True},
        {"email": OFFICE, "email_verified": True},
        {"email": "x", "email_verified": True},
        {"employee_number": "VC-00417"},
    ],
)
def test_nobody_gets_an_account_by_it(
    provided: Callable[..., Site], provider: IdentityProvider, claims: dict[str, Any]
) -> None:
    provider.claims = {"sub": "1", **claims}
    browser = there_and_back(provided().browser())
    assert browser.status == 403
    assert "không ứng với hộp thư nào" in browser.text("#problem")
    assert "mailgov-session" not in browser.client.cookies


def test_a_recalled_mailbox_stays_closed(provided: Callable[..., Site]) -> None:
    site = provided()
    with site.services.database.write() as session:
        get_mailbox(session, AN).state = "recalled"
    assert there_and_back(site.browser()).status == 403


def _other(provider: IdentityProvider) -> None:
    provider.signed_with = ECKey.generate_key("P-256", {"kid": "one"})


def _says(**claims: Any) -> Callable[[IdentityProvider], None]:
    return lambda provider: setattr(provider, "spoil", lambda said: said.update(claims))


@pytest.mark.parametrize(
    "spoil",
    [
        _other,
        _says(iss="https://khac.test"),
        _says(aud="khac"),
        _says(nonce="khac"),
        _says(exp=int(NOW.timestamp()) - 61),
        _says(sub=None),
    ],
    ids=["key", "issuer", "audience", "nonce", "expired", "subject"],
)
def test_tokens_that_are_not_for_this_sign_in_open_nothing(
    provided: Callable[..., Site],
    provider: IdentityProvider,
    spoil: Callable[[IdentityProvider], None],
) -> None:
    spoil(provider)
    browser = there_and_back(provided().browser())
    assert browser.status == 403
    assert "không xác nhận" in browser.text("#problem")
    assert "mailgov-session" not in browser.client.cookies


def test_an_answer_opens_only_the_browser_that_asked(provided: Callable[..., Site]) -> None:
    site = provided()
    away = site.browser().client.get("/login/provider", follow_redirects=False)
    back = urlsplit(
        httpx2.get(away.headers["Location"], follow_redirects=False).headers["Location"]
    )
    other = site.browser()
    assert returned(other, back.query).status == 403
    other.client.get("/login/provider", follow_redirects=False)
    assert returned(other, back.query).status == 403
    state = parse_qs(back.query)["state"][0]
    assert returned(other, f"code=x&state={state}").status == 403


def test_a_sign_in_under_way_ends(provided: Callable[..., Site]) -> None:
    site = provided()
    browser = site.browser()
    away = browser.client.get("/login/provider", follow_redirects=False)
    back = urlsplit(
        httpx2.get(away.headers["Location"], follow_redirects=False).headers["Location"]
    )
    site.clock.pass_(minutes=10, seconds=1)
    assert returned(browser, back.query).status == 403


@pytest.mark.parametrize(("amr", "status"), [(["pwd"], 200), (["pwd", "mfa"], 303)])
def test_the_second_factor_is_asked_for_unless_the_provider_has_seen_one(
    provided: Callable[..., Site], provider: IdentityProvider, amr: list[str], status: int
) -> None:
    site = provided()
    box = site.services.directory.second_steps.box
    with site.services.database.write() as session:
        secret = second_factor.begin(session, act(), AN, box)
        code = pyotp.TOTP(secret).at(NOW)
        second_factor.confirm(session, act(), AN, code, box)
    provider.claims["amr"] = amr
    browser = there_and_back(site.browser())
    assert browser.status == status
    assert ("mailgov-session" in browser.client.cookies) is (status == 303)
    assert bool(browser.answer.text) is (status == 200)  # the form for the code


def test_a_provider_that_does_not_answer_keeps_nobody_out(
    provided: Callable[..., Site], provider: IdentityProvider
) -> None:
    provider.described = {"issuer": "http://127.0.0.1/khac"}
    site = provided()
    browser = site.browser().go("/login/provider")
    assert browser.status == 503
    form = {"address": AN, "password": PASSWORD}
    assert browser.client.post("/login", data=form, follow_redirects=False).status_code == 303


def test_signing_out_goes_on_to_the_provider(
    provided: Callable[..., Site], provider: IdentityProvider
) -> None:
    browser = provided().browser().go("/login?out=1")
    assert browser.page.cssselect('a[href="/login/provider/out"]')
    away = browser.client.get("/login/provider/out", follow_redirects=False)
    assert away.headers["Location"].startswith(f"{provider.issuer}/end?client_id={CLIENT}&")


def test_without_a_provider_there_is_no_such_page(site: Site) -> None:
    assert site.browser().go("/login/provider").status == 404
    assert not site.browser().go("/login").page.cssselect('a[href^="/login/provider"]')


def test_keys_are_fetched_once(provided: Callable[..., Site], provider: IdentityProvider) -> None:
    site = provided()
    for _ in range(3):
        assert leads_to(there_and_back(site.browser())) == "/mail/inbox"
    assert provider.asked.count("/realm/keys") == 1
    assert provider.asked.count("/realm/.well-known/openid-configuration") == 1
