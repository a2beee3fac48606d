"""`mailgov reconcile`: the directory beside the personnel list: plan, review, apply."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailgov_cli import acting, words
from mailgov_cli.exits import Exit
from mailgov_cli.grammar import Noun
from mailgov_cli.options import DryRun, Reason, Yes
from mailgov_cli.runtime import Runtime, runtime

if TYPE_CHECKING:
    from mailgov.bulk.comparing import Finding
    from mailgov.db.models import Job
    from mailgov.lifecycle.reconciling import Done

app = Noun()

FINDING_FIELDS = (
    "kind",
    "decision",
    "number",
    "staff_no",
    "name",
    "agency_code",
    "address",
    "changes",
    "confidence",
    "problem",
)
DONE_FIELDS = ("line", "target", "verb", "code", "text")


@app.command(
    epilog="""mailgov reconcile plan nhan-su-2026-12.xlsx --to doi-chieu.xlsx
    mailgov reconcile plan nhan-su-2026-12.xlsx --agency H99.02 --json"""
)
def plan(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="personnel list, complete", metavar="FILE")],
    to: Annotated[
        Path | None,
        typer.Option("--to", help="workbook for the review; default: FILE.doi-chieu.xlsx"),
    ] = None,
    agency: Annotated[
        str, typer.Option("--agency", help="the list is complete for this agency and all below")
    ] = "",
    sheet: Annotated[str, typer.Option("--sheet", help="sheet to read; default: the first")] = "",
    convert_legacy: Annotated[
        bool, typer.Option("--convert-legacy", help="read TCVN3, VNI and their like as Unicode")
    ] = False,
    max_left: Annotated[
        float,
        typer.Option("--max-left", min=0, max=100, help="percent that may have left at once"),
    ] = 5,
) -> Exit:
    """Compare, and write every difference with a proposed decision into a workbook; nothing is changed."""
    from mailgov.bulk.review import write_review

    run = runtime(ctx)
    found = _compared(run, file, sheet, agency, max_left, convert_legacy=convert_legacy)
    target = to or file.with_suffix(".doi-chieu.xlsx")
    if found:
        write_review(target, found, run.language)
    run.emit("reconcile.plan/1", [_record(run, one) for one in found], FINDING_FIELDS)
    _say_counts(run, Counter(one.kind for one in found))
    if not found:
        run.say("reconcile-same")
        return Exit.DONE
    run.say("written", target=target)
    run.next(f"mailgov reconcile apply {target} --dry-run")
    return Exit.DONE


@app.command(
    epilog="""mailgov reconcile apply nhan-su-2026-12.doi-chieu.xlsx --dry-run
    mailgov reconcile apply nhan-su-2026-12.doi-chieu.xlsx --on 2027-01-01 --yes --reason "đối chiếu tháng 12" """
)
def apply(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="workbook of the review", metavar="FILE")],
    on: Annotated[
        datetime | None,
        typer.Option(
            "--on",
            formats=["%Y-%m-%d", "%d/%m/%Y"],
            help="day of transfers and recalls; default: tomorrow",
        ),
    ] = None,
    reason: Reason = "",
    yes: Yes = False,
    dry_run: DryRun = False,
) -> Exit:
    """Carry out what was decided: fields at once, transfers and recalls on their day."""
    from datetime import timedelta

    from mailgov.bulk import jobs
    from mailgov.bulk.review import read_review
    from mailgov.clock import local_date, utc_now

    run = runtime(ctx)
    lines = read_review(file)
    decided = Counter(one.kind for one in lines if one.decision not in ("skip", "look"))
    _say_counts(run, decided)
    waiting = sum(one.decision == "look" for one in lines)
    if waiting:
        run.say("reconcile-undecided", count=waiting)
    if not decided or dry_run:
        if run.as_json:
            rows = [{"kind": kind, "count": count} for kind, count in decided.items()]
            run.emit("reconcile.apply-plan/1", rows, ("kind", "count"))
        run.say("reconcile-nothing" if not decided else "reconcile-dry", count=decided.total())
        return Exit.DONE
    if not yes:
        run.ask("sure-import", count=decided.total())
    day = on.date() if on else local_date(utc_now()) + timedelta(days=1)
    job = jobs.begin(
        run.database, run.act(reason), _folder(run), file, {"on": day.isoformat()}, KIND
    )
    return carry_out(run, job, file)


KIND = "reconcile.apply"


def carry_out(run: Runtime, job: "Job", file: Path) -> Exit:
    """What the job has not done yet; Ctrl+C ends after the lines under way."""
    from datetime import date

    from mailgov.bulk import jobs
    from mailgov.bulk.review import read_review
    from mailgov.clock import utc_now
    from mailgov.lifecycle.reconciling import Carrying, carry_out

    told: list[Done] = []
    how = Carrying(
        run.act(job.reason),
        job.id,
        date.fromisoformat(job.options["on"]),
        run.config.lifecycle,
        told.extend,
    )
    try:
        carry_out(run.database, read_review(file), how)
    except KeyboardInterrupt:
        run.say("import-interrupted", job=job.id)
        run.next(f"mailgov job resume {job.id}")
        return Exit.INTERRUPTED
    counts = dict(Counter(one.verb for one in told if one.verb))
    jobs.end(run.database, _folder(run), job, "done", counts, utc_now())
    failed = [one for one in told if one.error is not None]
    shown = [one for one in told if one.verb or one.error]
    run.emit("reconcile.apply/1", [_done(run, one) for one in shown], DONE_FIELDS)
    run.say("reconcile-done", job=job.id, count=sum(counts.values()), failed=len(failed))
    run.next(f"mailgov job undo {job.id}")
    return Exit.PARTLY if failed else Exit.DONE


def _folder(run: Runtime) -> Path:
    return run.config.data.path / "jobs"


def _compared(
    run: Runtime, file: Path, sheet: str, agency: str, max_left: float, *, convert_legacy: bool
) -> "list[Finding]":
    from mailgov.access import branch
    from mailgov.bulk import imports
    from mailgov.bulk.comparing import compare
    from mailgov.clock import local_date, utc_now
    from mailgov.directory.provisioning import get_agency

    prepared = imports.prepare(file, sheet=sheet, convert_legacy=convert_legacy)
    top = agency or acting.only_top(run) if agency else ""
    with run.database.read() as session:
        codes = branch(session, get_agency(session, top).code) if top else frozenset()
        today = local_date(utc_now())
        return compare(session, prepared.table, today, branch=codes, most_left=max_left)


def _say_counts(run: Runtime, counts: "Counter[Any]") -> None:
    from mailgov.bulk.review import kind_word

    if counts:
        told = "   ".join(
            f"{kind_word(kind, run.language)}: {count}" for kind, count in counts.items()
        )
        run.say("reconcile-counts", counts=told)


def _record(run: Runtime, one: "Finding") -> dict[str, Any]:
    return {
        "kind": one.kind,
        "decision": one.decision,
        "number": one.number or None,
        "staff_no": one.staff_no,
        "name": one.name,
        "agency_code": one.agency_code,
        "address": one.address,
        "changes": {name: list(pair) for name, pair in one.changes.items()},
        "confidence": one.confidence,
        "problem": words.tell(one.error, run.language)[0] if one.error else "",
    }


def _done(run: Runtime, one: "Done") -> dict[str, Any]:
    return {
        "line": one.line,
        "target": one.target,
        "verb": one.verb,
        "code": one.error.code if one.error else "",
        "text": ". ".join(_told(run, one)),
    }


def _told(run: Runtime, one: "Done") -> Sequence[str]:
    return words.tell(one.error, run.language) if one.error else ()
