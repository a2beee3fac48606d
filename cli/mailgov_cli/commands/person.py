"""`mailgov person`: people on the staff list, their posts and their history."""

from datetime import datetime
from typing import Annotated

import typer

from mailgov_cli.grammar import Noun
from mailgov_cli.options import LIMIT, DryRun, Limit, Reason
from mailgov_cli.runtime import runtime

app = Noun()
post = Noun()
app.add_typer(post, name="post")

_DAYS = ["%Y-%m-%d", "%d/%m/%Y"]
StaffNo = Annotated[str, typer.Argument(help="number on the staff list", metavar="STAFF-NO")]
Title = Annotated[str, typer.Option("--title", help="the post, such as Chủ tịch")]


@app.command("list", epilog="mailgov person list --agency H99.02\nmailgov person list --name ha")
def list_(
    ctx: typer.Context,
    agency: Annotated[str, typer.Option("--agency", help="only of this agency and all below")] = "",
    name: Annotated[
        str, typer.Option("--name", help="part of the name, with or without diacritics")
    ] = "",
    left: Annotated[bool, typer.Option("--left", help="those who have left")] = False,
    limit: Limit = LIMIT,
) -> None:
    """People on the staff list, by given name."""
    from mailgov.directory import people

    run = runtime(ctx)
    with run.database.read() as session:
        rows = people.people(session, within=agency, name=name, left=left, limit=limit + 1)
    run.emit("person.list/1", rows[:limit], people.FIELDS)
    run.tell_of_more(rows, limit)


@app.command(epilog="mailgov person show VC-00417\nmailgov person show VC-00417 --json")
def show(ctx: typer.Context, staff_no: StaffNo) -> None:
    """One person: agency, posts, mailboxes, what they keep, history."""
    from mailgov.directory import people

    run = runtime(ctx)
    with run.database.read() as session:
        record = people.person(session, staff_no)
    run.emit("person.show/1", [record], tuple(record), single=True)


@app.command(epilog='mailgov person edit VC-00417 --name "Nguyễn Văn Ân" --reason "sửa giấy tờ"')
def edit(
    ctx: typer.Context,
    staff_no: StaffNo,
    name: Annotated[str | None, typer.Option("--name", help="full name")] = None,
    title: Annotated[str | None, typer.Option("--title", help="position on the list")] = None,
    group: Annotated[
        str | None,
        typer.Option("--group", help="lanh-dao, cong-chuc, vien-chuc, nguoi-lao-dong"),
    ] = None,
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """Change what the staff list says of a person; the mailbox shows the new name."""
    from mailgov.directory.people import edit_person

    run = runtime(ctx)
    with run.change(dry_run=dry_run) as session:
        change = edit_person(
            session, run.act(reason), staff_no, name=name, title=title, group=group
        )
    run.emit_change("person.edit/1", change, dry_run=dry_run)


@post.command(
    "add",
    epilog="mailgov person post add VC-00417 --title Chủ-tịch --agency H99.47 --mailbox chutich@xahoabinh.tinhmau.gov.vn --from 2026-12-01",
)
def post_add(
    ctx: typer.Context,
    staff_no: StaffNo,
    title: Title,
    agency: Annotated[str, typer.Option("--agency", help="where the post is", metavar="CODE")],
    from_: Annotated[datetime, typer.Option("--from", formats=_DAYS, help="first day")],
    until: Annotated[
        datetime | None, typer.Option("--until", formats=_DAYS, help="last day, if it is known")
    ] = None,
    mailbox: Annotated[
        str, typer.Option("--mailbox", help="of the post; it passes to this person")
    ] = "",
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """Give a person a post; its mailbox passes from whoever held it, on the first day."""
    from mailgov.db.models import Agency
    from mailgov.directory.posts import get_person
    from mailgov.lifecycle.performers import PERFORMERS
    from mailgov.lifecycle.posts import BEGIN
    from mailgov_cli import acts

    run = runtime(ctx)
    with run.change(dry_run=dry_run) as session:
        person = get_person(session, staff_no)
        asked = acts.Asked(
            kind=BEGIN,
            noun="person",
            verb="edit",
            subject=person.staff_no,
            agency_code=session.get_one(Agency, person.agency_id).code,
            on=from_.date(),
            arguments={
                "title": title,
                "agency": agency,
                "last_day": until.date().isoformat() if until else "",
                "mailbox": mailbox,
            },
        )
        change = acts.carry_out(session, asked, run.act(reason), PERFORMERS)
    acts.show(run, "person.post.add/1", change, dry_run=dry_run)


@post.command("end", epilog="mailgov person post end VC-00417 --title Chủ-tịch --on 2026-11-30")
def post_end(
    ctx: typer.Context,
    staff_no: StaffNo,
    title: Title,
    on: Annotated[datetime, typer.Option("--on", formats=_DAYS, help="last day")],
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """Let a post end with a day; its mailbox is nobody's then."""
    from mailgov.directory.posts import leave_post

    run = runtime(ctx)
    with run.change(dry_run=dry_run) as session:
        change = leave_post(
            session, run.act(reason), staff_no=staff_no, title=title, last_day=on.date()
        )
    run.emit_change("person.post.end/1", change, dry_run=dry_run)


def keepers(
    ctx: typer.Context,
    address: Annotated[str, typer.Argument(help="the mailbox", metavar="ADDRESS")],
    keeper: Annotated[
        str | None,
        typer.Option("--keeper", help="who answers for it; empty: nobody", metavar="STAFF-NO"),
    ] = None,
    deputy: Annotated[
        str | None, typer.Option("--deputy", help="who stands in", metavar="STAFF-NO")
    ] = None,
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """Say who answers for the mailbox of an office, and who stands in; both may use it."""
    from mailgov.directory.posts import set_keepers

    run = runtime(ctx)
    with run.change(dry_run=dry_run) as session:
        change = set_keepers(session, run.act(reason), address, keeper=keeper, deputy=deputy)
    run.emit_change("mailbox.keepers/1", change, dry_run=dry_run)
