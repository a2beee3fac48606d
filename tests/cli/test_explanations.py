"""The terminal tells of every rule what all faces tell: what, where, why, on which law, how to mend."""

from dataclasses import replace
from datetime import timedelta

import pytest

from mailgov.addresses import Address
from mailgov.clock import utc_now
from mailgov.db import Database
from mailgov.texts import LANGUAGES, Language
from mailgov.texts.explanation import Explanation, of_rule, of_stored
from mailgov_cli.explaining import explanations
from mailgov_policies import Action, Verdict

from ..mailgov.queue.samples import accept, message
from ..support.directory import AN
from ..support.explanations import explanation, findings, missing, steps
from .conftest import Run

languages = pytest.mark.parametrize("language", LANGUAGES)


def everything(told: Explanation) -> list[str]:
    return [told.title, told.code, told.where, told.why, told.basis, *steps(told)]


@languages
def test_policy_check(language: Language) -> None:
    for finding in findings():
        told = explanation(finding, language)
        lines = explanations([(told, finding.action.label)], language)
        assert missing("\n".join(lines), *everything(told)) == [], finding.code


@languages
@pytest.mark.usefixtures("folder")
def test_policy_explain(run: Run, language: Language) -> None:
    for finding in findings():
        shown = run("policy", "explain", finding.code, "--format", "table", "--lang", language)
        told = of_rule(language, finding.code)
        parts = (told.title, told.code, told.basis, told.help, *steps(told))
        assert missing(shown.stdout, *parts) == [], finding.code


@pytest.fixture
def held(database: Database) -> str:
    """A message in which every rule found something."""
    found = tuple(replace(finding, action=Action.HOLD) for finding in findings())
    verdict = Verdict(Action.HOLD, found[0].code, found, (), "default/1")
    new = message("binh@example.vn", sender=AN, held=True, at=utc_now() - timedelta(hours=1))
    login = Address.parse(AN)
    new = replace(new, verdict=verdict, envelope=replace(new.envelope, login=login))
    accept(database, new)
    return new.queue_id


@languages
@pytest.mark.parametrize("command", [("quarantine", "show"), ("trace",)])
def test_what_is_held(run: Run, held: str, command: tuple[str, ...], language: Language) -> None:
    shown = run(*command, held, "--format", "table", "--lang", language).stdout
    for finding in findings():
        told = of_stored(
            language,
            {"code": finding.code, "where": finding.where, "evidence": finding.evidence,
             "basis": finding.basis},
            discreet=True,
        )  # fmt: skip
        assert missing(shown, *everything(told)) == [], finding.code
        open_told = explanation(finding, language)
        assert (told.title, told.basis, told.steps) == (
            open_told.title, open_told.basis, open_told.steps,
        )  # fmt: skip
        for name in ("file", "as_read", "signer"):
            words = finding.evidence.get(name, "")
            assert len(words) < 5 or words not in shown, (finding.code, name)
