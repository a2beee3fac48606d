"""Mail brought along from another server, and mail taken along in files."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailgov_cli import words
from mailgov_cli.exits import Exit, UsageMistake
from mailgov_cli.options import DryRun, PasswordFile, Reason
from mailgov_cli.runtime import Runtime, read_secret, runtime

if TYPE_CHECKING:
    from mailgov.migration.running import Account, Copying, Result
    from mailgov.migration.source import Server

COPY_FIELDS = (
    "address", "folder", "target", "at_source", "already", "copied", "failed", "verified",
    "flag_changes", "size_bytes", "problem",
)  # fmt: skip
COPY_EPILOG = """mailgov mailbox copy-from nvan@sonoivu.tinhmau.gov.vn --server zimbra.cu.vn --user nvan --password-file -
    mailgov mailbox copy-from nvan@sonoivu.tinhmau.gov.vn --server 10.0.0.5:993 --ca may-cu.pem --user nvan@cu.vn --master-user quantri --password-file mk.txt --dry-run
    mailgov mailbox copy-from --list tai-khoan.csv --parallel 8 --server zimbra.cu.vn --master-user quantri --password-file mk.txt --reason "chuyển hệ thống" """
IMAPS_PORT, IMAP_PORT = 993, 143


def copy_from(
    ctx: typer.Context,
    server: Annotated[str, typer.Option("--server", help="HOST or HOST:PORT of the IMAP server")],
    address: Annotated[
        str, typer.Argument(help="the mailbox here", metavar="[ADDRESS]", show_default=False)
    ] = "",
    user: Annotated[str, typer.Option("--user", help="user name there; default: the address")] = "",
    password_file: PasswordFile = None,
    master_user: Annotated[
        str,
        typer.Option(
            "--master-user", help="user there who may open every mailbox; the password is theirs"
        ),
    ] = "",
    list_: Annotated[
        Path | None,
        typer.Option("--list", help="csv of accounts: address, user there, password there"),
    ] = None,
    parallel: Annotated[
        int, typer.Option("--parallel", min=1, max=64, help="accounts of a list at a time")
    ] = 4,
    folder: Annotated[
        list[str] | None, typer.Option("--folder", help="only this folder there; may be repeated")
    ] = None,
    skip: Annotated[
        list[str] | None, typer.Option("--skip", help="not this folder there; may be repeated")
    ] = None,
    max_message_mb: Annotated[
        int, typer.Option("--max-message-mb", min=1, help="MiB; larger messages are left out")
    ] = 512,
    ca: Annotated[
        Path | None,
        typer.Option("--ca", help="file of the certificate that the server is trusted by"),
    ] = None,
    no_tls: Annotated[
        bool, typer.Option("--no-tls", help="in clear; only to a server on this machine")
    ] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", min=1, help="seconds to wait for an answer")
    ] = 60,
    reason: Reason = "",
    dry_run: DryRun = False,
) -> Exit:
    """Copy mail from an IMAP account elsewhere: folders, flags, keywords, dates; again, and only what is new."""
    from mailgov.migration.copying import Choice
    from mailgov.migration.running import Account, Copying, read_list
    from mailgov.migration.source import Server

    run = runtime(ctx)
    if bool(address) == (list_ is not None):
        raise UsageMistake("copy-of-what")
    password = read_secret(run, password_file, prompt=list_ is None) or ""
    host, port = _host_and_port(server, IMAP_PORT if no_tls else IMAPS_PORT)
    _require_safe(host, no_tls=no_tls)

    def at_server(user: str, own_password: str) -> "Server":
        return Server(
            host, port, user, own_password or password,
            master=master_user, tls=not no_tls, authority=ca, seconds=timeout,
        )  # fmt: skip

    if list_ is None:
        accounts = [Account(address, at_server(user or address, ""))]
    else:
        accounts = read_list(list_, at_server)
    choice = Choice(tuple(folder or ()), tuple(skip or ()), max_message_mb << 20)
    with _progress(run) as (expect, told):
        copying = Copying(
            run.config, run.database, run.act(reason), choice, dry_run, expect, told
        )  # fmt: skip
        results = _run(run, copying, accounts, parallel)
    return _tell(run, results, one=list_ is None, dry_run=dry_run)


def _run(
    run: Runtime, copying: "Copying", accounts: "list[Account]", parallel: int
) -> "list[Result]":
    import asyncio  # at the top it would slow down every command of the noun

    async def collected() -> "list[Result]":
        return [result async for result in copying.all(accounts, parallel)]

    try:
        return asyncio.run(collected())
    except KeyboardInterrupt:
        run.say("copy-interrupted")
        raise


def _host_and_port(server: str, port: int) -> tuple[str, int]:
    """Host and port of `HOST`, `HOST:PORT` or `[::1]:PORT`. Raises UsageMistake."""
    host, colon, given = server.rpartition(":")
    if not colon or (":" in host and not host.endswith("]")) or server.endswith("]"):
        host, given = server, str(port)
    if not given.isdigit() or not 0 < int(given) < 65536 or not host.strip("[]"):
        raise UsageMistake("copy-server", server=server)
    return host.strip("[]"), int(given)


def _require_safe(host: str, *, no_tls: bool) -> None:
    from mailgov.mailstore.reach import is_loopback

    if no_tls and not is_loopback(host):
        raise UsageMistake("copy-in-clear", server=host)


def _tell(run: Runtime, results: "list[Result]", *, one: bool, dry_run: bool) -> Exit:
    """Rows of all folders, then words; the error itself when there was one account alone."""
    if one and results[0].error is not None:
        raise results[0].error
    results.sort(key=lambda result: result.address)
    rows: list[dict[str, Any]] = []
    for result in results:
        rows += [{name: getattr(one, name) for name in COPY_FIELDS} for one in result.reports]
        if result.error is not None:
            text, _ = words.tell(result.error, run.language)
            rows.append({**dict.fromkeys(COPY_FIELDS, ""), "address": result.address, "problem": f"{result.error.code}: {text}"})  # fmt: skip
    run.emit("mailbox.copy-from/1", rows, COPY_FIELDS)
    for result in results:
        for name in result.left_out:
            run.say("copy-left-out", address=result.address, folder=name)
        if not result.finished:
            run.say("copy-keywords-wait", address=result.address)
    count = sum(report.copied for result in results for report in result.reports)
    new = sum(r.at_source - r.already for result in results for r in result.reports)
    failed = sum(report.failed for result in results for report in result.reports)
    run.say("copy-dry" if dry_run else "copy-done", count=new if dry_run else count, failed=failed)
    return Exit.DONE if all(result.complete for result in results) else Exit.PARTLY


@contextmanager
def _progress(run: Runtime) -> "Iterator[tuple[Any, Any]]":
    """A bar whose end moves on with each account that is looked at, on a terminal alone."""
    if run.quiet or run.as_json or not sys.stderr.isatty():
        yield lambda _: None, lambda _: None
        return
    with typer.progressbar(length=0, file=sys.stderr) as bar:

        def expect(count: int) -> None:
            bar.length = (bar.length or 0) + count

        yield expect, bar.update


LEFT_OUT_FIELDS = ("line", "name", "address", "problem")


def mail_export(
    ctx: typer.Context,
    address: Annotated[str, typer.Argument(help="the mailbox", metavar="ADDRESS")],
    reason: Annotated[str, typer.Option("--reason", help="why; kept in the ledger")],
    to: Annotated[Path, typer.Option("--to", help="FILE.mbox, or an empty folder for a Maildir")],
) -> Exit:
    """Write all mail of a mailbox into an mbox file or a Maildir, for a lawful hand-over; said in the ledger."""
    from mailgov.migration.exporting import export

    run = runtime(ctx)
    with _progress(run) as (_, told):
        done = export(run.database, run.config.data.path, address, to, run.act(reason), told)
    record = {
        "mailbox": done.mailbox,
        "form": done.form,
        "file": str(done.target),
        "messages": done.messages,
        "size_bytes": done.size_bytes,
    }
    run.emit("mailbox.mail-export/1", [record], tuple(record), single=True)
    return Exit.PARTLY if done.missing else Exit.DONE


def convert_list(
    ctx: typer.Context,
    file: Annotated[
        Path, typer.Argument(help="LDIF, or what zmprov -l gaa -v prints", metavar="FILE")
    ],
    to: Annotated[Path, typer.Option("--to", help="workbook to write, for mailbox import")],
    from_: Annotated[
        str, typer.Option("--from", help="ldif or zimbra; default: found in the file")
    ] = "",
    agency: Annotated[
        str, typer.Option("--agency", help="code of the agency of those without a known unit")
    ] = "",
    units: Annotated[
        Path | None,
        typer.Option("--units", help="csv: name of a unit there, code of the agency here"),
    ] = None,
    staff_no_from: Annotated[
        str, typer.Option("--staff-no-from", help="attribute that holds the staff number")
    ] = "",
) -> Exit:
    """Make a staff list for mailbox import of the users that Zimbra or a directory service exports."""
    from mailgov.bulk.workbooks import write_export
    from mailgov.migration import people

    run = runtime(ctx)
    if from_ not in ("", "ldif", "zimbra"):
        raise UsageMistake("list-format", value=from_)
    text = people.read_text(file)
    kind = from_ or people.format_of(text, file)
    converted = people.convert(
        people.entries(text, "zimbra" if kind == "zimbra" else "ldif"),
        agency=agency,
        units=people.read_units(units) if units else None,
        staff_no_from=staff_no_from,
    )
    write_export(to, converted.rows)
    rows = [
        {"line": one.line, "name": one.name, "address": one.address, "problem": one.why}
        for one in converted.left_out
    ]
    run.emit("mailbox.convert-list/1", rows, LEFT_OUT_FIELDS)
    run.say("list-converted", count=len(converted.rows), left_out=len(rows), file=to)
    if converted.without_staff_no or converted.without_agency:
        run.say("list-fill-in", staff_no=converted.without_staff_no, agency=converted.without_agency)  # fmt: skip
    run.next(f"mailgov mailbox import {to} --dry-run")
    return Exit.PARTLY if rows else Exit.DONE
