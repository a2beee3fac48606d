"""`mailgov token`: what programs sign in with at the administration interface and for SCIM."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from mailgov_cli.grammar import Noun
from mailgov_cli.options import DryRun, Reason, Until, last_day
from mailgov_cli.runtime import runtime

app = Noun()

USUAL_DAYS = 90


@app.command(
    epilog="""mailgov token add qtv@sonoivu.tinhmau.gov.vn --label "phần mềm nhân sự" --access change --command scim --agency H99 --save nhan-su.token
    mailgov token add qtv@sonoivu.tinhmau.gov.vn --label "máy của tôi" --until 2026-12-31"""
)
def add(
    ctx: typer.Context,
    address: Annotated[
        str,
        typer.Argument(help="mailbox of its holder, whose roles it has", metavar="ADDRESS"),
    ],
    label: Annotated[str, typer.Option("--label", help="program that it is for")],
    access: Annotated[
        str, typer.Option("--access", help="read: looks only; change: does what its holder may")
    ] = "read",
    agency: Annotated[
        str, typer.Option("--agency", help="only for this agency and all below")
    ] = "",
    commands: Annotated[
        list[str] | None,
        typer.Option(
            "--command",
            help='only for these: "mailbox", "queue list", "scim"; may be given again',
        ),
    ] = None,
    until: Until = None,
    save: Annotated[
        Path | None,
        typer.Option(
            "--save",
            help="new file for the token, readable by its owner only",
            metavar="FILE",
        ),
    ] = None,
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """Make a token for a program; shown this once. It ends by itself, after 90 days if nothing is said."""
    from mailgov.clock import local_date
    from mailgov.directory.api_tokens import add_api_token

    run = runtime(ctx)
    act = run.act(reason)
    with run.change(dry_run=dry_run) as session:
        new = add_api_token(
            session,
            act,
            address,
            label=label,
            access=access,
            agency=agency,
            commands=commands or (),
            expires_on=last_day(until) or local_date(act.at) + timedelta(days=USUAL_DAYS),
            most_days=run.config.api.token_days,
        )
        if save is not None and not dry_run:
            _write_new(save, new.token)
    if dry_run:
        run.emit_change("token.add/1", new.change, dry_run=True)
        return
    record: dict[str, object] = {"address": new.change.target}
    record |= {name: new for name, (_, new) in new.change.changes.items()}
    if save is None:
        record["token"] = new.token
    run.emit("token.add/1", [record], tuple(record), single=True)
    run.say("token-once" if save is None else "written", target=save)


@app.command(
    "list",
    epilog="""mailgov token list
    mailgov token list qtv@sonoivu.tinhmau.gov.vn""",
)
def list_(
    ctx: typer.Context,
    address: Annotated[str, typer.Argument(help="only of this mailbox", metavar="ADDRESS")] = "",
    agency: Annotated[
        str, typer.Option("--agency", help="only of holders in this agency and below")
    ] = "",
) -> None:
    """Tokens with what they open, their end and their last use; never the tokens."""
    from mailgov.clock import local_date, utc_now
    from mailgov.directory import api_tokens

    run = runtime(ctx)
    with run.database.read() as session:
        rows = api_tokens.listing(session, local_date(utc_now()), address=address, within=agency)
    run.emit("token.list/1", rows, api_tokens.FIELDS)


@app.command(epilog='mailgov token revoke 7 --reason "máy bị mất"')
def revoke(
    ctx: typer.Context,
    number: Annotated[int, typer.Argument(help="its id in the list", metavar="ID")],
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """End a token at once: the program that has it gets in no more."""
    from mailgov.directory.api_tokens import revoke_api_token

    run = runtime(ctx)
    with run.change(dry_run=dry_run) as session:
        change = revoke_api_token(session, run.act(reason), number)
    run.emit_change("token.revoke/1", change, dry_run=dry_run)


def _write_new(file: Path, token: str) -> None:
    """Raises InputError `file-unwritable`, also where there is a file already."""
    from mailgov.errors import InputError

    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as exc:
        raise InputError("file-unwritable", file=file, reason=exc.strerror) from exc
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(f"{token}\n")
