"""What `mailgov policy` shows of rows and verdicts, for programs and in words."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mailgov import texts
from mailgov_cli import words
from mailgov_cli.explaining import action_word, basis, numbered, sentence
from mailgov_cli.runtime import Runtime
from mailgov_policies import DUTIES, RULES_BY_KEY, Action, Row

if TYPE_CHECKING:
    from mailgov_cli.checking import Judged
    from mailgov_cli.manifest import Wanted


def compared(one: "Judged", wanted: "Wanted", *, met: bool) -> dict[str, Any]:
    """A case of a manifest: what was wanted and what was found."""
    from mailgov_cli.manifest import outcome_of

    return {
        "id": one.case.id,
        "file": one.case.file,
        "wanted": _told((wanted.action, *wanted.also_ok), wanted.reasons, wanted.doc_type),
        "found": _told((outcome_of(one),), one.verdict.labels, _kind(one)),
        "as_wanted": met,
    }


def record(one: "Judged") -> dict[str, Any]:
    """The stable JSON of one message."""
    verdict, content = one.verdict, one.facts.content
    document = content.document
    return {
        "file": one.case.file,
        "action": verdict.action.label,
        "code": verdict.code,
        "findings": [
            {
                "code": finding.code,
                "action": finding.action.label,
                "where": finding.where,
                "evidence": dict(finding.evidence),
            }
            for finding in verdict.findings
        ],
        "document": {}
        if document is None
        else {
            "category": document.category,
            "type": document.type,
            "number": document.number,
            "symbol": document.symbol,
            "notation": document.notation,
            "date": document.date,
            "agency": document.agency,
            "abstract": document.abstract,
            "urgency": document.urgency,
            "due": document.due,
            "place": document.place,
            "words": list(document.words),
            "confidence": document.confidence,
            "declared": content.declared is not None,
        },
        "labels": list(verdict.labels),
    }


def finding_rows(one: "Judged", run: Runtime) -> Iterator[dict[str, Any]]:
    """A line for each finding; a message without any still has one."""
    head = {"file": one.case.file, "action": one.verdict.action.label, "code": one.verdict.code}
    if not one.verdict.findings:
        yield head
    for finding in one.verdict.findings:
        yield {
            **head,
            "finding": finding.code,
            "where": finding.where,
            "sentence": sentence(finding, run.language),
            "basis": basis(finding, run.language),
            "mend": numbered(texts.rule_steps(run.language, finding.code, "webmail")),
        }


def wanted_record(wanted: "Wanted") -> dict[str, Any]:
    """What a case wants, for programs."""
    return {
        "action": wanted.action,
        "also_ok": list(wanted.also_ok),
        "reasons": list(wanted.reasons),
        "doc_type": wanted.doc_type or None,
    }


def _told(actions: Sequence[str], reasons: Sequence[str], kind: str) -> str:
    """`reject|hold legacy-encoding (thong-bao)`."""
    told = [" ".join(("|".join(actions), *reasons))]
    return " ".join([*told, f"({kind})"] if kind else told)


def _kind(one: "Judged") -> str:
    document = one.facts.content.document
    return (document.type or document.category) if document else ""


def row_record(row: Row, run: Runtime) -> dict[str, Any]:
    """A row of a ruleset, for programs."""
    rule = RULES_BY_KEY.get(row.key)
    return {
        "code": row.key,
        "name": texts.rule_title(run.language, row.key),
        "mode": row.mode,
        "action": row.action.label if row.key not in DUTIES else "",
        "cases": {case: action.label for case, action in row.cases.items()},
        "directions": list(row.directions),
        "locked": row.locked,
        "version": rule.version if rule else None,
        "basis": row.basis,
        "ruleset": row.ruleset,
        "settings": dict(row.settings.values),
        "agencies": list(row.agencies),
        "mailbox_kinds": list(row.mailbox_kinds),
        "from": row.begins,
        "until": row.ends,
        "confidence": row.confidence,
    }


def level_in_words(row: Row, run: Runtime) -> str:
    """How grave a row makes its findings, in one line."""

    def told(action: Action) -> str:
        return action_word(action, run.language)

    cases = [f"{case}: {told(action)}" for case, action in row.cases.items()]
    mode = words.find(run.language, "value", "mode", row.mode)
    return f"{row.ruleset}: {mode}, {', '.join([told(row.action), *cases])}"
