"""`mailgov plan`: what is to be done on a day to come, and what came of it."""

from typing import Annotated

import typer

from mailgov_cli.exits import Exit
from mailgov_cli.grammar import Noun
from mailgov_cli.options import LIMIT, DryRun, Limit, Reason
from mailgov_cli.runtime import runtime

app = Noun()

Number = Annotated[int, typer.Argument(help="number of the plan", metavar="ID")]


@app.command(
    "list", epilog="mailgov plan list\nmailgov plan list --state failed\nmailgov plan list H99.02"
)
def list_(
    ctx: typer.Context,
    subject: Annotated[
        str, typer.Argument(help="only of this address or agency", metavar="ADDRESS|CODE")
    ] = "",
    state: Annotated[
        str, typer.Option("--state", help="planned, done, cancelled, failed or all")
    ] = "planned",
    limit: Limit = LIMIT,
) -> None:
    """Acts with a day, in the order of their days."""
    from mailgov.lifecycle import planning

    run = runtime(ctx)
    with run.database.read() as session:
        wanted = "" if state == "all" else state
        rows = planning.listed(session, state=wanted, subject=subject, limit=limit + 1)
    run.emit("plan.list/1", rows[:limit], planning.FIELDS)
    run.tell_of_more(rows, limit)


@app.command(epilog="mailgov plan show 17")
def show(ctx: typer.Context, number: Number) -> None:
    """One plan: what, when, by whom, why, and what came of it."""
    from mailgov.errors import MailgovError
    from mailgov.lifecycle import planning
    from mailgov_cli import words

    run = runtime(ctx)
    with run.database.read() as session:
        planned = planning.get(session, number)
        record = planning.record(planned)
        if planned.failure:
            error = MailgovError(planned.failure, **planned.failure_fields)
            record["failure_text"], record["mend"] = words.tell(error, run.language)
    run.emit("plan.show/1", [record], tuple(record), single=True)


@app.command(epilog='mailgov plan cancel 17 --reason "hoãn quyết định"')
def cancel(
    ctx: typer.Context, number: Number, reason: Reason = "", dry_run: DryRun = False
) -> None:
    """Take back what is still planned; nothing of it happens."""
    from mailgov.directory.provisioning import Change
    from mailgov.lifecycle import planning

    run = runtime(ctx)
    with run.change(dry_run=dry_run) as session:
        before = planning.get(session, number).state
        planned = planning.cancel(session, number, run.act(reason))
        fields = {} if before == "cancelled" else {"state": (before, "cancelled")}
        change = Change("plan", "cancel", str(number), fields, details={"subject": planned.subject})
    run.emit_change("plan.cancel/1", change, dry_run=dry_run)


@app.command(epilog="mailgov plan retry 17")
def retry(ctx: typer.Context, number: Number, reason: Reason = "", dry_run: DryRun = False) -> Exit:
    """Try a plan again that could not be carried out; the cause should be mended first."""
    from mailgov.clock import local_date
    from mailgov.directory.provisioning import Change
    from mailgov.lifecycle import planning
    from mailgov.lifecycle.performers import PERFORMERS

    run = runtime(ctx)
    act = run.act(reason)
    with run.change(dry_run=dry_run) as session:
        planned = planning.retry(session, number, act)
        fields = {}
        if planned.on_day <= local_date(act.at):
            planning.perform(session, planned, PERFORMERS, act.at)
            fields = {"state": ("failed", "done")}
        change = Change("plan", "retry", str(number), fields, details={"subject": planned.subject})
    run.emit_change("plan.retry/1", change, dry_run=dry_run)
    return Exit.DONE
