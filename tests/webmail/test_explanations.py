"""The webmail, the help page, the refusal and the letter tell of every rule what all faces tell."""

from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes, policy
from typing import Any, cast

import lxml.html
import pytest
from sqlmodel import col, select

from mailgov.addresses import Address
from mailgov.config import Config
from mailgov.db.models import MessageRow, RecipientRow
from mailgov.gate.outcome import Judgement
from mailgov.holding.telling import tell_held
from mailgov.relay import replies
from mailgov.texts import LANGUAGES, Language, without_marks
from mailgov.texts.explanation import Explanation, of_rule
from mailgov_policies import Action, Content, Envelope, Facts, Verdict
from mailgov_webmail.compose.drafts import Draft, new_draft_id
from mailgov_webmail.compose.findings import summary
from mailgov_webmail.compose.letter import Letter
from mailgov_webmail.visit import Visit
from mailgov_webmail.words import Words
from tests.support.explanations import explanation, findings, missing, plain, steps
from tests.support.relay import FakeOutcome
from tests.support.webmail import AN, NOW, Browser, Site, letter

from ..mailgov.queue.samples import accept, message

HELP = Config().help_base
NO_FACTS = Facts(
    Envelope(direction="submission", mail_from=AN, recipients=()), Content(size_bytes=1)
)
languages = pytest.mark.parametrize("language", LANGUAGES)


def text_of(html: str) -> str:
    return " ".join(lxml.html.fromstring(html).itertext())


def spoken(browser: Browser, language: Language) -> Browser:
    browser.client.cookies.set("mailgov-language", language, domain="localhost.local", path="/")
    return browser


def told_there(told: Explanation) -> list[str]:
    """On a page of mail: everything, the steps for the webmail, the others a link away."""
    return [told.title, told.where, told.why, told.basis, *told.steps["webmail"], told.code]


@pytest.fixture
def held(site: Site) -> str:
    """A message of An's in which every rule found something."""
    found = tuple(replace(finding, action=Action.HOLD) for finding in findings())
    verdict = Verdict(Action.HOLD, found[0].code, found, (), "default/1")
    new = message("binh@example.vn", sender=AN, held=True, at=NOW - timedelta(hours=1))
    login = Address.parse(AN)
    new = replace(new, verdict=verdict, envelope=replace(new.envelope, login=login))
    accept(site.services.database, new)
    return new.queue_id


@languages
def test_help_pages(an: Browser, language: Language) -> None:
    spoken(an, language)
    for finding in findings():
        an.go(f"/help/rules/{finding.code}")
        told = of_rule(language, finding.code, finding.basis)
        parts = (told.title, told.code, told.help, told.basis, *steps(told))
        assert missing(an.text(), *parts) == [], finding.code


@languages
def test_held_mail(an: Browser, held: str, language: Language) -> None:
    spoken(an, language).go("/quarantine")
    links = {link.get("href") for link in an.all(".mending a")}
    for finding in findings():
        told = explanation(finding, language)
        assert missing(an.text(), *told_there(told)) == [], finding.code
        assert f"/help/rules/{finding.code}" in links
    assert len(an.all("form[action='/wrong']")) == len(findings())


@languages
def test_a_marked_message(an: Browser, site: Site, held: str, language: Language) -> None:
    hostname = site.services.config.site.hostname
    marked = letter(
        header={
            "Received": f"from a by {hostname} with ESMTPSA id {held}; Sat, 21 Nov 2026 08:00:00 +0700",
            "X-Mailgov-Policy": f"action=tag; reason={findings()[0].code}",
        }
    )
    uid = site.mail.put(marked)
    spoken(an, language).go(f"/mail/inbox/{site.mail.validity}.{uid}")
    for finding in findings():
        told = explanation(finding, language)
        assert missing(an.text(), *told_there(told)) == [], finding.code


@languages
def test_the_writing_page(site: Site, language: Language) -> None:
    visit = Visit(cast(Any, None), site.app.state.parts, Words(language, NOW))
    draft = Draft(new_draft_id(), Letter())
    for finding in findings():
        judgement = Judgement(
            NO_FACTS,
            Verdict(Action.REJECT, finding.code, (replace(finding, action=Action.REJECT),), (), ""),
        )
        html = visit.parts.templates.render(
            "findings.html",
            visit,
            summary=summary(judgement, draft, visit.words),
            trouble=None,
            draft=draft,
            refused=False,
        )
        told = explanation(finding, language)
        assert missing(text_of(html), *told_there(told)) == [], finding.code
        assert f"/help/rules/{finding.code}" in html
        assert f"/compose/{draft.id}/wrong" in html


def test_the_refusal() -> None:
    for finding in findings():
        verdict = Verdict(
            Action.REJECT, finding.code, (replace(finding, action=Action.REJECT),), (), ""
        )
        wire = replies.outcome_reply(FakeOutcome("q7", verdict), HELP).encode().decode()
        said = " ".join(
            line[4:].removeprefix(line[4:].split(" ")[0]).strip() for line in wire.split("\r\n")
        )
        for language in LANGUAGES:
            told = explanation(finding, language)
            why = without_marks(told.why.rstrip(". "))
            assert missing(said, without_marks(told.basis)) == [], finding.code
            if len(told.why) < 200:  # what a client wrote is cut in a reply
                assert missing(said, why) == [], finding.code
        assert said.rstrip().endswith(f"{HELP}/help/rules/{finding.code}")


def test_the_letter_to_the_sender(site: Site) -> None:
    found = tuple(replace(finding, action=Action.HOLD) for finding in findings())
    new = message("binh@example.vn", sender=AN, held=True, at=NOW)
    verdict = Verdict(Action.HOLD, found[0].code, found, (), "default/1")
    login = Address.parse(AN)
    new = replace(new, verdict=verdict, envelope=replace(new.envelope, login=login))
    with site.services.database.write() as session:
        tell_held(session, Config(), new, [finding.code for finding in found], "Báo cáo")
    with site.services.database.read() as session:
        content = session.exec(
            select(MessageRow.content)
            .join(RecipientRow, col(RecipientRow.message_id) == col(MessageRow.id))
            .where(RecipientRow.address == AN)
        ).one()
    mail = message_from_bytes(content or b"", policy=policy.default)
    text = plain(mail.get_content())
    for finding in findings():
        for language in LANGUAGES:
            told = explanation(finding, language)
            parts = (told.title.rstrip("."), told.where, told.basis, told.link(HELP))
            assert missing(text, *parts) == [], finding.code
            if len(told.why) < 200:
                assert missing(text, told.why) == [], finding.code
