"""`mailgov dmarc`: what others report of our domains, and what we report to them."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from mailgov_cli.grammar import Noun
from mailgov_cli.options import LIMIT, DryRun, Limit, Since, parse_moment
from mailgov_cli.runtime import Runtime, runtime

app = Noun()


@app.command(epilog="mailgov dmarc board\nmailgov dmarc board --since 30d --json")
def board(ctx: typer.Context, since: Since = "30d") -> None:
    """Each domain: messages in its name that others saw, how many of them passed, TLS on the way."""
    from mailgov.authentication.reports.board import board as lines

    run = runtime(ctx)
    with run.database.read() as session:
        rows = [
            {
                "domain": line.domain,
                "reporters": line.reporters,
                "messages": line.messages,
                "aligned": line.aligned,
                "failing": line.failing,
                "quarantined": line.quarantined,
                "rejected": line.rejected,
                "tls_sessions": line.tls_sessions,
                "tls_failures": line.tls_failures,
            }
            for line in lines(session, _moment(since))
        ]
    fields = (
        "domain", "reporters", "messages", "aligned", "failing", "quarantined", "rejected",
        "tls_sessions", "tls_failures",
    )  # fmt: skip
    run.emit("dmarc.board/1", rows, fields)


@app.command(epilog="mailgov dmarc sources sonoivu.tinhmau.gov.vn --since 7d")
def sources(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="the domain", metavar="NAME")],
    since: Since = "30d",
    limit: Limit = LIMIT,
) -> None:
    """Hosts that sent in the name of a domain, by what others report; most failing first."""
    from mailgov.authentication.reports.board import sources as lines
    from mailgov.directory.provisioning import get_domain

    run = runtime(ctx)
    with run.database.read() as session:
        domain = get_domain(session, name).name
        found = lines(session, domain, _moment(since), limit + 1)
    rows = [
        {
            "source": line.source,
            "header_from": line.header_from,
            "messages": line.messages,
            "aligned": line.aligned,
            "dkim": line.dkim,
            "spf": line.spf,
        }
        for line in found
    ]
    fields = ("source", "header_from", "messages", "aligned", "dkim", "spf")
    run.emit("dmarc.sources/1", rows[:limit], fields)
    run.tell_of_more(rows, limit)


@app.command(epilog="mailgov dmarc reports\nmailgov dmarc reports --sent --since 7d")
def reports(
    ctx: typer.Context,
    sent: Annotated[bool, typer.Option("--sent", help="those that we sent to others")] = False,
    since: Since = "30d",
    limit: Limit = LIMIT,
) -> None:
    """Reports of others about our domains, newest first; with --sent, ours about theirs."""
    run = runtime(ctx)
    if sent:
        _sent(run, since, limit)
    else:
        _received(run, since, limit)


def _received(run: Runtime, since: str, limit: int) -> None:
    from mailgov.authentication.reports.board import received

    with run.database.read() as session:
        rows = [
            {
                "received_at": one.received_at,
                "kind": one.kind,
                "organisation": one.organisation,
                "domain": one.domain,
                "begins_at": one.begins_at,
                "ends_at": one.ends_at,
                "report_id": one.report_id,
            }
            for one in received(session, _moment(since), limit + 1)
        ]
    fields = (
        "received_at", "kind", "organisation", "domain", "begins_at", "ends_at", "report_id"
    )  # fmt: skip
    run.emit("dmarc.reports/1", rows[:limit], fields)
    run.tell_of_more(rows, limit)


def _sent(run: Runtime, since: str, limit: int) -> None:
    from mailgov.authentication.reports.board import sent

    with run.database.read() as session:
        rows = [
            {
                "made_at": one.made_at,
                "kind": one.kind,
                "domain": one.domain,
                "begins_at": one.begins_at,
                "state": one.state,
                "messages": one.messages,
                "recipients": one.recipients,
                "queue_id": one.queue_id,
            }
            for one in sent(session, _moment(since), limit + 1)
        ]
    fields = (
        "made_at", "kind", "domain", "begins_at", "state", "messages", "recipients", "queue_id"
    )  # fmt: skip
    run.emit("dmarc.sent/1", rows[:limit], fields)
    run.tell_of_more(rows, limit)


@app.command("import", epilog="mailgov dmarc import google.com!tinhmau.gov.vn!1700000000.xml.gz")
def import_(
    ctx: typer.Context,
    files: Annotated[
        list[Path], typer.Argument(help="reports, packed or not, or mails", metavar="FILE…")
    ],
    dry_run: DryRun = False,
) -> None:
    """Add reports from files to the board; those that are there, or of other domains, are passed over."""
    from mailgov.authentication.reports.received import keep_report, read_file
    from mailgov.authentication.reports.unpack import MAX_PACKED_BYTES
    from mailgov.clock import utc_now
    from mailgov.errors import InputError

    run = runtime(ctx)
    found = []
    for path in files:
        try:
            with path.open("rb") as file:
                data = file.read(MAX_PACKED_BYTES + 1)
        except OSError as exc:
            raise InputError("file-unreadable", file=path, reason=exc.strerror) from exc
        found += [(path, report) for report in read_file(data)]
    rows = []
    with run.change(dry_run=dry_run) as session:
        for path, report in found:
            kept = keep_report(session, report, utc_now())
            rows.append(
                {
                    "file": str(path),
                    "kind": report.kind,
                    "organisation": report.organisation,
                    "domain": report.domain,
                    "report_id": report.report_id,
                    "messages": sum(row.count for row in report.rows),
                    "changed": kept,
                }
            )
    fields = ("file", "kind", "organisation", "domain", "report_id", "messages", "changed")
    run.emit("dmarc.import/1", rows, fields)


def _moment(since: str) -> datetime:
    """The moment that `--since` names."""
    from mailgov.clock import utc_now

    now = utc_now()
    return parse_moment(since, now) or now
