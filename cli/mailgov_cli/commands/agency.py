"""`mailgov agency`: the tree of units."""

from datetime import datetime
from typing import Annotated

import typer

from mailgov_cli import agency_import
from mailgov_cli.commands import agency_order
from mailgov_cli.grammar import Noun
from mailgov_cli.options import DryRun, Reason
from mailgov_cli.output import Format
from mailgov_cli.runtime import runtime

app = Noun()

Code = Annotated[str, typer.Argument(help="official code, such as H99.02", metavar="CODE")]
Name = Annotated[str, typer.Option("--name", help="full name in Vietnamese")]
Level = Annotated[
    str,
    typer.Option(
        "--level",
        "--kind",
        help="ministry, ministry-unit, province, department, department-unit, ward, commune, special-zone",
    ),
]
Day = Annotated[
    datetime | None,
    typer.Option("--from", formats=["%Y-%m-%d", "%d/%m/%Y"], help="first day: 2026-12-01"),
]
Headcount = Annotated[int, typer.Option("--headcount", min=0, help="officials of the unit itself")]


@app.command(
    epilog="""mailgov agency add H99 --name "UBND tỉnh Mẫu" --level province
    mailgov agency add H99.02 --name "Sở Nội vụ" --parent H99 --level department --short-name SNV"""
)
def add(
    ctx: typer.Context,
    code: Code,
    name: Name,
    level: Level,
    parent: Annotated[
        str, typer.Option("--parent", help="code of the agency above; default: from the code")
    ] = "",
    name_en: Annotated[str, typer.Option("--name-en", help="name in English")] = "",
    short_name: Annotated[
        str, typer.Option("--short-name", help="abbreviation in notations of documents")
    ] = "",
    headcount: Headcount = 0,
    regulation: Annotated[
        str, typer.Option("--regulation", help="number of its e-mail regulation in force")
    ] = "",
    from_: Day = None,
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """Add an agency under its official code; codes are never used again."""
    from mailgov.directory.provisioning import add_agency

    run = runtime(ctx)
    with run.change(dry_run=dry_run) as session:
        change = add_agency(
            session,
            run.act(reason),
            code=code,
            name=name,
            level=level,
            parent=parent,
            name_en=name_en,
            short_name=short_name,
            headcount=headcount,
            regulation=regulation,
            valid_from=from_.date() if from_ else None,
        )
    run.emit_change("agency.add/1", change, dry_run=dry_run)
    if not (change.nothing or dry_run):
        run.next(f"mailgov domain add DOMAIN --agency {code}")


@app.command(
    epilog="""mailgov agency edit H99.02 --headcount 148
    mailgov agency edit H99.02 --regulation 27/2023/QĐ-UBND
    mailgov agency edit H99.02 --name "Sở Nội vụ tỉnh Mẫu" --on 2026-12-01
    mailgov agency edit H99 --address-scheme initials-given --person-quota 10240
    mailgov agency edit H99 --grace-months 6 --leader-grace-months 12 --retention-months 24"""
)
def edit(
    ctx: typer.Context,
    code: Code,
    name: Annotated[str | None, typer.Option("--name", help="full name in Vietnamese")] = None,
    name_en: Annotated[str | None, typer.Option("--name-en", help="name in English")] = None,
    short_name: Annotated[
        str | None, typer.Option("--short-name", help="abbreviation in notations of documents")
    ] = None,
    level: Annotated[
        str | None, typer.Option("--level", "--kind", help="as in mailgov agency add")
    ] = None,
    headcount: Annotated[
        int | None, typer.Option("--headcount", min=0, help="officials of the unit itself")
    ] = None,
    regulation: Annotated[
        str | None, typer.Option("--regulation", help="number of its e-mail regulation in force")
    ] = None,
    address_scheme: Annotated[
        str | None,
        typer.Option(
            "--address-scheme",
            help="of its people: given-initials, initials-given, full, given-initials.unit, initials-given.unit; empty: as above it",
        ),
    ] = None,
    person_quota: Annotated[
        int | None,
        typer.Option("--person-quota", min=0, help="MiB of new mailboxes of people; 0: as above"),
    ] = None,
    office_quota: Annotated[
        int | None,
        typer.Option("--office-quota", min=0, help="MiB of new office mailboxes; 0: as above"),
    ] = None,
    grace_months: Annotated[
        int | None,
        typer.Option(
            "--grace-months",
            min=0,
            max=120,
            help="months of grace of a recalled mailbox; 0: as above",
        ),
    ] = None,
    leader_grace_months: Annotated[
        int | None,
        typer.Option(
            "--leader-grace-months", min=0, max=120, help="the same for leaders; 0: as above"
        ),
    ] = None,
    retention_months: Annotated[
        int | None,
        typer.Option(
            "--retention-months",
            min=0,
            max=1200,
            help="months for which mail is kept after the grace; 0: as above",
        ),
    ] = None,
    on: Annotated[
        datetime | None,
        typer.Option(
            "--on", formats=["%Y-%m-%d", "%d/%m/%Y"], help="since when it is so; default: today"
        ),
    ] = None,
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """Change what an agency declares about itself; what it was stays known by date."""
    from mailgov.directory.provisioning import edit_agency

    run = runtime(ctx)
    with run.change(dry_run=dry_run) as session:
        change = edit_agency(
            session,
            run.act(reason),
            code=code,
            on=on.date() if on else None,
            name=name,
            name_en=name_en,
            short_name=short_name,
            level=level,
            headcount=headcount,
            regulation=regulation,
            address_scheme=address_scheme,
            person_quota_mb=person_quota,
            office_quota_mb=office_quota,
            grace_months=grace_months,
            leader_grace_months=leader_grace_months,
            retention_months=retention_months,
        )
    run.emit_change("agency.edit/1", change, dry_run=dry_run)


@app.command("list", epilog="mailgov agency list\nmailgov agency list --agency H99 --level commune")
def list_(
    ctx: typer.Context,
    agency: Annotated[str, typer.Option("--agency", help="only this agency and all below it")] = "",
    level: Annotated[str, typer.Option("--level", "--kind", help="only this level")] = "",
) -> None:
    """Agencies with headcount, mailboxes and domains of their own."""
    from mailgov.directory import listing

    run = runtime(ctx)
    with run.database.read() as session:
        rows = listing.agencies(session, within=agency, level=level)
    run.emit("agency.list/1", rows, listing.AGENCY_FIELDS)


@app.command(epilog="mailgov agency show H99.02\nmailgov agency show H99.02 --json")
def show(ctx: typer.Context, code: Code) -> None:
    """One agency: names, place in the tree, figures, domains, history."""
    from mailgov import lookups

    run = runtime(ctx)
    record = lookups.agency(run.lookups, code)
    run.emit("agency.show/1", [record], tuple(record), single=True)


@app.command(
    epilog="mailgov agency tree\nmailgov agency tree H99.02\nmailgov agency tree H99 --at 2025-06-30"
)
def tree(
    ctx: typer.Context,
    code: Annotated[
        str, typer.Argument(help="top of the branch; none: everything", metavar="CODE")
    ] = "",
    at: Annotated[
        datetime | None,
        typer.Option("--at", formats=["%Y-%m-%d", "%d/%m/%Y"], help="as it was on that day"),
    ] = None,
) -> None:
    """The tree of today or of a day; figures include everything below."""
    from mailgov.clock import utc_now
    from mailgov.directory import agency_tree

    run = runtime(ctx)
    with run.database.read() as session:
        day = at.date() if at else None
        rows = agency_tree.agency_tree(session, code, at=day, now=utc_now())
    if run.shown_format is Format.TABLE:
        # Programs have the depth as a number; people see it.
        for row in rows:
            row["name"] = "  " * row["depth"] + row["name"]
    run.emit("agency.tree/1", rows, agency_tree.FIELDS)


app.command(
    "move",
    epilog="mailgov agency move H99.02.03 --to H99.01 --on 2026-12-01 -n",
)(agency_order.move)
app.command(
    "merge",
    epilog="""mailgov agency merge H99.41 H99.42 --into H99.50 --on 2026-12-01 --addresses alias -n
    mailgov agency merge H98 --into H99 --on 2027-07-01 --addresses alias --domain tinhcu.gov.vn=tinhmau.gov.vn --until 2028-06-30""",
)(agency_order.merge)
app.command(
    "close",
    epilog="mailgov agency close H99.41 --on 2026-11-30 --mailboxes-to H99 -n",
)(agency_order.close)
app.command(
    "stragglers",
    epilog="""mailgov agency stragglers H99.50 --since 30d
    mailgov agency stragglers H99.50 --names --reason "nhắc đổi địa chỉ" -o con-dung.csv""",
)(agency_order.stragglers)
app.command("template", changes=False, epilog="mailgov agency template mau-co-quan.xlsx")(
    agency_import.template
)
app.command(
    "import",
    epilog="""mailgov agency import co-quan.xlsx -n
    mailgov agency import co-quan.xlsx --yes --reason tháng-11""",
)(agency_import.import_)
app.command(
    "export",
    epilog="""mailgov agency export -o co-quan.xlsx
    mailgov agency export --agency H99 --format csv -o co-quan.csv""",
)(agency_import.export)
