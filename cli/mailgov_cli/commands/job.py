"""`mailgov job`: bulk work, to look up, to go on with and to take back."""

from typing import Annotated

import typer

from mailgov_cli.exits import Exit
from mailgov_cli.grammar import Noun
from mailgov_cli.options import LIMIT, Limit, Reason, Yes
from mailgov_cli.runtime import runtime

app = Noun()

JobId = Annotated[str, typer.Argument(help="the job, such as imp-2026-11-21-1", metavar="ID")]

JOB_FIELDS = ("job", "kind", "file", "state", "rows_written", "actor", "created_at", "ended_at")
ROW_FIELDS = ("number", "verb", "target", "changes", "undone_at")


@app.command("list", epilog="mailgov job list")
def list_(ctx: typer.Context, limit: Limit = LIMIT) -> None:
    """Jobs, latest first."""
    from mailgov.bulk import jobs

    run = runtime(ctx)
    with run.database.read() as session:
        rows = jobs.listing(session, limit + 1)
    run.emit("job.list/1", rows[:limit], JOB_FIELDS)
    run.tell_of_more(rows, limit)


@app.command(
    epilog="""mailgov job show imp-2026-11-21-1
    mailgov job show imp-2026-11-21-1 --rows --format csv -o da-ghi.csv"""
)
def show(
    ctx: typer.Context,
    job: JobId,
    rows: Annotated[bool, typer.Option("--rows", help="what was written, row by row")] = False,
    limit: Limit = LIMIT,
) -> None:
    """One job, or what it wrote."""
    from mailgov.bulk import jobs

    run = runtime(ctx)
    with run.database.read() as session:
        record = jobs.record(session, jobs.find(session, job))
        written = jobs.rows(session, job, limit + 1) if rows else []
    if rows:
        run.emit("job.rows/1", written[:limit], ROW_FIELDS)
        run.tell_of_more(written, limit)
    else:
        run.emit("job.show/1", [record], tuple(record), single=True)


@app.command(changes=True, epilog="mailgov job resume imp-2026-11-21-1")
def resume(ctx: typer.Context, job: JobId) -> Exit:
    """Go on with a job that was interrupted; no row is written twice."""
    from mailgov_cli import bulk

    return bulk.resume(runtime(ctx), job)


@app.command(changes=True, epilog="mailgov job cancel imp-2026-11-21-1")
def cancel(ctx: typer.Context, job: JobId) -> None:
    """Give up a job that was interrupted; what it wrote stays, and can be taken back."""
    from mailgov.bulk import jobs
    from mailgov.clock import utc_now
    from mailgov.errors import Conflict

    run = runtime(ctx)
    with run.database.read() as session:
        found = jobs.find(session, job)
        session.expunge(found)
    if found.state != "running":
        raise Conflict("job-ended", job=found.id, state=found.state)
    folder = run.config.data.path / "jobs"
    jobs.end(run.database, folder, found, "cancelled", found.counts, utc_now())
    run.say("job-cancelled", job=found.id)
    run.next(f"mailgov job undo {found.id}")


@app.command(epilog='mailgov job undo imp-2026-11-21-1 --reason "nhầm tệp"')
def undo(ctx: typer.Context, job: JobId, reason: Reason = "", yes: Yes = False) -> Exit:
    """Take back what a job wrote; what is in use or was changed since stays, and is told."""
    from mailgov.bulk import jobs
    from mailgov.errors import Conflict
    from mailgov.lifecycle.reconciling import take_back_plan
    from mailgov_cli import words

    run = runtime(ctx)
    with run.database.read() as session:
        record = jobs.record(session, jobs.find(session, job))
    if not yes:
        run.ask("sure-undo", job=job, count=record["rows_written"])
    folder = run.config.data.path / "jobs"
    kept = jobs.undo(run.database, run.act(reason), folder, job, {"plan": take_back_plan})
    rows = [
        {
            "number": row.number,
            "target": row.target,
            "code": row.code,
            "text": words.tell(Conflict(row.code, target=row.target), run.language)[0],
        }
        for row in kept
    ]
    if run.as_json or rows:
        run.emit("job.undo/1", rows, ("number", "target", "code", "text"))
    run.say("job-undone", job=job, kept=len(kept))
    return Exit.PARTLY if kept else Exit.DONE
