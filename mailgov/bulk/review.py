"""The plan of a reconciliation as a workbook: each difference a line, with a decision to keep or change.

What a line is about stands in a hidden column, with the values it was compared with: a line whose person
has changed since is not carried out.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from mailgov.bulk import encodings
from mailgov.bulk.columns import Field, find_columns, simple
from mailgov.bulk.comparing import KINDS, Decision, Finding
from mailgov.bulk.sheets import read_sheet
from mailgov.bulk.workbooks import open_book
from mailgov.errors import InputError
from mailgov.texts import Language, tell, words

FIELDS = (
    Field("decision", ("Quyết định", "Decision"), required=True),
    Field("kind", ("Loại", "Kind")),
    Field("staff_no", ("Số hiệu", "Staff number")),
    Field("name", ("Họ và tên", "Name")),
    Field("agency_code", ("Mã cơ quan", "Agency code")),
    Field("address", ("Địa chỉ thư", "Address")),
    Field("changes", ("Thay đổi", "Changes")),
    Field("confidence", ("Độ chắc chắn", "Confidence")),
    Field("problem", ("Vấn đề", "Problem")),
    Field("number", ("Dòng", "Row")),
    Field("data", ("Dữ liệu", "Data"), required=True),
)
CHOICES: Mapping[str, tuple[Decision, ...]] = {
    "missing": ("do", "skip", "look"),
    "changed": ("do", "skip", "look"),
    "renamed": ("do", "skip", "look"),
    "renumbered": ("do", "skip", "look"),
    "moved": ("do", "skip", "look"),
    "left": ("recall", "suspend", "skip", "look"),
    "duplicate": ("skip", "look"),
    "doubtful": ("skip", "look"),
    "wrong": ("skip", "look"),
}
"""What may be decided about each kind of difference."""

_WIDTHS = {"name": 26, "address": 34, "changes": 48, "problem": 48, "decision": 14}


@dataclass(frozen=True, slots=True)
class Decided:
    """A line of the plan, as it came back."""

    line: int  # of the workbook
    decision: Decision
    kind: str
    staff_no: str
    name: str
    agency_code: str
    address: str
    changes: Mapping[str, tuple[str, str]]
    person_id: int | None
    mailbox_id: int | None
    row: Mapping[str, Any] | None  # of the list, where somebody is missing


def write_review(file: Path, findings: Sequence[Finding], language: Language) -> None:
    """The plan, to be looked through. Raises InputError `file-unwritable`."""
    with open_book(file) as book:
        sheet = book.add_worksheet(words(language, "reconcile.sheet"))
        bold = book.add_format({"bold": True, "bg_color": "#E8EEF7", "border": 1})
        wrap = book.add_format({"text_wrap": True, "valign": "top"})
        look = book.add_format({"bg_color": "#FFF3E0"})
        for column, field in enumerate(FIELDS):
            sheet.write_string(0, column, field.headings[0 if language == "vi" else 1], bold)
            sheet.set_column(column, column, _WIDTHS.get(field.name, 14), wrap)
        sheet.set_column(len(FIELDS) - 1, len(FIELDS) - 1, 4, None, {"hidden": True})
        for line, finding in enumerate(findings, 1):
            cells = _cells(finding, language)
            for column, field in enumerate(FIELDS):
                shade = look if field.name == "decision" and finding.decision == "look" else None
                sheet.write_string(line, column, cells[field.name], shade)
            choices = [decision_word(one, language) for one in CHOICES[finding.kind]]
            sheet.data_validation(line, 0, line, 0, {"validate": "list", "source": choices})
        sheet.freeze_panes(1, 1)
        sheet.autofilter(0, 0, max(1, len(findings)), len(FIELDS) - 2)


def decision_word(decision: str, language: Language) -> str:
    """A decision as people read it."""
    return words(language, f"reconcile.{decision}")


def kind_word(kind: str, language: Language) -> str:
    """A kind of difference as people read it."""
    return words(language, f"reconcile.{kind}")


def _cells(finding: Finding, language: Language) -> dict[str, str]:
    problem = "\n".join(tell(finding.error, language)) if finding.error else ""
    changes = (f"{old or '—'} → {new or '—'}" for old, new in finding.changes.values())
    return {
        "decision": decision_word(finding.decision, language),
        "kind": kind_word(finding.kind, language),
        "staff_no": finding.staff_no,
        "name": finding.name,
        "agency_code": finding.agency_code,
        "address": finding.address,
        "changes": "; ".join(changes),
        "confidence": f"{finding.confidence} %",
        "problem": problem,
        "number": str(finding.number or ""),
        "data": json.dumps(_data(finding), ensure_ascii=False),
    }


def _data(finding: Finding) -> dict[str, Any]:
    row = finding.row
    return {
        "kind": finding.kind,
        "staff_no": finding.staff_no,
        "name": finding.name,
        "agency_code": finding.agency_code,
        "address": finding.address,
        "changes": {name: list(pair) for name, pair in finding.changes.items()},
        "person": finding.person_id,
        "mailbox": finding.mailbox_id,
        "row": None
        if row is None or finding.kind != "missing"
        else {
            "title": row.title,
            "group": row.group,
            "phone": row.phone,
            "address": row.address,
            "quota_mb": row.quota_mb,
            "effective_on": row.effective_on.isoformat() if row.effective_on else "",
        },
    }


def read_review(file: Path) -> list[Decided]:
    """The plan as it came back.

    Raises InputError `reconcile-decision`, `reconcile-line`, and what reading a sheet raises.
    """
    settled = encodings.settle(file.name, read_sheet(file), convert=False)
    table = find_columns(file.name, settled.sheet, FIELDS)
    return [_decided(row.number, table.values(row)) for row in table.rows]


def _decided(line: int, cells: Mapping[str, str]) -> Decided:
    try:
        data = json.loads(cells["data"])
        kind = data["kind"]
        if kind not in KINDS:
            raise ValueError(kind)
        decided = Decided(
            line,
            _decision(line, cells["decision"], kind),
            kind,
            str(data["staff_no"]),
            str(data["name"]),
            str(data["agency_code"]),
            str(data["address"]),
            {name: (str(old), str(new)) for name, (old, new) in data["changes"].items()},
            data["person"],
            data["mailbox"],
            data["row"],
        )
    except (ValueError, KeyError, TypeError) as exc:
        raise InputError("reconcile-line", line=line) from exc
    return decided


def _decision(line: int, text: str, kind: str) -> Decision:
    every: tuple[Decision, ...] = get_args(Decision)
    for decision in every:
        spellings = {decision, *(simple(decision_word(decision, lang)) for lang in ("vi", "en"))}
        if simple(text) in spellings and decision in CHOICES[kind]:
            return decision
    known = ", ".join(decision_word(one, "vi") for one in CHOICES[kind])
    raise InputError("reconcile-decision", line=line, value=text[:30], known=known)
