"""`mailgov dkim`: the keys that sign outgoing mail."""

import asyncio
from typing import Annotated, Literal

import typer

from mailgov_cli.exits import Exit
from mailgov_cli.grammar import Noun
from mailgov_cli.options import DryRun, Reason
from mailgov_cli.runtime import runtime

app = Noun()

Name = Annotated[str, typer.Argument(help="the domain", metavar="NAME")]
FIELDS = ("domain", "selector", "algorithm", "state", "created_at", "file")


@app.command(
    epilog="""mailgov dkim generate sonoivu.tinhmau.gov.vn
    mailgov dkim generate sonoivu.tinhmau.gov.vn --selector 2026b --type ed25519"""
)
def generate(
    ctx: typer.Context,
    name: Name,
    selector: Annotated[
        str, typer.Option("--selector", help="default: year and a letter, such as 2026a")
    ] = "",
    type_: Annotated[
        Literal["rsa2048", "ed25519"], typer.Option("--type", help="kind of key")
    ] = "rsa2048",
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """Make a key and print the record to publish; the private half stays in the data folder."""
    from mailgov.addresses import parse_domain
    from mailgov.clock import utc_now
    from mailgov.directory.provisioning import get_domain
    from mailgov.signing.dns_records import dkim_record
    from mailgov.signing.keys import create_key, default_selector, keys_of

    run = runtime(ctx)
    domain = parse_domain(name)
    act = run.act(reason)
    with run.change(dry_run=dry_run) as session:
        get_domain(session, domain)
        taken = [key.selector for key in keys_of(session, domain)]
        chosen = selector or default_selector(utc_now, taken)
        if dry_run:
            # Making the pair would leave a file behind, and another pair is made when it counts.
            _require_free(domain, chosen, taken)
            record = {"domain": domain, "selector": chosen, "algorithm": type_, "dry_run": True}
        else:
            key = create_key(
                session,
                run.config.data.path / "keys",
                domain,
                chosen,
                type_,
                actor=act.actor,
                reason=act.reason,
            )
            published = dkim_record(domain, key)
            record = {
                "domain": domain,
                "selector": key.selector,
                "algorithm": key.algorithm,
                "state": key.state,
                "record_name": published.name,
                "record_type": published.type,
                "record_value": published.value,
            }
    run.emit("dkim.generate/1", [record], tuple(record), single=True)
    target = f"{record['selector']}._domainkey.{domain}"
    run.say("dry-run" if dry_run else "add", noun=run.noun("dkim"), target=target)
    if not dry_run:
        run.next(f"mailgov dns records {domain} --zone")


def _require_free(domain: str, selector: str, taken: list[str]) -> None:
    from mailgov.errors import Conflict
    from mailgov.signing.keys import parse_selector

    if parse_selector(selector) in taken:
        raise Conflict("selector-taken", domain=domain, selector=selector)


@app.command("list", epilog="mailgov dkim list\nmailgov dkim list sonoivu.tinhmau.gov.vn")
def list_(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="only of this domain", metavar="NAME")] = "",
) -> None:
    """Signing keys; the private halves are files in the data folder and are never shown."""
    from sqlmodel import select

    from mailgov.db.models import DkimKey, Domain
    from mailgov.directory.provisioning import get_domain

    run = runtime(ctx)
    with run.database.read() as session:
        query = select(DkimKey, Domain.name).join(Domain).order_by(Domain.name, DkimKey.selector)
        if name:
            query = query.where(DkimKey.domain_id == get_domain(session, name).id)
        rows = [
            {
                "domain": domain,
                "selector": key.selector,
                "algorithm": key.algorithm,
                "state": key.state,
                "created_at": key.created_at,
                "file": key.file_name,
            }
            for key, domain in session.exec(query)
        ]
    run.emit("dkim.list/1", rows, FIELDS)


@app.command(epilog="mailgov dkim activate sonoivu.tinhmau.gov.vn 2026b")
def activate(
    ctx: typer.Context,
    name: Name,
    selector: Annotated[str, typer.Argument(help="selector of the key", metavar="SELECTOR")],
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """Sign with this key from now on; refused (exit 8) until DNS shows its record."""
    from mailgov.addresses import parse_domain
    from mailgov.directory.change import Change
    from mailgov.resolver import DnsResolver
    from mailgov.signing.dns_check import State, check
    from mailgov.signing.dns_records import dkim_record
    from mailgov.signing.keys import activate_key, get_key

    run = runtime(ctx)
    domain = parse_domain(name)
    with run.database.read() as session:
        record = dkim_record(domain, get_key(session, domain, selector))
    checked = asyncio.run(check(record, DnsResolver(run.config.dns)))
    if checked.state is not State.OK:
        row = {"name": record.name, "state": checked.state, "expected": record.value}
        run.emit("dkim.activate/1", [row], tuple(row), single=True)
        run.say("not-published", target=record.name)
        raise typer.Exit(Exit.FOUND)
    act = run.act(reason)
    with run.change(dry_run=dry_run) as session:
        fields = activate_key(session, domain, selector, actor=act.actor, reason=act.reason)
    change = Change("dkim", "edit", record.name, fields)
    run.emit_change("dkim.activate/1", change, dry_run=dry_run)
