"""Setting up mail programs: the page, and what Thunderbird, Outlook and Apple ask for."""

import plistlib
from xml.etree import ElementTree

import pytest

from tests.support.webmail import AN, Browser, Site

NOBODY = "khongco@sonoivu.tinhmau.test"
HOST = "mail.vidu.gov.vn"
QUESTION = """<?xml version="1.0" encoding="utf-8"?>
<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006">
  <Request>
    <EMailAddress>{address}</EMailAddress>
    <AcceptableResponseSchema>http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a</AcceptableResponseSchema>
  </Request>
</Autodiscover>"""


def tags(xml: bytes) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for element in ElementTree.fromstring(xml).iter():
        if element.text and element.text.strip():
            found.setdefault(element.tag.rpartition("}")[2], []).append(element.text)
    return found


@pytest.mark.parametrize("host", [None, "autoconfig.sonoivu.tinhmau.test"])
@pytest.mark.parametrize(
    "path", ["/mail/config-v1.1.xml", "/.well-known/autoconfig/mail/config-v1.1.xml"]
)
def test_thunderbird_is_told_both_servers(site: Site, path: str, host: str | None) -> None:
    headers = {"host": host} if host else {}
    answer = site.browser().client.get(f"{path}?emailaddress={AN}", headers=headers)
    if host and path.startswith("/.well-known"):
        assert answer.status_code == 421  # asked at the domain itself, which is a web site's
        return
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/xml")
    found = tags(answer.content)
    assert found["hostname"] == [HOST, HOST]
    assert found["port"] == ["993", "465"]
    assert found["socketType"] == ["SSL", "SSL"]
    assert found["username"] == ["%EMAILADDRESS%"] * 2


def test_outlook_is_told_both_servers(site: Site) -> None:
    answer = site.browser().client.post(
        "/autodiscover/autodiscover.xml",
        content=QUESTION.format(address=AN).encode(),
        headers={"content-type": "text/xml", "host": "autodiscover.tinhmau.test"},
    )
    assert answer.status_code == 200
    found = tags(answer.content)
    assert found["Type"] == ["IMAP", "SMTP"]
    assert found["Server"] == [HOST, HOST]
    assert found["Port"] == ["993", "465"]
    assert found["LoginName"] == [AN, AN]


@pytest.mark.parametrize(
    "question",
    [
        b"",
        b"<a/>",
        b"not xml",
        QUESTION.format(address="a@b@c").encode(),
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a><EMailAddress>&x;</EMailAddress></a>',
        b"<a>" + b"x" * (65 << 10) + b"</a>",
    ],
)
def test_a_question_that_is_none_is_refused(site: Site, question: bytes) -> None:
    answer = site.browser().client.post("/autodiscover/autodiscover.xml", content=question)
    assert answer.status_code in (400, 413)
    assert b"root:" not in answer.content


def test_apple_gets_a_profile_that_replaces_itself(site: Site) -> None:
    browser = site.browser()
    answers = [browser.client.get(f"/setup/apple.mobileconfig?address={AN}") for _ in range(2)]
    assert answers[0].content == answers[1].content
    assert answers[0].headers["content-type"] == "application/x-apple-aspen-config"
    profile = plistlib.loads(answers[0].content)
    [account] = profile["PayloadContent"]
    assert account["EmailAddress"] == AN
    assert account["IncomingMailServerUseSSL"] is True
    assert account["OutgoingMailServerPortNumber"] == 465
    assert not any(
        "Password" in key and isinstance(account[key], str) and "Auth" not in account[key]
        for key in account
    )


def test_no_answer_tells_whether_an_address_exists(site: Site) -> None:
    """Nothing but the address itself differs, for strangers."""
    client = site.browser().client
    for path in (
        "/setup/apple.mobileconfig?address={}",
        "/mail/config-v1.1.xml?emailaddress={}",
        "/setup?address={}",
    ):
        told = [client.get(path.format(address)) for address in (AN, NOBODY)]
        assert told[0].status_code == told[1].status_code == 200
        assert len(told[0].content) - len(told[1].content) in range(-64, 65)
    told = [
        client.post(
            "/autodiscover/autodiscover.xml", content=QUESTION.format(address=address).encode()
        )
        for address in (AN, NOBODY)
    ]
    assert told[0].text.replace(AN, NOBODY) == told[1].text


@pytest.mark.parametrize(("language", "word"), [("vi", "Thông số"), ("en", "Values")])
def test_the_page_shows_the_values_and_makes_the_profile(
    site: Site, language: str, word: str
) -> None:
    browser = site.browser()
    browser.client.cookies.set("mailgov-language", language)
    browser.go("/setup")
    assert word in browser.text()
    assert HOST in browser.text(".facts")
    assert browser.all("a[href^='/setup/apple']") == []
    browser.go(f"/setup?address={AN}")
    [link] = browser.all("a[href^='/setup/apple']")
    assert browser.client.get(link.get("href")).status_code == 200
    browser.go("/setup?address=an@@b")
    assert browser.status == 422
    assert browser.all("#problem")


def test_whoever_is_signed_in_finds_the_own_address(an: Browser) -> None:
    an.go("/setup")
    assert AN in an.text(".facts")


def test_login_and_help_lead_to_it(site: Site) -> None:
    for path in ("/login", "/help"):
        assert site.browser().go(path).all("a[href='/setup']")
