"""`mailgov approval`: what needs two persons."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailgov_cli.grammar import Noun
from mailgov_cli.options import LIMIT, Limit, PasswordFile, Reason
from mailgov_cli.runtime import Runtime, read_secret, runtime

if TYPE_CHECKING:
    from mailgov.directory.approvals import Decider

app = Noun()

ApprovalId = Annotated[
    str, typer.Argument(help="the request, such as apr-2026-11-22-1", metavar="ID")
]
CodeFile = Annotated[
    Path | None,
    typer.Option("--code-file", help="file with a code of the second factor; default: asked for"),
]


@app.command("list", epilog="mailgov approval list\nmailgov approval list --all")
def list_(
    ctx: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="those too that have an end")] = False,
    limit: Limit = LIMIT,
) -> None:
    """Requests that wait: one's own, and those that one may decide on."""
    from mailgov.clock import utc_now
    from mailgov.directory import approvals

    run = runtime(ctx)
    with run.database.read() as session:
        rows = approvals.listing(session, run.authority, utc_now(), every=every, limit=limit + 1)
    run.emit("approval.list/1", rows[:limit], approvals.FIELDS)
    run.tell_of_more(rows, limit)


@app.command(epilog="mailgov approval show apr-2026-11-22-1")
def show(ctx: typer.Context, approval: ApprovalId) -> None:
    """One request: what for, by whom, until when."""
    from mailgov.clock import utc_now
    from mailgov.directory import approvals

    run = runtime(ctx)
    with run.database.read() as session:
        record = approvals.one(session, run.authority, utc_now(), approval)
    run.emit("approval.show/1", [record], approvals.FIELDS, single=True)


@app.command(
    epilog="""mailgov approval approve apr-2026-11-22-1 --as lvc@antoan.tinhmau.gov.vn
    mailgov approval approve apr-2026-11-22-1 --as lvc@antoan.tinhmau.gov.vn --password-file -"""
)
def approve(
    ctx: typer.Context,
    approval: ApprovalId,
    reason: Reason = "",
    password_file: PasswordFile = None,
    code_file: CodeFile = None,
) -> None:
    """Say yes as the second person; with --as by the password of that person."""
    _decide(runtime(ctx), approval, reason, password_file, code_file, yes=True)


@app.command(epilog='mailgov approval deny apr-2026-11-22-1 --reason "không có căn cứ"')
def deny(
    ctx: typer.Context,
    approval: ApprovalId,
    reason: Annotated[str, typer.Option("--reason", help="why; kept in the ledger")],
    password_file: PasswordFile = None,
    code_file: CodeFile = None,
) -> None:
    """Say no."""
    _decide(runtime(ctx), approval, reason, password_file, code_file, yes=False)


@app.command(changes=True, epilog="mailgov approval withdraw apr-2026-11-22-1")
def withdraw(ctx: typer.Context, approval: ApprovalId) -> None:
    """Take a request of one's own back."""
    from mailgov.clock import utc_now
    from mailgov.directory import approvals

    run = runtime(ctx)
    with run.database.write() as session:
        record = approvals.withdraw(session, run.authority, utc_now(), approval)
    _told(run, "withdraw", record)


def _decide(
    run: Runtime,
    approval: str,
    reason: str,
    password_file: Path | None,
    code_file: Path | None,
    *,
    yes: bool,
) -> None:
    from mailgov.clock import utc_now
    from mailgov.directory import approvals

    with run.database.read() as session:
        approvals.one(session, run.authority, utc_now(), approval)
    decider = _decider(run, password_file, code_file)
    with run.database.write() as session:
        record = approvals.decide(session, decider, utc_now(), approval, yes=yes, reason=reason)
    _told(run, "approve" if yes else "deny", record)


def _told(run: Runtime, verb: str, record: "dict[str, Any]") -> None:
    from mailgov.directory import approvals

    run.emit(f"approval.{verb}/1", [record], approvals.FIELDS, single=True)
    run.say(f"approval-{verb}", approval=record["approval"])


def _decider(run: Runtime, password_file: Path | None, code_file: Path | None) -> "Decider":
    """Who decides. With --as it must be that very person, by password and, where one is on, code.

    Raises ConsentMissing `password-not-asked`, NotAllowed `approval-not-proven`, `sign-in-later`.
    """
    from mailgov.directory.approvals import Decider
    from mailgov.errors import ConsentMissing, NotAllowed

    if not run.acting_as:
        return Decider(run.authority)
    password = read_secret(run, password_file, prompt=True, confirm=False)
    if password is None:
        raise ConsentMissing("password-not-asked")
    if not asyncio.run(_proves(run, run.authority.address, password, code_file)):
        raise NotAllowed("approval-not-proven", address=run.authority.address)
    return Decider(run.authority, proven=True)


async def _proves(run: Runtime, address: str, password: str, code_file: Path | None) -> bool:
    """Whether the sign-in holds; failures count as they do in the webmail."""
    from mailgov.clock import utc_now
    from mailgov.directory import Directory

    database = run.open_database()
    directory = Directory(
        database,
        utc_now,
        run.config.limits,
        settings=run.config.sign_in,
        key_file=run.config.data.path / "keys" / "second-factor",
    )
    try:
        account = await directory.sign_in(address, password)
        if account is None or account.address != address:
            return False
        if not account.second_factor:
            return True
        code = read_secret(run, code_file, prompt=True, confirm=False, about="second-factor-code")
        if code is None:
            return False
        steps = directory.second_steps
        return await steps.take(await steps.token(address), code) == address
    finally:
        directory.sign_ins.close()
