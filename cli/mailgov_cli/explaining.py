"""A verdict in words: what was found, where, why, on which law, and how it is mended."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mailgov import texts
from mailgov.texts import Language
from mailgov_cli import words
from mailgov_cli.output import one_line
from mailgov_policies import RULES_BY_KEY, Action, Document, Finding

if TYPE_CHECKING:
    from mailgov_cli.checking import Judged

PROGRAMS = ("webmail", "thunderbird", "outlook", "phone")


def rule_record(code: str, language: Language, *, for_people: bool) -> dict[str, Any]:
    """What is known of a rule's code; empty when there is none.

    For people the steps stand numbered under each program's name.
    """
    entry = texts.entry(language, f"rule.{code}")
    if not entry:
        return {}
    record: dict[str, Any] = {
        "code": code,
        "id": RULES_BY_KEY[code].id if code in RULES_BY_KEY else "",
        "name": entry["title"],
        "reason": texts.words(language, f"rule.{code}.reason"),
        "help": entry["help"],
        "basis": entry["basis"],
    }
    if not for_people:
        return {**record, "steps": {p: list(texts.rule_steps(language, code, p)) for p in PROGRAMS}}
    for program in PROGRAMS:
        steps = texts.rule_steps(language, code, program)
        record[program] = [f"{number}. {step}" for number, step in enumerate(steps, start=1)]
    return record


def explain(judged: "Judged", language: Language) -> str:
    """All that a person wants to know of one message, as lines of text."""
    return "\n".join(_lines(judged, language)) + "\n"


def _lines(judged: "Judged", language: Language) -> Iterator[str]:
    verdict = judged.verdict
    name = judged.case.file if not judged.case.id else f"{judged.case.id} {judged.case.file}"
    action = action_word(verdict.action, language)
    yield one_line(f"{name}: {action}" + (f" [{verdict.code}]" if verdict.code else ""))
    if document := judged.facts.content.document:
        yield f"  {_say(language, 'document')}: {_document(document, language)}"
    for number, finding in enumerate(verdict.findings, start=1):
        yield from _finding(number, finding, language)
    yield f"  {_say(language, 'passed', n=len(verdict.passed))}"


def _finding(number: int, finding: Finding, language: Language) -> Iterator[str]:
    title = texts.rule_title(language, finding.code)
    yield f"  {number}. {title} [{finding.code}]: {action_word(finding.action, language)}"
    place = texts.place(language, finding.where, finding.evidence.get("file", ""))
    yield f"     {_say(language, 'where')}: {one_line(place)}"
    yield f"     {_say(language, 'why')}: {one_line(sentence(finding, language))}"
    if read := finding.evidence.get("as_read"):
        converted = finding.evidence.get("converted", "")
        yield f"     {_say(language, 'read')}: {one_line(read)}"
        yield f"     {_say(language, 'meant')}: {one_line(converted)}"
    yield f"     {_say(language, 'basis')}: {basis(finding, language)}"
    steps = texts.rule_steps(language, finding.code, "webmail")
    yield f"     {_say(language, 'mend')}: {numbered(steps)}"


def sentence(finding: Finding, language: Language) -> str:
    """Why the rule struck."""
    return texts.rule_sentence(language, finding.code, finding.evidence)


def basis(finding: Finding, language: Language) -> str:
    """The law as the ruleset gives it; in other languages the translation of the default one."""
    known = texts.entry(language, f"rule.{finding.code}")
    if (language == "vi" or not known) and finding.basis:
        return finding.basis
    return str(known.get("basis", ""))


def numbered(steps: Sequence[str]) -> str:
    """Steps in one line: `1. … 2. …`."""
    return "  ".join(f"{number}. {step}" for number, step in enumerate(steps, start=1))


def action_word(action: Action, language: Language) -> str:
    """The action as people call it."""
    return words.find(language, "value", "action", action.label) or action.label


def _document(document: Document, language: Language) -> str:
    kind = texts.evidence_in_words(language, {"type": document.type or document.category})["type"]
    parts = (kind, document.notation, document.date, document.agency, document.abstract)
    told = ", ".join(part for part in parts if part)
    return one_line(f"{told} ({texts.place(language, document.place)})" if document.place else told)


def _say(language: Language, key: str, **fields: object) -> str:
    return words.say(language, "verdict", key, **fields)
