"""`mailgov domain`: the domains that mail is taken for."""

from typing import Annotated

import typer

from mailgov_cli.grammar import Noun
from mailgov_cli.options import DryRun, Reason, Yes
from mailgov_cli.runtime import runtime

app = Noun()

NeededReason = Annotated[str, typer.Option("--reason", help="why; kept in the ledger")]
Name = Annotated[str, typer.Argument(help="the domain", metavar="NAME")]


@app.command(epilog="mailgov domain add sonoivu.tinhmau.gov.vn --agency H99.02")
def add(
    ctx: typer.Context,
    name: Name,
    agency: Annotated[str, typer.Option("--agency", help="code of the agency that owns it")],
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """Take mail for a domain, on behalf of the agency that owns it."""
    from mailgov.directory.provisioning import add_domain

    run = runtime(ctx)
    with run.change(dry_run=dry_run) as session:
        change = add_domain(
            session,
            run.act(reason),
            name=name,
            agency=agency,
            official_suffixes=run.config.site.official_suffixes,
        )
    run.emit_change("domain.add/1", change, dry_run=dry_run)
    if not (change.nothing or dry_run):
        run.next(f"mailgov dkim generate {change.target}")


@app.command("list", epilog="mailgov domain list\nmailgov domain list --agency H99")
def list_(
    ctx: typer.Context,
    agency: Annotated[str, typer.Option("--agency", help="only of this agency and all below")] = "",
) -> None:
    """Domains with owner, mailboxes and signing keys."""
    from mailgov.directory import listing

    run = runtime(ctx)
    with run.database.read() as session:
        rows = listing.domains(session, within=agency)
    run.emit("domain.list/1", rows, listing.DOMAIN_FIELDS)


@app.command(epilog="mailgov domain show sonoivu.tinhmau.gov.vn")
def show(ctx: typer.Context, name: Name) -> None:
    """One domain: owner, state, signing keys, history."""
    from mailgov.directory import listing

    run = runtime(ctx)
    with run.database.read() as session:
        record = listing.domain(session, name)
    run.emit("domain.show/1", [record], tuple(record), single=True)


@app.command(epilog="mailgov domain enable cu.tinhmau.gov.vn")
def enable(ctx: typer.Context, name: Name, reason: Reason = "", dry_run: DryRun = False) -> None:
    """Put a disabled domain into use again."""
    from mailgov.directory.provisioning import enable_domain

    run = runtime(ctx)
    with run.change(dry_run=dry_run) as session:
        change = enable_domain(session, run.act(reason), name)
    run.emit_change("domain.enable/1", change, dry_run=dry_run)


@app.command(epilog='mailgov domain disable cu.tinhmau.gov.vn --reason "sáp nhập"')
def disable(
    ctx: typer.Context,
    name: Name,
    reason: NeededReason,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Take a domain out of use that no open mailbox or alias needs: no new addresses, no signatures."""
    from mailgov.directory.provisioning import disable_domain

    run = runtime(ctx)
    if not (dry_run or yes):
        run.ask("sure-domain-disable", domain=name)
    with run.change(dry_run=dry_run) as session:
        change = disable_domain(session, run.act(reason), name)
    run.emit_change("domain.disable/1", change, dry_run=dry_run)
    if not (change.nothing or dry_run):
        run.next(f"mailgov domain remove {change.target}")


@app.command(epilog='mailgov domain remove cu.tinhmau.gov.vn --reason "trả lại tên miền"')
def remove(
    ctx: typer.Context,
    name: Name,
    reason: NeededReason,
    confirm: Annotated[
        str,
        typer.Option(
            "--confirm", help="the domain once more: this can't be undone", metavar="NAME"
        ),
    ] = "",
    dry_run: DryRun = False,
) -> None:
    """Forget a disabled domain that nothing is left of; its signing keys are deleted."""
    from mailgov.addresses import parse_domain
    from mailgov.directory.provisioning import remove_domain
    from mailgov.signing import key_folder

    run = runtime(ctx)
    domain = parse_domain(name)
    if not dry_run:
        run.require_name(domain, confirm, "sure-domain-remove", domain=domain)
    with run.change(dry_run=dry_run) as session:
        change, files = remove_domain(session, run.act(reason), domain)
    for file in [] if dry_run else files:
        (key_folder(run.config) / file).unlink(missing_ok=True)
    run.emit_change("domain.remove/1", change, dry_run=dry_run)
