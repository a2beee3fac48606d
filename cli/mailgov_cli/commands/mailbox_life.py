"""`mailgov mailbox edit|suspend|resume|transfer|recall|restore|remove|reset`: the life of a mailbox."""

import re
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailgov_cli.exits import UsageMistake
from mailgov_cli.letters import Letters, of_mailbox, require_free, write
from mailgov_cli.options import DryRun, Reason, Until, Yes, last_day
from mailgov_cli.runtime import Runtime, runtime

if TYPE_CHECKING:
    from sqlmodel import Session

Address = Annotated[str, typer.Argument(help="the mailbox", metavar="ADDRESS")]
Why = Annotated[str, typer.Option("--reason", help="why; kept in the ledger")]
On = Annotated[
    datetime,
    typer.Option("--on", formats=["%Y-%m-%d", "%d/%m/%Y"], help="the day, such as 2026-12-31"),
]

_DAYS = re.compile(r"(\d{1,4})d")
_MONTHS = re.compile(r"(\d{1,3})m")


def edit(
    ctx: typer.Context,
    address: Address,
    name: Annotated[
        str | None, typer.Option("--name", help="of the person, or shown for the office")
    ] = None,
    title: Annotated[str | None, typer.Option("--title", help="position of the person")] = None,
    quota: Annotated[int | None, typer.Option("--quota", min=1, help="MiB")] = None,
    phone: Annotated[str | None, typer.Option("--phone", help="telephone of the person")] = None,
    interagency_only: Annotated[
        bool | None,
        typer.Option(
            "--interagency-only/--not-interagency-only",
            help="takes documents of state agencies only",
        ),
    ] = None,
    public_contact: Annotated[
        bool | None,
        typer.Option("--public-contact/--not-public-contact", help="is there for citizens"),
    ] = None,
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """Change name, title, quota or telephone; what is not named stays."""
    from mailgov.lifecycle.editing import edit_mailbox

    run = runtime(ctx)
    with run.change(dry_run=dry_run) as session:
        change = edit_mailbox(
            session,
            run.act(reason),
            address,
            name=name,
            title=title,
            quota_mb=quota,
            phone=phone,
            interagency_only=interagency_only,
            public_contact=public_contact,
        )
    run.emit_change("mailbox.edit/1", change, dry_run=dry_run)


def suspend(
    ctx: typer.Context, address: Address, reason: Why, until: Until = None, dry_run: DryRun = False
) -> None:
    """Stop a mailbox for a time: nobody signs in or sends, and mail to it is refused."""
    from mailgov.lifecycle.suspension import suspend

    run = runtime(ctx)
    with run.change(dry_run=dry_run) as session:
        change = suspend(session, run.act(reason), address, last_day(until))
    run.emit_change("mailbox.suspend/1", change, dry_run=dry_run)
    if not (change.nothing or dry_run):
        run.next(f"mailgov mailbox resume {change.target}")


def resume(
    ctx: typer.Context, address: Address, reason: Reason = "", dry_run: DryRun = False
) -> None:
    """Open a mailbox again that was suspended, or locked because nobody used it."""
    from mailgov.lifecycle.suspension import resume

    run = runtime(ctx)
    with run.change(dry_run=dry_run) as session:
        change = resume(session, run.act(reason), address)
    run.emit_change("mailbox.resume/1", change, dry_run=dry_run)


def transfer(
    ctx: typer.Context,
    address: Address,
    to: Annotated[str, typer.Option("--to", help="code of the agency", metavar="CODE")],
    on: On,
    new_address: Annotated[
        str, typer.Option("--new-address", help="needed where the new agency has another domain")
    ] = "",
    alias_for: Annotated[
        str, typer.Option("--alias-for", help="how long the old address leads there: 180d, 6m, 0d")
    ] = "180d",
    mail: Annotated[
        str, typer.Option("--mail", help="move: goes along; stay: remains with the old agency")
    ] = "move",
    title: Annotated[str, typer.Option("--title", help="position in the new agency")] = "",
    reason: Reason = "",
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Move a person to another agency: one key, one history; old rights end on that day."""
    from mailgov.directory.provisioning import get_mailbox
    from mailgov.lifecycle.performers import PERFORMERS
    from mailgov.lifecycle.terms import terms
    from mailgov.lifecycle.transfers import TRANSFER, Transfer, is_mail
    from mailgov_cli import acts

    run = runtime(ctx)
    day = on.date()
    if not (yes or dry_run):
        run.ask("sure-transfer", address=address, agency=to, on=day.strftime("%d/%m/%Y"))
    with run.change(dry_run=dry_run) as session:
        mailbox = get_mailbox(session, address)
        kept = terms(session, mailbox, day, run.config.lifecycle).kept_until
        how = Transfer(
            to=to,
            new_address=new_address,
            alias_days=_days(alias_for, day),
            mail=is_mail(mail),
            title=title,
            kept_until=kept if mail == "stay" else None,
        )
        asked = acts.Asked(
            kind=TRANSFER,
            noun="mailbox",
            verb="transfer",
            subject=mailbox.address,
            agency_code=_code(session, mailbox.agency_id),
            on=day,
            arguments={**how.as_arguments(), "mailbox": mailbox.id},
        )
        change = acts.carry_out(session, asked, run.act(reason), PERFORMERS)
    acts.show(run, "mailbox.transfer/1", change, dry_run=dry_run)


def recall(
    ctx: typer.Context,
    address: Address,
    on: On,
    reason: Why,
    grace: Annotated[
        str | None,
        typer.Option(
            "--grace", help="months until it is only kept, such as 6m; default: by rank and agency"
        ),
    ] = None,
    successor: Annotated[
        str, typer.Option("--successor", help="mailbox that gets what still comes")
    ] = "",
    contact: Annotated[
        str, typer.Option("--contact", help="whom senders are told; default: the agency's office")
    ] = "",
    holder_reads: Annotated[
        bool, typer.Option("--holder-reads", help="the holder may read on until the grace ends")
    ] = False,
    stays: Annotated[
        bool, typer.Option("--not-left", help="the holder has not left the service")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Take a mailbox back: on that day all access ends, and senders hear whom to write to."""
    from mailgov.directory.provisioning import get_mailbox
    from mailgov.lifecycle.ending import RECALL, Recall, default_contact
    from mailgov.lifecycle.performers import PERFORMERS
    from mailgov.lifecycle.terms import terms
    from mailgov_cli import acts

    run = runtime(ctx)
    months = _months(grace) if grace is not None else None
    with run.change(dry_run=dry_run) as session:
        mailbox = get_mailbox(session, address)
        days = terms(session, mailbox, on.date(), run.config.lifecycle, months)
        how = Recall(
            readable_until=days.readable_until,
            kept_until=days.kept_until,
            contact=successor or contact or default_contact(session, mailbox),
            forward=bool(successor),
            holder_reads=holder_reads,
            left=not stays,
        )
        asked = acts.Asked(
            kind=RECALL,
            noun="mailbox",
            verb="recall",
            subject=mailbox.address,
            agency_code=_code(session, mailbox.agency_id),
            on=on.date(),
            arguments={**how.as_arguments(), "mailbox": mailbox.id},
        )
        change = acts.carry_out(session, asked, run.act(reason), PERFORMERS)
    acts.show(run, "mailbox.recall/1", change, dry_run=dry_run)


def restore(ctx: typer.Context, address: Address, reason: Why, dry_run: DryRun = False) -> None:
    """Give a recalled mailbox back to its holder, as long as its mail is there."""
    from mailgov.lifecycle.ending import restore

    run = runtime(ctx)
    with run.change(dry_run=dry_run) as session:
        change = restore(session, run.act(reason), address)
    run.emit_change("mailbox.restore/1", change, dry_run=dry_run)
    if not (change.nothing or dry_run):
        run.next(f"mailgov mailbox reset {change.target}")


def remove(
    ctx: typer.Context,
    address: Address,
    reason: Why,
    confirm: Annotated[
        str, typer.Option("--confirm", help="the address once more: this can't be undone")
    ] = "",
    dry_run: DryRun = False,
) -> None:
    """Remove the mail of a recalled mailbox for good, when it need not be kept any longer."""
    from mailgov.lifecycle import removal

    run = runtime(ctx)
    act, data = run.act(reason), run.config.data.path
    with run.database.read() as session:
        receipt = removal.preview(session, act, data, address)
    if not (dry_run or receipt.done):
        run.require_name(
            receipt.address,
            confirm,
            "sure-mailbox-remove",
            address=receipt.address,
            files=receipt.files,
        )
        receipt = removal.remove(run.database, act, data, address)
    record = {**receipt.as_record(), "dry_run": dry_run}
    run.emit("mailbox.remove/1", [record], tuple(record), single=True)
    key = "nothing" if receipt.done else "dry-run" if dry_run else "remove"
    run.say(key, noun=run.noun("mailbox"), target=receipt.address)


def review(
    ctx: typer.Context,
    agency: Annotated[str, typer.Option("--agency", help="only of this agency and all below")] = "",
    done: Annotated[
        bool, typer.Option("--done", help="note that the accounts were gone through today")
    ] = False,
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """When accounts are to be gone through again, agency by agency; offices without a keeper."""
    from mailgov.clock import local_date
    from mailgov.lifecycle import reviews

    run = runtime(ctx)
    if not done:
        with run.database.read() as session:
            rows = reviews.reviews(session, run.config.lifecycle.review_months, agency)
        run.emit("mailbox.review/1", rows, reviews.FIELDS)
        return
    if not agency:
        raise UsageMistake("review-of-what")
    act = run.act(reason)
    with run.change(dry_run=dry_run) as session:
        change = reviews.note_review(session, act, agency, local_date(act.at))
    run.emit_change("mailbox.review.done/1", change, dry_run=dry_run)


def reset(
    ctx: typer.Context,
    address: Address,
    letters: Letters = None,
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """End the password and give out a link by which the holder sets a new one; shown this once."""
    from mailgov.lifecycle.activation import issue

    run = runtime(ctx)
    if letters is not None and not dry_run:
        _reset_by_letter(run, address, letters, reason)
        return
    with run.change(dry_run=dry_run) as session:
        new = issue(session, run.act(reason), address, run.config.lifecycle.activation_days)
    if dry_run:
        run.emit_change("mailbox.reset/1", new.change, dry_run=True)
        return
    record = {
        "address": new.change.target,
        "link": new.link(run.config),
        "expires_at": new.expires_at,
    }
    run.emit("mailbox.reset/1", [record], tuple(record), single=True)
    run.say("activation-once")


def _reset_by_letter(run: Runtime, address: str, target: Path, reason: str) -> None:
    """The link stands in the letter alone."""
    from mailgov.db.models import Agency
    from mailgov.directory.provisioning import get_mailbox

    with run.database.read() as session:
        box = get_mailbox(session, address)
        require_free(target, [session.get_one(Agency, box.agency_id).code])
    with run.change(dry_run=False) as session:
        letter = of_mailbox(run, session, run.act(reason), address)
    write(run, target, [letter])
    record = {"address": letter.address, "letters": str(target), "expires_at": letter.expires_at}
    run.emit("mailbox.reset/1", [record], tuple(record), single=True)


def _code(session: "Session", agency_id: int) -> str:
    from mailgov.db.models import Agency

    return session.get_one(Agency, agency_id).code


def _days(text: str, start: date) -> int:
    """A span in days: `180d`, or `6m` from that day on. Raises UsageMistake `span-not-valid`."""
    from mailgov.lifecycle.terms import add_months

    if found := _DAYS.fullmatch(text):
        return int(found[1])
    if found := _MONTHS.fullmatch(text):
        return (add_months(start, int(found[1])) - start).days
    raise UsageMistake("span-not-valid", text=text)


def _months(text: str) -> int:
    """A span in months. Raises UsageMistake `span-not-valid`."""
    if found := _MONTHS.fullmatch(text):
        return int(found[1])
    raise UsageMistake("span-not-valid", text=text)
