"""`mailgov domain`: the domains that mail is taken for."""

from typing import Annotated

import typer

from mailgov_cli.grammar import Noun
from mailgov_cli.options import DryRun, Reason
from mailgov_cli.runtime import runtime

app = Noun()

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
