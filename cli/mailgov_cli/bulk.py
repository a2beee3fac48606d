"""Import, template and export of mailboxes: the preview first, then the writing, then what was left."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailgov_cli import words
from mailgov_cli.exits import Exit
from mailgov_cli.letters import Letters, of_job, require_free
from mailgov_cli.options import DryRun, Reason, Yes
from mailgov_cli.progress import progress
from mailgov_cli.runtime import Runtime, runtime

if TYPE_CHECKING:
    from mailgov.bulk.imports import Prepared
    from mailgov.bulk.missing import Missing
    from mailgov.bulk.plan import Planned
    from mailgov.db.models import Job

_SHOWN = 40  # rows of each kind that the preview spells out
_SIGNS = {"add": "+", "edit": "~", "look": "?", "reject": "!"}
PLAN_FIELDS = ("number", "verb", "key", "name", "address", "changes", "problems")

File = Annotated[Path, typer.Argument(help=".xlsx, .xls, .ods, .csv or .tsv", metavar="FILE")]


def template(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="workbook to write", metavar="FILE")] = Path(
        "mau-can-bo.xlsx"
    ),
) -> None:
    """Write an empty staff list with notes and drop-down lists, for clerks to fill in."""
    from mailgov.bulk.staff import FIELDS
    from mailgov.bulk.workbooks import write_template

    run = runtime(ctx)
    notes = {field.name: words.say(run.language, "sheet-note", field.name) for field in FIELDS}
    write_template(file, notes)
    run.say("written", target=file)
    run.next(f"mailgov mailbox import {file} --dry-run")


def export(
    ctx: typer.Context,
    agency: Annotated[str, typer.Option("--agency", help="only of this agency and all below")] = "",
) -> None:
    """Every mailbox, as a list that an import finds unchanged; -o FILE.xlsx writes a workbook."""
    from mailgov.bulk import workbooks

    run = runtime(ctx)
    with run.database.read() as session:
        rows = workbooks.export_rows(session, agency)
    if run.output is not None and run.output.suffix.lower() == ".xlsx" and run.format is None:
        workbooks.write_export(run.output, rows)
        run.say("written", target=run.output)
    else:
        run.emit("mailbox.export/1", rows, workbooks.EXPORT_FIELDS)


def import_(
    ctx: typer.Context,
    file: File,
    sheet: Annotated[str, typer.Option("--sheet", help="sheet to read; default: the first")] = "",
    missing: Annotated[
        str, typer.Option("--missing", help="people whom the file leaves out: keep or suspend")
    ] = "keep",
    max_missing: Annotated[
        float,
        typer.Option("--max-missing", min=0, max=100, help="percent that may be suspended so"),
    ] = 5,
    convert_legacy: Annotated[
        bool, typer.Option("--convert-legacy", help="read TCVN3, VNI and their like as Unicode")
    ] = False,
    all_or_nothing: Annotated[
        bool, typer.Option("--all-or-nothing", help="write nothing if one row is not right")
    ] = False,
    rejects: Annotated[
        Path | None,
        typer.Option("--rejects", help="workbook for the rows not written; default: FILE.loi.xlsx"),
    ] = None,
    letters: Letters = None,
    reason: Reason = "",
    yes: Yes = False,
    dry_run: DryRun = False,
) -> Exit:
    """Give and change mailboxes by a staff list: first what would change, then, if agreed, so it is."""
    from mailgov.bulk import imports, jobs, plan
    from mailgov.errors import InputError

    run = runtime(ctx)
    if missing not in ("keep", "suspend"):
        raise InputError("import-answers", value=missing)
    prepared = imports.prepare(file, sheet=sheet, convert_legacy=convert_legacy)
    _say_what_is_read(run, file, prepared)
    planned, gone = _plan(run, prepared, max_missing if missing == "suspend" else None)
    left_out = [row for row in planned if row.verb in ("look", "reject")]
    reject_file = _write_rejects(run, rejects or file.with_suffix(".loi.xlsx"), prepared, left_out)
    _show(run, planned, gone, reject_file)
    if run.as_json and dry_run:
        _emit_plan(run, planned, gone)
    changes = sum(row.verb in ("add", "edit") for row in planned) + len(gone)
    blocked = all_or_nothing and bool(left_out)
    if dry_run or blocked or not changes:
        if not dry_run and not changes:
            _say_imported_before(run, jobs.digest_of(file))
        if run.as_json and not dry_run:
            none_written = {**plan.counts(planned), "add": 0, "edit": 0, "suspend": 0}
            run.emit("mailbox.import/1", [{"job": "", **none_written}], ("job", *none_written))
        run.say(_outcome(blocked, changes), count=changes)
        return Exit.INPUT if blocked else Exit.DONE if dry_run else _end(left_out)
    added = [row.agency.code for row in planned if row.verb == "add" and row.agency]
    require_free(letters, added)
    if not yes:
        run.ask("sure-import", count=changes)
    options = {
        "sheet": sheet,
        "convert_legacy": convert_legacy,
        "missing": missing,
        "max_missing": max_missing,
        "letters": str(letters.absolute()) if letters else "",
    }
    job = jobs.begin(run.database, run.act(reason), _folder(run), file, options)
    return _write(run, job, prepared, gone)


def _outcome(blocked: bool, changes: int) -> str:
    if blocked:
        return "import-blocked"
    return "import-nothing-written" if changes else "import-nothing"


def resume(run: Runtime, job_id: str) -> Exit:
    """Go on with a job that was interrupted; rows already written are passed over."""
    from mailgov.bulk import imports, jobs
    from mailgov.errors import Conflict, NotFound

    with run.database.read() as session:
        job = jobs.find(session, job_id)
        session.expunge(job)
    if job.state != "running":
        raise Conflict("job-ended", job=job.id, state=job.state)
    copy = jobs.copy_of(_folder(run), job)
    if not copy.exists():
        raise NotFound("job-copy-missing", file=job.file, job=job.id)
    if job.kind == "agency.import":
        from mailgov_cli import agency_import

        return agency_import.go_on(run, job, copy)
    if job.kind == "reconcile.apply":
        from mailgov_cli.commands import reconcile

        return reconcile.carry_out(run, job, copy)
    options = job.options
    prepared = imports.prepare(
        copy, sheet=options["sheet"], convert_legacy=options["convert_legacy"]
    )
    most = options["max_missing"] if options["missing"] == "suspend" else None
    _, gone = _plan(run, prepared, most)
    return _write(run, job, prepared, gone)


def _folder(run: Runtime) -> Path:
    return run.config.data.path / "jobs"


def _plan(
    run: Runtime, prepared: "Prepared", most_missing: float | None
) -> "tuple[list[Planned], list[Missing]]":
    from mailgov.bulk import imports
    from mailgov.clock import local_date, utc_now

    planned = imports.preview(run.database, prepared, local_date(utc_now()))
    if most_missing is None:
        return planned, []
    return planned, imports.missing(run.database, planned, most_missing)


def _write(run: Runtime, job: "Job", prepared: "Prepared", gone: "Sequence[Missing]") -> Exit:
    """The rows, then whoever is missing; Ctrl+C ends after the portion under way."""
    from mailgov.bulk import imports, jobs
    from mailgov.bulk.missing import suspend_missing
    from mailgov.bulk.plan import VERBS
    from mailgov.clock import utc_now

    totals: dict[str, int] = dict.fromkeys(VERBS, 0)
    act = run.act(job.reason)

    with progress(run, len(prepared.table.rows)) as bar:

        def told(portion: "Sequence[Planned]") -> None:
            for row in portion:
                totals[row.verb] += 1
            bar(len(portion))

        try:
            imports.write(run.database, prepared, act, job.id, told)
        except KeyboardInterrupt:
            run.say("import-interrupted", job=job.id)
            run.next(f"mailgov job resume {job.id}")
            return Exit.INTERRUPTED
    last = prepared.table.rows[-1].number if prepared.table.rows else 0
    suspend_missing(run.database, act, job.id, last, gone)
    counts = {**totals, "suspend": len(gone)}
    jobs.end(run.database, _folder(run), job, "done", counts, utc_now())
    if run.as_json:
        run.emit("mailbox.import/1", [{"job": job.id, **counts}], ("job", *counts))
    run.say("import-done", **{**counts, "written": counts["add"] + counts["edit"], "job": job.id})
    if job.options.get("letters"):
        of_job(run, job.id, job.reason, Path(job.options["letters"]))
    run.next(f"mailgov job undo {job.id}")
    return Exit.PARTLY if totals["look"] + totals["reject"] else Exit.DONE


def _end(left_out: "Sequence[Planned]") -> Exit:
    return Exit.PARTLY if left_out else Exit.DONE


def _say_what_is_read(run: Runtime, file: Path, prepared: "Prepared") -> None:
    table = prepared.table
    run.say(
        "import-read",
        file=file.name,
        sheet=table.sheet.name,
        rows=len(table.rows),
        heading=table.heading_row.number,
    )
    if table.sheet.encoding:
        run.say("import-encoding", encoding=table.sheet.encoding)
    if prepared.converted:
        run.say("import-converted", count=prepared.converted)
    if table.unknown:
        run.say("import-unknown", headings=", ".join(table.unknown))


def _say_imported_before(run: Runtime, digest: str) -> None:
    from mailgov.bulk import jobs
    from mailgov.clock import VIETNAM

    with run.database.read() as session:
        job = jobs.imported_before(session, digest)
        if job is not None:
            at = job.created_at.astimezone(VIETNAM).strftime("%d/%m/%Y %H:%M")
            run.say("import-before", job=job.id, at=at)


def _write_rejects(
    run: Runtime, file: Path, prepared: "Prepared", left_out: "Sequence[Planned]"
) -> Path | None:
    """The workbook of the rows left out; one of an earlier run is not left lying when there are none."""
    from mailgov.bulk.workbooks import write_rejects

    if not left_out:
        return None
    write_rejects(file, prepared.table, left_out, run.language)
    return file


def _show(
    run: Runtime,
    planned: "Sequence[Planned]",
    gone: "Sequence[Missing]",
    reject_file: Path | None,
) -> None:
    """The preview for people: counts, then each change from old to new."""
    from mailgov.bulk.plan import counts

    if run.as_json:
        return
    run.say("import-counts", **counts(planned), suspend=len(gone))
    for verb in _SIGNS:
        rows_of = [row for row in planned if row.verb == verb]
        for row in rows_of[:_SHOWN]:
            run.emit_text(_line(run, row) + "\n")
        if len(rows_of) > _SHOWN:
            run.say("import-more", sign=_SIGNS[verb], count=len(rows_of) - _SHOWN)
    for person in gone[:_SHOWN]:
        run.emit_text(f"- {person.staff_no}  {person.name}  {person.address}\n")
    if reject_file is not None:
        run.say("import-rejects", file=reject_file)


def _emit_plan(run: Runtime, planned: "Sequence[Planned]", gone: "Sequence[Missing]") -> None:
    """The preview for programs: every row that is not as it should be already."""
    rows = [_record(run, row) for row in planned if row.verb != "same"]
    rows += [
        {
            "number": None,
            "verb": "suspend",
            "key": person.staff_no,
            "name": person.name,
            "address": person.address,
        }
        for person in gone
    ]
    run.emit("mailbox.import-plan/1", rows, PLAN_FIELDS)


def _record(run: Runtime, row: "Planned") -> dict[str, Any]:
    return {
        "number": row.number,
        "verb": row.verb,
        "key": row.key,
        "name": row.name,
        "address": row.address,
        "changes": {name: list(pair) for name, pair in row.changes.items()},
        "problems": [
            words.told(problem.field, problem.error, run.language) for problem in row.problems
        ],
    }


def _line(run: Runtime, row: "Planned") -> str:
    from mailgov_cli.output import heading, one_line

    where = words.say(run.language, "say", "import-row", number=row.number)
    start = f"{_SIGNS[row.verb]} {where}  {one_line(row.key)}  {one_line(row.name)}"
    if row.problems:
        text, mend = words.tell(row.problems[0].error, run.language)
        column = heading(row.problems[0].field, run.language)
        return f"{start}  {column}: {one_line(text)}. {one_line(mend)}"
    if row.verb == "add":
        note = ""
        if row.first_choice_of:
            note = " " + words.say(run.language, "say", "import-taken", holder=row.first_choice_of)
        return f"{start}  {row.address}{one_line(note)}"
    pairs = "; ".join(
        f"{heading(name, run.language)}: {one_line(old) or '—'} → {one_line(new)}"
        for name, (old, new) in row.changes.items()
    )
    return f"{start}  {pairs}"
