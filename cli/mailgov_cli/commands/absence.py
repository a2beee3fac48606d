"""`mailgov absence`: what a mailbox answers by itself while its holder is away."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from mailgov_cli.grammar import Noun
from mailgov_cli.options import DryRun, Reason, Until, last_day
from mailgov_cli.runtime import runtime

app = Noun()

Address = Annotated[str, typer.Argument(help="the mailbox", metavar="ADDRESS")]


@app.command("list", epilog="mailgov absence list")
def list_(ctx: typer.Context) -> None:
    """Mailboxes that answer by themselves, and until when."""
    from mailgov.directory import listing

    run = runtime(ctx)
    with run.database.read() as session:
        rows = listing.absences(session)
    run.emit("absence.list/1", rows, listing.ABSENCE_FIELDS)


@app.command(
    "set",
    epilog="mailgov absence set nvan@sonoivu.tinhmau.gov.vn --text-file nghi-phep.txt --until 2026-12-05",
)
def set_(
    ctx: typer.Context,
    address: Address,
    text_file: Annotated[
        Path, typer.Option("--text-file", help="the answer, UTF-8; - for standard input")
    ],
    from_: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d", "%d/%m/%Y"], help="first day, 2026-12-01"),
    ] = None,
    until: Until = None,
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """Answer each sender once in seven days; lists and automatic mail are never answered."""
    from mailgov.directory.provisioning.absences import set_absence
    from mailgov_cli.runtime import read_text

    run = runtime(ctx)
    text = read_text(text_file)
    with run.change(dry_run=dry_run) as session:
        change = set_absence(
            session,
            run.act(reason),
            address,
            text,
            first_day=last_day(from_),
            last_day=last_day(until),
        )
    run.emit_change("absence.set/1", change, dry_run=dry_run)


@app.command(epilog="mailgov absence clear nvan@sonoivu.tinhmau.gov.vn")
def clear(
    ctx: typer.Context, address: Address, reason: Reason = "", dry_run: DryRun = False
) -> None:
    """Answer no longer."""
    from mailgov.directory.provisioning.absences import clear_absence

    run = runtime(ctx)
    with run.change(dry_run=dry_run) as session:
        change = clear_absence(session, run.act(reason), address)
    run.emit_change("absence.clear/1", change, dry_run=dry_run)
