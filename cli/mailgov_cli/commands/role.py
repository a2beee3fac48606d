"""`mailgov role`: who administers and audits which branch of the agency tree."""

from typing import Annotated

import typer

from mailgov_cli.grammar import Noun
from mailgov_cli.options import DryRun, Reason, Until, last_day
from mailgov_cli.runtime import runtime

app = Noun()

Holder = Annotated[str, typer.Argument(help="mailbox of the person", metavar="ADDRESS")]
RoleName = Annotated[
    str,
    typer.Argument(help="operator, it, auditor, security-officer, key-officer", metavar="ROLE"),
]
Branch = Annotated[
    str, typer.Option("--agency", help="over this agency and all below; none: everything")
]


@app.command(
    epilog="""mailgov role grant lvc@thanhtra.tinhmau.gov.vn auditor --agency H99 --until 2026-12-31
    mailgov role grant qtv@tttt.bomau.gov.vn it"""
)
def grant(
    ctx: typer.Context,
    address: Holder,
    role: RoleName,
    agency: Branch = "",
    until: Until = None,
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """Give a role over a branch of the agency tree."""
    from mailgov.directory.provisioning import grant_role

    run = runtime(ctx)
    with run.change(dry_run=dry_run) as session:
        change = grant_role(
            session,
            run.act(reason),
            mailbox=address,
            role=role,
            agency=agency,
            until=last_day(until),
        )
    run.emit_change("role.grant/1", change, dry_run=dry_run)


@app.command(
    epilog="""mailgov role revoke lvc@thanhtra.tinhmau.gov.vn auditor --agency H99 --reason "hết đợt thanh tra"
    mailgov role revoke qtv@tttt.bomau.gov.vn it"""
)
def revoke(
    ctx: typer.Context,
    address: Holder,
    role: RoleName,
    agency: Branch = "",
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """End a role at once."""
    from mailgov.directory.provisioning import revoke_role

    run = runtime(ctx)
    with run.change(dry_run=dry_run) as session:
        change = revoke_role(session, run.act(reason), mailbox=address, role=role, agency=agency)
    run.emit_change("role.revoke/1", change, dry_run=dry_run)


@app.command(
    "list",
    epilog="""mailgov role list
    mailgov role list lvc@thanhtra.tinhmau.gov.vn --ended""",
)
def list_(
    ctx: typer.Context,
    address: Annotated[str, typer.Argument(help="only of this mailbox", metavar="ADDRESS")] = "",
    agency: Annotated[str, typer.Option("--agency", help="only over this agency and below")] = "",
    ended: Annotated[bool, typer.Option("--ended", help="those too that have ended")] = False,
) -> None:
    """Roles with their holders, branches and last days."""
    from mailgov.clock import local_date, utc_now
    from mailgov.directory import listing

    run = runtime(ctx)
    today = None if ended else local_date(utc_now())
    with run.database.read() as session:
        rows = listing.roles(session, mailbox=address, within=agency, on=today)
    run.emit("role.list/1", rows, listing.ROLE_FIELDS)
