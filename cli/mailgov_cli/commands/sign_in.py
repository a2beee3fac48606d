"""`mailgov mailbox app-password` and `second-factor`: what opens a mailbox besides the password."""

from typing import Annotated

import typer

from mailgov_cli.grammar import Noun
from mailgov_cli.options import DryRun, Reason
from mailgov_cli.runtime import runtime

app_password = Noun()
second_factor = Noun()

Address = Annotated[str, typer.Argument(help="the mailbox", metavar="ADDRESS")]


@app_password.command(
    epilog="""mailgov mailbox app-password add nvan@sonoivu.tinhmau.gov.vn --label "Thunderbird, máy bàn"
    mailgov mailbox app-password add may-quet@sonoivu.tinhmau.gov.vn --label "máy quét tầng 2" --scope smtp"""
)
def add(
    ctx: typer.Context,
    address: Address,
    label: Annotated[str, typer.Option("--label", help="program or device it is for")],
    scope: Annotated[
        list[str] | None,
        typer.Option("--scope", help="imap, smtp or dav; may be repeated; default: imap and smtp"),
    ] = None,
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """Make a random password for one program or device. It is shown this once."""
    from mailgov.directory.provisioning import add_app_password

    run = runtime(ctx)
    with run.change(dry_run=dry_run) as session:
        new = add_app_password(
            session,
            run.act(reason),
            address,
            label=label,
            scopes=scope or ("imap", "smtp"),
            most=run.config.sign_in.app_passwords,
        )
    if dry_run:
        run.emit_change("mailbox.app-password.add/1", new.change, dry_run=True)
        return
    fields = new.change.changes
    record = {
        "address": new.change.target,
        **{name: fields[name][1] for name in ("id", "label", "scopes")},
        "app_password": new.password,
    }
    run.emit("mailbox.app-password.add/1", [record], tuple(record), single=True)
    run.say("app-password-once")


@app_password.command(
    "list", epilog="mailgov mailbox app-password list nvan@sonoivu.tinhmau.gov.vn"
)
def list_(ctx: typer.Context, address: Address) -> None:
    """The app passwords of a mailbox with their last use; never the passwords."""
    from mailgov.directory import listing

    run = runtime(ctx)
    with run.database.read() as session:
        rows = listing.app_passwords(session, address)
    run.emit("mailbox.app-password.list/1", rows, listing.APP_PASSWORD_FIELDS)


@app_password.command(
    epilog='mailgov mailbox app-password revoke nvan@sonoivu.tinhmau.gov.vn 12 --reason "mất điện thoại"'
)
def revoke(
    ctx: typer.Context,
    address: Address,
    number: Annotated[int, typer.Argument(help="its id in the list", metavar="ID")],
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """End an app password: the program that has it is signed out."""
    from mailgov.directory.provisioning import revoke_app_password

    run = runtime(ctx)
    with run.change(dry_run=dry_run) as session:
        change = revoke_app_password(session, run.act(reason), address, number)
    run.emit_change("mailbox.app-password.revoke/1", change, dry_run=dry_run)


@second_factor.command(
    epilog='mailgov mailbox second-factor reset nvan@sonoivu.tinhmau.gov.vn --reason "mất điện thoại, đã xác minh tại trụ sở"'
)
def reset(
    ctx: typer.Context,
    address: Address,
    reason: Annotated[str, typer.Option("--reason", help="why; kept in the ledger")],
    dry_run: DryRun = False,
) -> None:
    """Take the second factor off a mailbox whose holder has lost it; open sign-ins end."""
    from mailgov.directory.provisioning import reset_second_factor

    run = runtime(ctx)
    with run.change(dry_run=dry_run) as session:
        change = reset_second_factor(session, run.act(reason), address)
    run.emit_change("mailbox.second-factor.reset/1", change, dry_run=dry_run)
