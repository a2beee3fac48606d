"""`mailgov dovecot`: the configuration of Dovecot, and on which of several a mailbox lies."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mailgov_cli.grammar import Noun, Place
from mailgov_cli.options import DryRun, Reason
from mailgov_cli.runtime import Runtime, runtime

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailgov.mailstore.plan import Version

app = Noun(place=Place.SERVER)


@app.command(
    epilog="""mailgov dovecot config
    mailgov dovecot config --service --owner mailgov --into /etc/dovecot
    mailgov dovecot config --proxy --dovecot-version 2.4 --into /etc/dovecot"""
)
def config(
    ctx: typer.Context,
    service: Annotated[
        bool, typer.Option("--service", help="for Dovecot as a service of the system")
    ] = False,
    proxy: Annotated[
        bool, typer.Option("--proxy", help="for a machine that passes sessions on to backends")
    ] = False,
    dovecot_version: Annotated[
        Literal["2.3", "2.4", ""],
        typer.Option("--dovecot-version", help="language; default: that of the program here"),
    ] = "",
    owner: Annotated[
        str, typer.Option("--owner", help="user of the system whose the mail is")
    ] = "mailgov",
    into: Annotated[
        Path | None, typer.Option("--into", help="folder to write the files into")
    ] = None,
) -> None:
    """Write Dovecot's whole configuration: as `mailgov serve` runs it, or as a service of the system."""
    from mailgov.mailstore.plan import installed_version

    run = runtime(ctx)
    version: Version = dovecot_version or (
        "2.4"
        if installed_version(run.config.mailstore.dovecot_binary).startswith("2.4.")
        else "2.3"
    )
    if service or proxy:
        found = _service(run, version, owner, proxy=proxy)
    else:
        found = _child(run, version)
    if into is not None:
        from mailgov.mailstore.users import write_whole

        into.mkdir(parents=True, exist_ok=True)
        for name, text in found.items():
            write_whole(into / name, text)
    elif not run.as_json:
        for name, text in found.items():
            sys.stdout.write(text if len(found) == 1 else f"# --- {name}\n{text}\n")
        return
    rows = [
        {"file": str(into / name) if into else name, "text": text} for name, text in found.items()
    ]
    run.emit("dovecot.config/1", rows, ("file", "text") if run.as_json else ("file",))


def _child(run: Runtime, version: "Version") -> "Mapping[str, str]":
    from mailgov.mailstore.dovecot import DovecotChild

    return {"dovecot.conf": DovecotChild(run.config).would_say(version)}


def _service(run: Runtime, version: "Version", owner: str, *, proxy: bool) -> "Mapping[str, str]":
    import pwd

    from mailgov.directory.tokens import make_key
    from mailgov.errors import NotFound
    from mailgov.mailstore import service
    from mailgov.mailstore.plan import FEATURES

    try:
        known = pwd.getpwnam(owner)
    except KeyError as exc:
        raise NotFound("system-user-unknown", name=owner) from exc
    who = service.Owner(known.pw_name, known.pw_uid, known.pw_gid)
    with run.database.write() as session:
        key = make_key(session).of("app-password").decode()
    return service.files(run.config, version, FEATURES, who, key, proxy=proxy)


@app.command(
    epilog="""mailgov dovecot place annv@sonoivu.tinhmau.gov.vn --on imap2.tinhmau.gov.vn
    mailgov dovecot place annv@sonoivu.tinhmau.gov.vn --on imap2.tinhmau.gov.vn -n"""
)
def place(
    ctx: typer.Context,
    address: Annotated[str, typer.Argument(help="the mailbox", metavar="ADDRESS")],
    on: Annotated[str, typer.Option("--on", help="name of the backend in mailstore.backends")],
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """Say on which backend a mailbox lies; its mail is brought there before."""
    from mailgov.directory.provisioning.placing import place as placed

    run = runtime(ctx)
    with run.change(dry_run=dry_run) as session:
        change = placed(
            session, run.act(reason), address, on, backends=run.config.mailstore.backends
        )
    run.emit_change("dovecot.place/1", change, dry_run=dry_run)
