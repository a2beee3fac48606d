"""`mailgov mailbox forward`: where a mailbox passes its mail on."""

from typing import Annotated

import typer

from mailgov_cli.grammar import Noun
from mailgov_cli.options import DryRun, NeededReason, Reason, Until, last_day
from mailgov_cli.runtime import runtime

forward = Noun()

Address = Annotated[str, typer.Argument(help="the mailbox", metavar="ADDRESS")]
To = Annotated[str, typer.Option("--to", help="where mail is passed on to")]


@forward.command(
    epilog="mailgov mailbox forward add nvan@sonoivu.tinhmau.gov.vn --to vanthu@sonoivu.tinhmau.gov.vn --until 2026-12-31"
)
def add(
    ctx: typer.Context,
    address: Address,
    to: To,
    no_copy: Annotated[
        bool, typer.Option("--no-copy", help="keep nothing; not for targets outside")
    ] = False,
    until: Until = None,
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """Pass mail for a mailbox on; to the outside only where rule auto-forward-external allows it."""
    from mailgov.directory.provisioning.forwards import add_forward

    run = runtime(ctx)
    with run.change(dry_run=dry_run) as session:
        change = add_forward(
            session, run.act(reason), address, to, keep_copy=not no_copy, until=last_day(until)
        )
    run.emit_change("mailbox.forward.add/1", change, dry_run=dry_run)


@forward.command(
    "list",
    epilog="mailgov mailbox forward list\nmailgov mailbox forward list nvan@sonoivu.tinhmau.gov.vn",
)
def list_(
    ctx: typer.Context,
    address: Annotated[str, typer.Argument(help="only of this mailbox", metavar="ADDRESS")] = "",
) -> None:
    """Forwards, and since when the holder knows that mail is not passed on."""
    from mailgov.directory import forwards

    run = runtime(ctx)
    with run.database.read() as session:
        rows = forwards.listed(session, address)
    run.emit("mailbox.forward.list/1", rows, forwards.FIELDS)


@forward.command(
    epilog='mailgov mailbox forward remove nvan@sonoivu.tinhmau.gov.vn --to vanthu@sonoivu.tinhmau.gov.vn --reason "đã về lại"'
)
def remove(
    ctx: typer.Context, address: Address, to: To, reason: NeededReason, dry_run: DryRun = False
) -> None:
    """Pass nothing on to this target any more."""
    from mailgov.directory.provisioning.forwards import remove_forward

    run = runtime(ctx)
    with run.change(dry_run=dry_run) as session:
        change = remove_forward(session, run.act(reason), address, to)
    run.emit_change("mailbox.forward.remove/1", change, dry_run=dry_run)
