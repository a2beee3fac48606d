"""`mailgov alias`: further addresses of a mailbox."""

from typing import Annotated

import typer

from mailgov_cli.grammar import Noun
from mailgov_cli.options import DryRun, NeededReason, Reason, Until, last_day
from mailgov_cli.runtime import runtime

app = Noun()

Alias = Annotated[str, typer.Argument(help="the further address", metavar="ALIAS")]


@app.command(
    epilog="mailgov alias add an.nv@sonoivu.tinhmau.gov.vn --to nvan@sonoivu.tinhmau.gov.vn --until 2027-05-31"
)
def add(
    ctx: typer.Context,
    alias: Alias,
    to: Annotated[str, typer.Option("--to", help="the mailbox that it leads to")],
    until: Until = None,
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """Let mail to a further address reach a mailbox, and the mailbox send from it."""
    from mailgov.directory.provisioning import add_alias

    run = runtime(ctx)
    with run.change(dry_run=dry_run) as session:
        change = add_alias(
            session, run.act(reason), address=alias, mailbox=to, until=last_day(until)
        )
    run.emit_change("alias.add/1", change, dry_run=dry_run)


@app.command("list", epilog="mailgov alias list\nmailgov alias list nvan@sonoivu.tinhmau.gov.vn")
def list_(
    ctx: typer.Context,
    mailbox: Annotated[str, typer.Argument(help="only of this mailbox", metavar="ADDRESS")] = "",
) -> None:
    """Aliases with the mailboxes they lead to."""
    from mailgov.directory import listing

    run = runtime(ctx)
    with run.database.read() as session:
        rows = listing.aliases(session, mailbox=mailbox)
    run.emit("alias.list/1", rows, listing.ALIAS_FIELDS)


@app.command(epilog='mailgov alias remove an.nv@sonoivu.tinhmau.gov.vn --reason "không còn dùng"')
def remove(ctx: typer.Context, alias: Alias, reason: NeededReason, dry_run: DryRun = False) -> None:
    """Take a further address away; mail to it is refused from then on."""
    from mailgov.directory.provisioning import remove_alias

    run = runtime(ctx)
    with run.change(dry_run=dry_run) as session:
        change = remove_alias(session, run.act(reason), alias)
    run.emit_change("alias.remove/1", change, dry_run=dry_run)
