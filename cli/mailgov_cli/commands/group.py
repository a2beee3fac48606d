"""`mailgov group`: one address for many mailboxes."""

from typing import Annotated

import typer

from mailgov_cli import group_import
from mailgov_cli.exits import UsageMistake
from mailgov_cli.grammar import Noun
from mailgov_cli.options import DryRun, NeededReason, Reason, Yes
from mailgov_cli.runtime import runtime

app = Noun()

Group = Annotated[str, typer.Argument(help="address of the group", metavar="GROUP")]


@app.command("list", epilog="mailgov group list")
def list_(ctx: typer.Context) -> None:
    """Groups with the number of mailboxes they lead to, and who may write to them."""
    from mailgov.directory import listing

    run = runtime(ctx)
    with run.database.read() as session:
        rows = listing.groups(session, run.config.limits)
    run.emit("group.list/1", rows, listing.GROUP_FIELDS)


@app.command(epilog="mailgov group show cac-phong@sonoivu.tinhmau.gov.vn")
def show(ctx: typer.Context, group: Group) -> None:
    """Members of a group as they were added: mailboxes, groups, branches; and its moderators."""
    from mailgov.clock import local_date, utc_now
    from mailgov.directory import listing

    run = runtime(ctx)
    with run.database.read() as session:
        rows = listing.group_members(session, group, local_date(utc_now()))
    run.emit("group.show/1", rows, listing.MEMBER_FIELDS)


@app.command(epilog="mailgov group add cac-phong@sonoivu.tinhmau.gov.vn --agency H99.02")
def add(
    ctx: typer.Context,
    group: Group,
    agency: Annotated[str, typer.Option("--agency", help="code of the agency that it belongs to")],
    name: Annotated[str, typer.Option("--name", help="what people see")] = "",
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """Give a group its address; only state agencies may write to it."""
    from mailgov.directory.provisioning import add_group

    run = runtime(ctx)
    with run.change(dry_run=dry_run) as session:
        change = add_group(session, run.act(reason), address=group, agency=agency, name=name)
    run.emit_change("group.add/1", change, dry_run=dry_run)


@app.command(
    epilog="""mailgov group members cac-phong@sonoivu.tinhmau.gov.vn --add nvan@sonoivu.tinhmau.gov.vn
    mailgov group members toan-so@sonoivu.tinhmau.gov.vn --add H99.02"""
)
def members(
    ctx: typer.Context,
    group: Group,
    add_: Annotated[
        str, typer.Option("--add", help="address of a mailbox or group, or code of an agency")
    ] = "",
    remove_: Annotated[str, typer.Option("--remove", help="the member to take out")] = "",
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """Add or take out a member: a mailbox, a group, or the people of an agency and all below it."""
    from mailgov.directory.provisioning import add_member, remove_member

    if bool(add_) == bool(remove_):
        raise UsageMistake("group-add-or-remove")
    run = runtime(ctx)
    act, most = run.act(reason), run.config.limits.group_recipients
    with run.change(dry_run=dry_run) as session:
        if add_:
            change = add_member(session, act, group, add_, most)
        else:
            change = remove_member(session, act, group, remove_)
    run.emit_change("group.members/1", change, dry_run=dry_run)


@app.command(
    epilog="mailgov group edit toan-so@sonoivu.tinhmau.gov.vn --mode moderated --moderator nvan@sonoivu.tinhmau.gov.vn"
)
def edit(
    ctx: typer.Context,
    group: Group,
    mode: Annotated[
        str,
        typer.Option(
            "--mode", help="who writes without a moderator: open (all), members, moderated (none)"
        ),
    ] = "",
    moderator: Annotated[
        list[str] | None,
        typer.Option("--moderator", help="mailbox that shall moderate; may be given again"),
    ] = None,
    no_moderator: Annotated[
        list[str] | None,
        typer.Option("--no-moderator", help="mailbox that shall not; may be given again"),
    ] = None,
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """Say who may write to a group; large groups are moderated whatever their mode is."""
    from mailgov.directory.provisioning import edit_group

    if not (mode or moderator or no_moderator):
        raise UsageMistake("group-edit-what")
    run = runtime(ctx)
    with run.change(dry_run=dry_run) as session:
        change = edit_group(
            session,
            run.act(reason),
            group,
            mode=mode,
            add=moderator or (),
            remove=no_moderator or (),
        )
    run.emit_change("group.edit/1", change, dry_run=dry_run)


@app.command(
    epilog='mailgov group remove cac-phong@sonoivu.tinhmau.gov.vn --reason "sắp xếp lại" --yes'
)
def remove(
    ctx: typer.Context,
    group: Group,
    reason: NeededReason,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """End a group: mail to it is refused from then on, and its address stays taken."""
    from mailgov.directory.provisioning import remove_group

    run = runtime(ctx)
    if not (dry_run or yes):
        run.ask("sure-group", group=group)
    with run.change(dry_run=dry_run) as session:
        change = remove_group(session, run.act(reason), group)
    run.emit_change("group.remove/1", change, dry_run=dry_run)


app.command(
    "import",
    epilog="""mailgov group import nhom.xlsx --dry-run
    mailgov group import nhom.csv --yes""",
)(group_import.import_)
