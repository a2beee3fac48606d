"""`mailgov dns`: what domains publish, and whether they do."""

import asyncio
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from mailgov_cli import words
from mailgov_cli.exits import Exit, UsageMistake
from mailgov_cli.grammar import Noun
from mailgov_cli.runtime import Runtime, runtime

if TYPE_CHECKING:
    from mailgov.authentication.published import Checked
    from mailgov.signing.dns_records import Record

app = Noun()


@app.command(
    epilog="""mailgov dns records sonoivu.tinhmau.gov.vn
    mailgov dns records sonoivu.tinhmau.gov.vn --zone"""
)
def records(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="the domain", metavar="NAME")],
    zone: Annotated[bool, typer.Option("--zone", help="as lines of a zone file")] = False,
) -> None:
    """Records to publish: MX, SPF, DKIM, DMARC, MTA-STS, TLS-RPT, BIMI off, SRV, autoconfig, DANE, PTR."""
    run = runtime(ctx)
    found = _records(run, name)
    if zone and not run.as_json:
        sys.stdout.writelines(f"{record.zone_line()}\n" for record in found)
        return
    rows = [
        {
            "name": record.name,
            "type": record.type,
            "value": record.value,
            "purpose": record.purpose,
            "zone_line": record.zone_line(),
        }
        for record in found
    ]
    fields = ("name", "type", "value", "purpose", *(("zone_line",) if run.as_json else ()))
    run.emit("dns.records/1", rows, fields)


@app.command(
    epilog="""mailgov dns check sonoivu.tinhmau.gov.vn
    mailgov dns check --all --format csv -o dns.csv"""
)
def check(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="the domain", metavar="NAME")] = "",
    all_: Annotated[bool, typer.Option("--all", help="every domain")] = False,
) -> None:
    """Compare DNS with the records to publish: found, expected, how to mend it.

    Exit 8 when something is missing or differs, 9 when DNS does not answer.
    """
    from mailgov.authentication.published import FAULTS, State
    from mailgov.directory import listing

    run = runtime(ctx)
    if all_ == bool(name):
        raise UsageMistake("domain-or-all")
    with run.database.read() as session:
        names = [row["name"] for row in listing.domains(session)] if all_ else [name]
    # Those of the server itself are the same for all of its domains.
    wanted = list(dict.fromkeys(record for domain in names for record in _records(run, domain)))
    results = asyncio.run(_check_all(run, wanted))
    rows = [
        {
            "name": result.record.name,
            "type": result.record.type,
            "purpose": result.record.purpose,
            "state": result.state.value,
            "found": list(result.found),
            "expected": result.record.value,
            "problem": result.problem,
            "fix": _fix(run, result),
        }
        for result in results
    ]
    shown = ("name", "type", "state", "found", "expected", "fix")
    run.emit("dns.check/1", rows, (*shown, "purpose", "problem") if run.as_json else shown)
    if any(result.state in FAULTS for result in results):
        raise typer.Exit(Exit.FOUND)
    if any(result.state is State.UNANSWERED for result in results):
        raise typer.Exit(Exit.TEMPORARY)


def _fix(run: Runtime, result: "Checked") -> str:
    if not result.problem:
        return ""
    record = result.record
    fields = {"name": record.name, "line": record.zone_line(), "value": record.value}
    return words.say(run.language, "dns-fix", result.problem, **fields)


def _records(run: Runtime, name: str) -> "list[Record]":
    from mailgov.directory.provisioning import get_domain
    from mailgov.signing.dns_records import records_for
    from mailgov.signing.keys import keys_of

    try:
        certificate = run.config.certificate.read_bytes()
    except OSError:
        certificate = b""  # `mailgov doctor` tells of that
    with run.database.read() as session:
        domain = get_domain(session, name).name
        return records_for(
            domain,
            run.config.site.hostname,
            keys_of(session, domain),
            report_mailbox=run.config.authentication.report_mailbox,
            certificate=certificate,
        )


async def _check_all(run: Runtime, wanted: "Sequence[Record]") -> "list[Checked]":
    from mailgov.authentication.published import check_records
    from mailgov.resolver import DnsResolver

    return await check_records(wanted, DnsResolver(run.config.dns), run.config.site.hostname)
