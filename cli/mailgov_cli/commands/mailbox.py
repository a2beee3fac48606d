"""`mailgov mailbox`: who has a mailbox, and what may be done with it."""

from typing import Annotated

import typer

from mailgov_cli import bulk, mail_moves
from mailgov_cli.commands import forwarding, mailbox_life, person, sign_in
from mailgov_cli.grammar import Noun, Place
from mailgov_cli.options import (
    LIMIT,
    After,
    DryRun,
    Limit,
    PageLimit,
    PasswordFile,
    Reason,
    Since,
    Until,
    last_day,
    parse_moment,
)
from mailgov_cli.runtime import read_secret, runtime

app = Noun()
app.add_typer(sign_in.app_password, name="app-password")
app.add_typer(sign_in.second_factor, name="second-factor")
app.add_typer(forwarding.forward, name="forward")

Address = Annotated[str, typer.Argument(help="the mailbox", metavar="ADDRESS")]


@app.command(
    epilog="""mailgov mailbox add nvan@sonoivu.tinhmau.gov.vn --name "Nguyễn Văn An" --agency H99.02 --staff-no VC-01902
    mailgov mailbox add @sonoivu.tinhmau.gov.vn --name "Nguyễn Văn An" --agency H99.02 --staff-no VC-01902
    mailgov mailbox add vanthu@sonoivu.tinhmau.gov.vn --agency H99.02 --kind office
    mailgov mailbox add nvan@sonoivu.tinhmau.gov.vn --name "Nguyễn Văn An" --agency H99.02 --staff-no VC-01902 --password-file -"""
)
def add(
    ctx: typer.Context,
    address: Address,
    agency: Annotated[str, typer.Option("--agency", help="code of the agency it belongs to")],
    name: Annotated[
        str, typer.Option("--name", help="of the person, or shown for the office")
    ] = "",
    staff_no: Annotated[
        str, typer.Option("--staff-no", help="number on the staff list; the key of the person")
    ] = "",
    kind: Annotated[str, typer.Option("--kind", help="person, office, post, shared")] = "person",
    title: Annotated[str, typer.Option("--title", help="position of the person")] = "",
    quota: Annotated[
        int | None,
        typer.Option("--quota", min=1, help="MiB; default: 5120, offices and shared ones 20480"),
    ] = None,
    interagency_only: Annotated[
        bool, typer.Option("--interagency-only", help="takes documents of state agencies only")
    ] = False,
    public_contact: Annotated[
        bool,
        typer.Option(
            "--public-contact", help="is there for citizens, and may write to free mailboxes"
        ),
    ] = False,
    contract_months: Annotated[
        int | None,
        typer.Option(
            "--contract-months",
            min=1,
            help="length of the person's labour contract; from 12 on; without it: on the payroll",
        ),
    ] = None,
    address_scheme: Annotated[
        str,
        typer.Option(
            "--address-scheme",
            help="for @DOMAIN: another scheme than the agency's; de-nghi: take what is suggested",
        ),
    ] = "",
    password_file: PasswordFile = None,
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """Give a mailbox to a person on the staff list, or to an office or post."""
    from mailgov.clock import local_date
    from mailgov.directory.addressing import chosen_address
    from mailgov.directory.naming import is_doubtful
    from mailgov.directory.provisioning import NewMailbox, add_mailbox, set_password

    run = runtime(ctx)
    password = read_secret(run, password_file, prompt=False)
    act = run.act(reason)
    with run.change(dry_run=dry_run) as session:
        chosen = chosen_address(
            session,
            address,
            agency=agency,
            name=name,
            staff_no=staff_no,
            scheme=address_scheme,
            today=local_date(act.at),
        )
        new = NewMailbox(
            address=chosen,
            agency=agency,
            name=name,
            kind=kind,
            staff_no=staff_no,
            title=title,
            quota_mb=quota,
            interagency_only=interagency_only,
            public_contact=public_contact,
            contract_months=contract_months,
        )
        change = add_mailbox(session, act, new)
        if password and not change.nothing:
            fields = set_password(session, act, chosen, password, must_change=True)
            change.changes.update(fields.changes)
    run.emit_change("mailbox.add/1", change, dry_run=dry_run)
    if address.startswith("@") and is_doubtful(name) and not change.nothing:
        run.say("name-doubt", name=name, address=chosen)
    if not (password or change.nothing or dry_run):
        run.say("no-password", target=change.target)
        run.next(f"mailgov mailbox password {change.target}")


@app.command(
    "list",
    epilog="""mailgov mailbox list --agency H99.02
    mailgov mailbox list --agency H99.02 --inactive 90d --format csv -o it-dung.csv
    mailgov mailbox list --status suspended --format csv -o tam-khoa.csv""",
)
def list_(
    ctx: typer.Context,
    agency: Annotated[str, typer.Option("--agency", help="only of this agency and all below")] = "",
    status: Annotated[
        str, typer.Option("--status", help="only active, suspended or recalled ones")
    ] = "",
    kind: Annotated[str, typer.Option("--kind", help="only person, office, post, shared")] = "",
    inactive: Annotated[
        str,
        typer.Option(
            "--inactive", help="only active ones that nobody signed in to: 90d, 2026-08-01"
        ),
    ] = "",
    limit: PageLimit = None,
    after: After = "",
) -> None:
    """Mailboxes in the order of their addresses."""
    from mailgov import lookups
    from mailgov.clock import utc_now

    run = runtime(ctx)
    page = run.page_of(limit)
    rows = lookups.mailboxes(
        run.lookups,
        within=agency,
        state=status,
        kind=kind,
        inactive_since=parse_moment(inactive, utc_now()),
        after=after,
        limit=page and page + 1,
    )
    run.emit_page("mailbox.list/1", rows, lookups.MAILBOX_FIELDS, page, "address")


@app.command(epilog="mailgov mailbox show nvan@sonoivu.tinhmau.gov.vn")
def show(ctx: typer.Context, address: Address) -> None:
    """One mailbox: holder, agency, state, quota, aliases, rights, history."""
    from mailgov import lookups

    run = runtime(ctx)
    record = lookups.mailbox(run.lookups, address)
    run.emit("mailbox.show/1", [record], tuple(record), single=True)


@app.command(
    epilog="""mailgov mailbox password nvan@sonoivu.tinhmau.gov.vn
    mailgov mailbox password nvan@sonoivu.tinhmau.gov.vn --password-file mat-khau.txt"""
)
def password(
    ctx: typer.Context,
    address: Address,
    password_file: PasswordFile = None,
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """Set the password of a mailbox; its holder changes it at the first sign-in."""
    from mailgov.directory.provisioning import set_password
    from mailgov.errors import ConsentMissing

    run = runtime(ctx)
    secret = read_secret(run, password_file, prompt=True)
    if secret is None:
        raise ConsentMissing("password-not-asked")
    with run.change(dry_run=dry_run) as session:
        change = set_password(session, run.act(reason), address, secret, must_change=True)
    run.emit_change("mailbox.password/1", change, dry_run=dry_run)


@app.command(
    epilog="mailgov mailbox grant vanthu@sonoivu.tinhmau.gov.vn --to nvan@sonoivu.tinhmau.gov.vn"
)
def grant(
    ctx: typer.Context,
    address: Address,
    to: Annotated[str, typer.Option("--to", help="mailbox of the person who may use it")],
    rights: Annotated[str, typer.Option("--rights", help="read, send-as or on-behalf")] = "send-as",
    until: Until = None,
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """Let a person use another mailbox, such as that of an office."""
    from mailgov.directory.provisioning import grant_send_as

    run = runtime(ctx)
    with run.change(dry_run=dry_run) as session:
        change = grant_send_as(
            session,
            run.act(reason),
            mailbox=address,
            holder=to,
            rights=rights,
            until=last_day(until),
        )
    run.emit_change("mailbox.grant/1", change, dry_run=dry_run)


@app.command(
    epilog="mailgov mailbox revoke vanthu@sonoivu.tinhmau.gov.vn --to nvan@sonoivu.tinhmau.gov.vn"
)
def revoke(
    ctx: typer.Context,
    address: Address,
    to: Annotated[str, typer.Option("--to", help="mailbox of the person who may use it")],
    rights: Annotated[str, typer.Option("--rights", help="read, send-as or on-behalf")] = "send-as",
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """End the right of a person to use another mailbox."""
    from mailgov.directory.provisioning import revoke_delegation

    run = runtime(ctx)
    with run.change(dry_run=dry_run) as session:
        change = revoke_delegation(
            session, run.act(reason), mailbox=address, holder=to, rights=rights
        )
    run.emit_change("mailbox.revoke/1", change, dry_run=dry_run)


@app.command(
    "sign-ins",
    changes=False,
    epilog='mailgov mailbox sign-ins nvan@sonoivu.tinhmau.gov.vn --since 7d --reason "nghi lộ mật khẩu"',
)
def sign_ins(
    ctx: typer.Context,
    address: Address,
    reason: Annotated[str, typer.Option("--reason", help="why; kept in the ledger")],
    since: Since = "",
    limit: Limit = LIMIT,
) -> None:
    """When, how and from where somebody signed in, or tried to; looking is an event itself."""
    from mailgov.directory import listing

    run = runtime(ctx)
    act = run.act(reason)
    with run.database.write() as session:
        rows = listing.sign_ins(
            session, act, address, since=parse_moment(since, act.at), limit=limit + 1
        )
    run.emit("mailbox.sign-ins/1", rows[:limit], listing.SIGN_IN_FIELDS)
    run.tell_of_more(rows, limit)


app.command(
    "edit",
    epilog="""mailgov mailbox edit nvan@sonoivu.tinhmau.gov.vn --title "Phó Trưởng phòng"
    mailgov mailbox edit nvan@sonoivu.tinhmau.gov.vn --quota 10240 --phone 0912345678""",
)(mailbox_life.edit)
app.command(
    "suspend",
    epilog='mailgov mailbox suspend nvan@sonoivu.tinhmau.gov.vn --reason "nghỉ thai sản" --until 2027-05-01',
)(mailbox_life.suspend)
app.command("resume", epilog="mailgov mailbox resume nvan@sonoivu.tinhmau.gov.vn")(
    mailbox_life.resume
)
app.command(
    "transfer",
    epilog="""mailgov mailbox transfer nvan@sonoivu.tinhmau.gov.vn --to H99.03 --on 2026-12-01 --new-address nvan@sotaichinh.tinhmau.gov.vn -n
    mailgov mailbox transfer nvan@sonoivu.tinhmau.gov.vn --to H99.02.01 --on 01/12/2026 --yes
    mailgov mailbox transfer nvan@sonoivu.tinhmau.gov.vn --to H99.03 --on 2026-12-01 --new-address nvan@sotaichinh.tinhmau.gov.vn --mail stay --yes""",
)(mailbox_life.transfer)
app.command(
    "recall",
    epilog="""mailgov mailbox recall ttb@sonoivu.tinhmau.gov.vn --on 2026-12-31 --reason "nghỉ hưu" --grace 12m
    mailgov mailbox recall ttb@sonoivu.tinhmau.gov.vn --on 2026-12-31 --reason "thôi việc" --successor nvan@sonoivu.tinhmau.gov.vn""",
)(mailbox_life.recall)
app.command(
    "restore",
    epilog='mailgov mailbox restore ttb@sonoivu.tinhmau.gov.vn --reason "quyết định đã hủy"',
)(mailbox_life.restore)
app.command(
    "remove",
    epilog='mailgov mailbox remove ttb@sonoivu.tinhmau.gov.vn --confirm ttb@sonoivu.tinhmau.gov.vn --reason "hết hạn lưu giữ"',
)(mailbox_life.remove)
app.command(
    "review",
    epilog="""mailgov mailbox review --agency H99.02
    mailgov mailbox review --agency H99.02 --done --reason "biên bản 12" -n""",
)(mailbox_life.review)
app.command(
    "reset",
    epilog='mailgov mailbox reset nvan@sonoivu.tinhmau.gov.vn --reason "quên mật khẩu"',
)(mailbox_life.reset)
app.command(
    "keepers",
    epilog="mailgov mailbox keepers vanthu@sonoivu.tinhmau.gov.vn --keeper VC-00417 --deputy VC-01902",
)(person.keepers)
app.command("template", place=Place.HERE, epilog="mailgov mailbox template mau-can-bo.xlsx")(
    bulk.template
)
app.command(
    "import",
    epilog="""mailgov mailbox import can-bo.xlsx --dry-run
    mailgov mailbox import can-bo.xlsx --yes --reason "danh sách tháng 11"
    mailgov mailbox import can-bo.csv --missing suspend --max-missing 3""",
)(bulk.import_)
app.command(
    "export",
    epilog="""mailgov mailbox export --agency H99.02 -o can-bo.xlsx
    mailgov mailbox export --format csv -o can-bo.csv""",
)(bulk.export)
app.command("copy-from", place=Place.SERVER, epilog=mail_moves.COPY_EPILOG)(mail_moves.copy_from)
app.command(
    "mail-export",
    place=Place.SERVER,
    epilog="""mailgov mailbox mail-export nvan@sonoivu.tinhmau.gov.vn --to nvan.mbox --reason "bàn giao theo QĐ 12/QĐ-SNV"
    mailgov mailbox mail-export nvan@sonoivu.tinhmau.gov.vn --to nvan/ --reason "bàn giao theo QĐ 12/QĐ-SNV" """,
)(mail_moves.mail_export)
app.command(
    "convert-list",
    place=Place.HERE,
    epilog="""mailgov mailbox convert-list zmprov.txt --to can-bo.xlsx --agency H99.02
    mailgov mailbox convert-list nguoi-dung.ldif --to can-bo.xlsx --units don-vi.csv --staff-no-from employeeNumber""",
)(mail_moves.convert_list)
