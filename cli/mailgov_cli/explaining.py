"""A verdict in words: what was found, where, why, on which law, and how it is mended."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mailgov import texts
from mailgov.texts import Language
from mailgov.texts.explanation import PROGRAMS, Explanation, law, of_finding, of_rule
from mailgov_cli import words
from mailgov_cli.output import one_line
from mailgov_policies import RULES_BY_KEY, Action, Document, Finding, Row, Rule

if TYPE_CHECKING:
    from mailgov_cli.checking import Judged


def rule_record(code: str, language: Language, *, for_people: bool) -> dict[str, Any]:
    """What is known of a rule's code; empty when there is none.

    For people the steps stand numbered under each program's name.
    """
    if not texts.entry(language, f"rule.{code}"):
        return {}
    told = of_rule(language, code)
    record: dict[str, Any] = {
        "code": code,
        "id": RULES_BY_KEY[code].id if code in RULES_BY_KEY else "",
        "name": told.title,
        "reason": texts.words(language, f"rule.{code}.reason"),
        "help": told.help,
        "basis": told.basis,
    }
    return _with_steps(record, told, for_people=for_people)


def own_rule_record(
    rule: Rule, rows: Sequence[Row], language: Language, *, for_people: bool
) -> dict[str, Any]:
    """The same of a rule that a ruleset has added; its law is that of its last row."""
    told = of_rule(language, rule.key, rows[-1].basis if rows else "", rule.words)
    record: dict[str, Any] = {
        "code": rule.key,
        "id": "",
        "name": told.title,
        "reason": rule.words[language],
        "help": told.help,
        "basis": told.basis,
        "when": rule.condition,
    }
    return _with_steps(record, told, for_people=for_people)


def _with_steps(record: dict[str, Any], told: Explanation, *, for_people: bool) -> dict[str, Any]:
    if not for_people:
        return {**record, "steps": _plain_steps(told)}
    for program in PROGRAMS:
        steps = enumerate(told.steps[program], start=1)
        record[program] = [f"{number}. {step}" for number, step in steps]
    return record


def explained_record(told: Explanation) -> dict[str, Any]:
    """The parts of an explanation, for programs."""
    return {
        "code": told.code,
        "title": told.title,
        "where": told.where,
        "why": told.why,
        "basis": told.basis,
        "steps": _plain_steps(told),
    }


def _plain_steps(told: Explanation) -> dict[str, list[str]]:
    return {program: list(told.steps[program]) for program in PROGRAMS}


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
    told = [(_told(finding, language), finding.action.label) for finding in verdict.findings]
    yield from explanations(told, language)
    yield f"  {_say(language, 'passed', n=len(verdict.passed))}"


def _told(finding: Finding, language: Language) -> Explanation:
    return of_finding(language, finding.code, finding.where, finding.evidence, finding.basis)


def explanations(told: Iterable[tuple[Explanation, str]], language: Language) -> Iterator[str]:
    """Findings with their actions, numbered: what, where, why, on which law, how to mend it."""
    for number, (one, action) in enumerate(told, start=1):
        word = words.find(language, "value", "action", action) or action
        yield one_line(f"  {number}. {one.title} [{one.code}]" + (f": {word}" if word else ""))
        parts = [("where", one.where), ("why", one.why), ("read", one.read)]
        parts += [("meant", one.meant if one.read else ""), ("basis", one.basis)]
        for key, text in parts:
            if text:
                yield f"     {_say(language, key)}: {one_line(text)}"
        yield f"     {_say(language, 'mend')}:"
        for program in PROGRAMS:
            yield f"       {_say(language, f'in-{program}')}: {numbered(one.steps[program])}"


def sentence(finding: Finding, language: Language) -> str:
    """Why the rule struck."""
    return texts.rule_sentence(language, finding.code, finding.evidence)


def basis(finding: Finding, language: Language) -> str:
    """The law, as every face names it."""
    return law(language, finding.code, finding.basis)


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
