"""`mailgov agency`: the tree of units."""

from typing import Annotated

import typer

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
        )
    run.emit_change("agency.add/1", change, dry_run=dry_run)
    if not (change.nothing or dry_run):
        run.next(f"mailgov domain add DOMAIN --agency {code}")


@app.command(
    epilog="""mailgov agency edit H99.02 --headcount 148
    mailgov agency edit H99.02 --regulation 27/2023/QĐ-UBND"""
)
def edit(
    ctx: typer.Context,
    code: Code,
    name: Annotated[str | None, typer.Option("--name", help="full name in Vietnamese")] = None,
    headcount: Annotated[
        int | None, typer.Option("--headcount", min=0, help="officials of the unit itself")
    ] = None,
    regulation: Annotated[
        str | None, typer.Option("--regulation", help="number of its e-mail regulation in force")
    ] = None,
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """Change what an agency declares about itself."""
    from mailgov.directory.provisioning import edit_agency

    run = runtime(ctx)
    with run.change(dry_run=dry_run) as session:
        change = edit_agency(
            session,
            run.act(reason),
            code=code,
            name=name,
            headcount=headcount,
            regulation=regulation,
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


@app.command(epilog="mailgov agency tree\nmailgov agency tree H99.02")
def tree(
    ctx: typer.Context,
    code: Annotated[
        str, typer.Argument(help="top of the branch; none: everything", metavar="CODE")
    ] = "",
) -> None:
    """The tree; figures include everything below."""
    from mailgov.directory import listing

    run = runtime(ctx)
    with run.database.read() as session:
        rows = listing.agency_tree(session, code)
    if run.shown_format is Format.TABLE:
        # Programs have the depth as a number; people see it.
        for row in rows:
            row["name"] = "  " * row["depth"] + row["name"]
    fields = ("code", "name", "level", "depth", "headcount", "mailboxes", "domains")
    run.emit("agency.tree/1", rows, fields)
