"""`mailgov agency template|import|export`: lists of agencies, shown as a diff before they are written."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailgov_cli import words
from mailgov_cli.exits import Exit
from mailgov_cli.options import DryRun, Reason, Yes
from mailgov_cli.output import heading, one_line
from mailgov_cli.runtime import Runtime, runtime

if TYPE_CHECKING:
    from mailgov.bulk.agencies import Rules
    from mailgov.bulk.columns import Table
    from mailgov.bulk.plan import Planned
    from mailgov.db.models import Job

_SHOWN = 40  # rows of each kind that the preview spells out
_SIGNS = {"add": "+", "edit": "~", "reject": "!"}
_VERBS = ("add", "edit", "same", "reject")
FIELDS = ("number", "verb", "key", "name", "changes", "problems")


def template(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="workbook to write", metavar="FILE")] = Path(
        "mau-co-quan.xlsx"
    ),
) -> None:
    """Write an empty list of agencies with notes and drop-down lists, for clerks to fill in."""
    from mailgov.bulk.agencies import CHOICES
    from mailgov.bulk.agencies import FIELDS as COLUMNS
    from mailgov.bulk.workbooks import write_template

    run = runtime(ctx)
    notes = {one.name: words.say(run.language, "agency-note", one.name) for one in COLUMNS}
    write_template(file, notes, COLUMNS, CHOICES)
    run.say("written", target=file)
    run.next(f"mailgov agency import {file} --dry-run")


def export(
    ctx: typer.Context,
    agency: Annotated[str, typer.Option("--agency", help="only this agency and all below it")] = "",
) -> None:
    """Every agency, as a list that an import finds unchanged; -o FILE.xlsx writes a workbook."""
    from mailgov.bulk import agencies, workbooks

    run = runtime(ctx)
    with run.database.read() as session:
        rows = list(agencies.export_rows(session, agency))
    if run.output is not None and run.output.suffix.lower() == ".xlsx" and run.format is None:
        workbooks.write_export(run.output, rows, agencies.FIELDS)
        run.say("written", target=run.output)
    else:
        run.emit("agency.export/1", rows, agencies.EXPORT_FIELDS)


def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help=".xlsx, .xls, .ods, .csv or .tsv", metavar="FILE")],
    sheet: Annotated[str, typer.Option("--sheet", help="sheet to read; default: the first")] = "",
    all_or_nothing: Annotated[
        bool, typer.Option("--all-or-nothing", help="write nothing if one row is not right")
    ] = False,
    rejects: Annotated[
        Path | None,
        typer.Option("--rejects", help="workbook for the rows not written; default: FILE.loi.xlsx"),
    ] = None,
    reason: Reason = "",
    yes: Yes = False,
    dry_run: DryRun = False,
) -> Exit:
    """Add and change agencies and their domains by a list: first what would change, then so it is."""
    from mailgov.bulk import agencies, jobs

    run = runtime(ctx)
    table = agencies.prepare(file, sheet=sheet)
    planned = agencies.preview(run.database, table, run.act(reason), _rules(run))
    left_out = [row for row in planned if row.verb == "reject"]
    _write_rejects(run, rejects or file.with_suffix(".loi.xlsx"), table, left_out)
    _show(run, planned)
    changes = sum(row.verb in ("add", "edit") for row in planned)
    blocked = all_or_nothing and bool(left_out)
    if dry_run or blocked or not changes:
        if run.as_json:
            run.emit("agency.import-plan/1", [_record(run, row) for row in planned], FIELDS)
        run.say(
            "import-blocked"
            if blocked
            else "import-nothing-written"
            if changes
            else "import-nothing",
            count=changes,
        )
        return Exit.INPUT if blocked else Exit.DONE if dry_run or not left_out else Exit.PARTLY
    if not yes:
        run.ask("sure-import", count=changes)
    folder = run.config.data.path / "jobs"
    options = {"sheet": sheet}
    job = jobs.begin(run.database, run.act(reason), folder, file, options, agencies.KIND)
    return _write(run, job, table)


def go_on(run: Runtime, job: "Job", copy: Path) -> Exit:
    """Go on with a job that was interrupted; rows already written are passed over."""
    from mailgov.bulk import agencies

    return _write(run, job, agencies.prepare(copy, sheet=job.options["sheet"]))


def _rules(run: Runtime) -> "Rules":
    from mailgov.bulk.agencies import Rules

    return Rules(run.config.site.official_suffixes)


def _write(run: Runtime, job: "Job", table: "Table") -> Exit:
    """Portion by portion; Ctrl+C ends after the one under way."""
    from mailgov.bulk import agencies, jobs
    from mailgov.bulk.apply import Writing
    from mailgov.clock import utc_now

    totals: dict[str, int] = dict.fromkeys(_VERBS, 0)

    def told(portion: "Sequence[Planned]") -> None:
        for row in portion:
            totals[row.verb] += 1

    try:
        agencies.write(run.database, table, _rules(run), Writing(run.act(job.reason), job.id, told))
    except KeyboardInterrupt:
        run.say("import-interrupted", job=job.id)
        run.next(f"mailgov job resume {job.id}")
        return Exit.INTERRUPTED
    jobs.end(run.database, run.config.data.path / "jobs", job, "done", totals, utc_now())
    if run.as_json:
        run.emit("agency.import/1", [{"job": job.id, **totals}], ("job", *totals))
    written = totals["add"] + totals["edit"]
    run.say("agency-import-done", written=written, reject=totals["reject"], job=job.id)
    run.next(f"mailgov job undo {job.id}")
    return Exit.PARTLY if totals["reject"] else Exit.DONE


def _write_rejects(run: Runtime, file: Path, table: "Table", rows: "Sequence[Planned]") -> None:
    from mailgov.bulk.workbooks import write_rejects

    if rows:
        write_rejects(file, table, rows, run.language)
        run.say("import-rejects", file=file)


def _show(run: Runtime, planned: "Sequence[Planned]") -> None:
    """The preview for people: counts, then each change from old to new."""
    if run.as_json:
        return
    counts = {verb: sum(row.verb == verb for row in planned) for verb in _VERBS}
    run.say("agency-import-counts", **counts)
    for verb, sign in _SIGNS.items():
        rows = [row for row in planned if row.verb == verb]
        for row in rows[:_SHOWN]:
            run.emit_text(_line(run, sign, row) + "\n")
        if len(rows) > _SHOWN:
            run.say("import-more", sign=sign, count=len(rows) - _SHOWN)


def _line(run: Runtime, sign: str, row: "Planned") -> str:
    where = words.say(run.language, "say", "import-row", number=row.number)
    start = f"{sign} {where}  {one_line(row.key)}  {one_line(row.name)}"
    if row.problems:
        text, mend = words.tell(row.problems[0].error, run.language)
        column = heading(row.problems[0].field, run.language)
        return f"{start}  {column}: {one_line(text)}. {one_line(mend)}"
    if row.verb == "add":
        return start
    pairs = "; ".join(
        f"{heading(name, run.language)}: {one_line(old) or '—'} → {one_line(new)}"
        for name, (old, new) in row.changes.items()
    )
    return f"{start}  {pairs}"


def _record(run: Runtime, row: "Planned") -> dict[str, Any]:
    return {
        "number": row.number,
        "verb": row.verb,
        "key": row.key,
        "name": row.name,
        "changes": {name: list(pair) for name, pair in row.changes.items()},
        "problems": [
            words.told(problem.field, problem.error, run.language) for problem in row.problems
        ],
    }
