"""Import of the members of groups: the preview first, then the writing, then what was left."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailgov_cli import words
from mailgov_cli.exits import Exit
from mailgov_cli.options import DryRun, Reason, Yes
from mailgov_cli.runtime import Runtime, runtime

if TYPE_CHECKING:
    from mailgov.bulk.columns import Table
    from mailgov.bulk.plan import Planned

_SHOWN = 40  # rows of each kind that the preview spells out
_SIGNS = {"add": "+", "reject": "!"}
FIELDS = ("number", "verb", "group", "member", "code", "text")


def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help=".xlsx, .xls, .ods, .csv or .tsv", metavar="FILE")],
    sheet: Annotated[str, typer.Option("--sheet", help="sheet to read; default: the first")] = "",
    rejects: Annotated[
        Path | None,
        typer.Option("--rejects", help="workbook for the rows not written; default: FILE.loi.xlsx"),
    ] = None,
    reason: Reason = "",
    yes: Yes = False,
    dry_run: DryRun = False,
) -> Exit:
    """Put members into groups by a list: first what would change, then, if agreed, so it is."""
    from mailgov.bulk import memberships
    from mailgov.bulk.workbooks import write_rejects

    run = runtime(ctx)
    table = memberships.prepare(file, sheet=sheet)
    planned = _work(run, table, reason, keep=False)
    left_out = [row for row in planned if row.verb == "reject"]
    _show(run, planned)
    if left_out:
        target = rejects or file.with_suffix(".loi.xlsx")
        write_rejects(target, table, left_out, run.language)
        run.say("import-rejects", file=target)
    added = sum(row.verb == "add" for row in planned)
    if dry_run or not added:
        _emit(run, planned)
        run.say("import-nothing-written" if added else "import-nothing", count=added)
        return Exit.DONE if dry_run or not left_out else Exit.PARTLY
    if not yes:
        run.ask("sure-import", count=added)
    planned = _work(run, table, reason, keep=True)
    _emit(run, planned)
    counts = _counts(planned)
    run.say("group-import-done", **counts)
    return Exit.PARTLY if counts["reject"] else Exit.DONE


def _work(run: Runtime, table: "Table", reason: str, *, keep: bool) -> "list[Planned]":
    """Every row in the order of the file. A preview sees the groups before it, and keeps nothing."""
    from mailgov.bulk import memberships

    act, most = run.act(reason), run.config.limits.group_recipients
    planned: list[Planned] = []
    if keep:
        for rows in memberships.by_group(table):
            with run.change(dry_run=False) as session:
                planned += memberships.write_group(session, act, rows, most)
    else:
        with run.change(dry_run=True) as session:
            for rows in memberships.by_group(table):
                planned += memberships.write_group(session, act, rows, most)
    return sorted(planned, key=lambda row: row.number)


def _counts(planned: "Sequence[Planned]") -> dict[str, int]:
    return {verb: sum(row.verb == verb for row in planned) for verb in ("add", "same", "reject")}


def _show(run: Runtime, planned: "Sequence[Planned]") -> None:
    """The preview for people: counts, then what is new and what is wrong."""
    if run.as_json:
        return
    run.say("group-import-counts", **_counts(planned))
    for verb, sign in _SIGNS.items():
        rows = [row for row in planned if row.verb == verb]
        for row in rows[:_SHOWN]:
            run.emit_text(_line(run, sign, row) + "\n")
        if len(rows) > _SHOWN:
            run.say("import-more", sign=sign, count=len(rows) - _SHOWN)


def _line(run: Runtime, sign: str, row: "Planned") -> str:
    from mailgov_cli.output import one_line

    where = words.say(run.language, "say", "import-row", number=row.number)
    line = f"{sign} {where}  {one_line(row.key) or '—'}  {one_line(row.name) or '—'}"
    if row.problems:
        text, mend = words.tell(row.problems[0].error, run.language)
        line += f"  {one_line(text)}. {one_line(mend)}"
    return line


def _emit(run: Runtime, planned: "Sequence[Planned]") -> None:
    """Every row for programs."""
    if run.as_json:
        run.emit("group.import/1", [_record(run, row) for row in planned], FIELDS)


def _record(run: Runtime, row: "Planned") -> dict[str, Any]:
    error = row.problems[0].error if row.problems else None
    return {
        "number": row.number,
        "verb": row.verb,
        "group": row.key,
        "member": row.name,
        "code": error.code if error else "",
        "text": words.tell(error, run.language)[0] if error else "",
    }
