"""`mailgov backup`: everything that can't be made anew, kept elsewhere and brought back."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailgov_cli.grammar import Noun, Place
from mailgov_cli.runtime import Runtime, runtime

if TYPE_CHECKING:
    from mailgov.backup import Backup

app = Noun(place=Place.SERVER)

Name = Annotated[
    str, typer.Argument(help="the backup: first letters of its id, or latest", metavar="ID")
]
FIELDS = ("id", "at", "files", "bytes_total", "bytes_added", "seconds")


@app.command(epilog="mailgov backup init")
def init(ctx: typer.Context) -> None:
    """Make the repository that [backup] names; its password file is made if there is none."""
    from mailgov.backup import initialise
    from mailgov.errors import ConfigError

    run = runtime(ctx)
    file = run.config.backup.password_file
    if file is None or not run.config.backup.repository:
        raise ConfigError("backup-not-set")
    made = _make_password(file)
    initialise(run.config)
    run.say("written", target=run.config.backup.repository)
    if made:
        run.say("backup-password", file=file)
    run.next("mailgov backup create")


@app.command(epilog="mailgov backup create")
def create(ctx: typer.Context) -> None:
    """Take a backup, while the service goes on; old ones go by [backup] keep_…"""
    from mailgov.backup import create

    run = runtime(ctx)
    _emit(run, "backup.create/1", create(run.config))


@app.command("list", epilog="mailgov backup list")
def list_(ctx: typer.Context) -> None:
    """Backups, oldest first."""
    from mailgov.backup import listing

    run = runtime(ctx)
    rows = [{"id": found.id, "at": found.at} for found in listing(run.config)]
    run.emit("backup.list/1", rows, ("id", "at"))


@app.command(epilog="mailgov backup verify\n    mailgov backup verify latest --read-percent 100")
def verify(
    ctx: typer.Context,
    name: Name = "latest",
    read_percent: Annotated[
        int, typer.Option("--read-percent", min=1, max=100, help="share of the data that is read")
    ] = 10,
) -> None:
    """Check the repository, and that the database of a backup opens and is whole."""
    from mailgov.backup import verify

    run = runtime(ctx)
    found = verify(run.config, name, read_percent=read_percent)
    run.emit("backup.verify/1", [{"id": found.id, "at": found.at, "whole": True}], ("id", "at", "whole"), single=True)  # fmt: skip


@app.command(epilog="mailgov backup restore latest")
def restore(ctx: typer.Context, name: Name = "latest") -> None:
    """Bring a backup back into an empty data folder; then mailgov serve goes on from there."""
    from mailgov.backup import restore

    run = runtime(ctx)
    _emit(run, "backup.restore/1", restore(run.config, name))
    run.next("mailgov serve")


@app.command(epilog="mailgov backup mailbox nvan@sonoivu.tinhmau.gov.vn --to thu-cu/")
def mailbox(
    ctx: typer.Context,
    address: Annotated[str, typer.Argument(help="the mailbox", metavar="ADDRESS")],
    to: Annotated[Path, typer.Option("--to", help="empty folder for the Maildir")],
    name: Annotated[str, typer.Option("--from", help="the backup; default: the last")] = "latest",
) -> None:
    """Bring back one mailbox into a folder of its own; the running one is not touched."""
    from mailgov.addresses import Address
    from mailgov.backup.store import restore_mailbox
    from mailgov.directory.former import home_of

    run = runtime(ctx)
    with run.database.read() as session:
        home = home_of(session, Address.parse(address))
    messages = restore_mailbox(run.config, home, to, name)
    record = {"mailbox": address, "folder": str(to), "messages": messages}
    run.emit("backup.mailbox/1", [record], tuple(record), single=True)


def _make_password(file: Path) -> bool:
    """A random password into a file that its owner alone can read; False when there is one."""
    import secrets

    from mailgov.errors import InputError

    try:
        with file.open("x", encoding="ascii") as stream:
            file.chmod(0o600)
            stream.write(secrets.token_urlsafe(32) + "\n")
    except FileExistsError:
        return False
    except OSError as exc:
        raise InputError("file-unwritable", file=file, reason=exc.strerror) from exc
    return True


def _emit(run: Runtime, schema: str, found: "Backup") -> None:
    record = {name: getattr(found, name) for name in FIELDS}
    run.emit(schema, [record], FIELDS, single=True)
