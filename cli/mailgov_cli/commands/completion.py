"""`mailgov completion`: the shell completes commands, options, agencies, domains and addresses."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from mailgov_cli.completion_scripts import PLACES, SCRIPTS
from mailgov_cli.grammar import Noun, Place
from mailgov_cli.options import DryRun
from mailgov_cli.runtime import runtime

app = Noun(place=Place.HERE)


def _print(ctx: typer.Context, shell: str) -> None:
    run = runtime(ctx)
    if run.as_json:
        run.emit("completion.script/1", [{"shell": shell, "script": SCRIPTS[shell]}], _FIELDS)
    else:
        run.emit_text(SCRIPTS[shell])


_FIELDS = ("shell", "script")


@app.command(epilog="mailgov completion bash\nmailgov completion bash -o mailgov.bash")
def bash(ctx: typer.Context) -> None:
    """What bash reads in its start-up file."""
    _print(ctx, "bash")


@app.command(epilog="mailgov completion zsh\nmailgov completion zsh -o _mailgov")
def zsh(ctx: typer.Context) -> None:
    """What zsh reads in its start-up file, after compinit."""
    _print(ctx, "zsh")


@app.command(epilog="mailgov completion fish")
def fish(ctx: typer.Context) -> None:
    """What fish reads in its start-up file."""
    _print(ctx, "fish")


@app.command(epilog="mailgov completion powershell")
def powershell(ctx: typer.Context) -> None:
    """What PowerShell reads in its profile."""
    _print(ctx, "powershell")


@app.command(epilog="mailgov completion install\nmailgov completion install fish")
def install(
    ctx: typer.Context,
    shell: Annotated[
        Literal["bash", "zsh", "fish"] | None,
        typer.Argument(help="bash, zsh or fish; default: the shell in use", metavar="SHELL"),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Write it where the shell looks by itself; new shells complete from then on."""
    from mailgov.errors import InputError

    run = runtime(ctx)
    name = shell or Path(os.environ.get("SHELL", "")).name
    if name not in PLACES:
        raise InputError("shell-unknown", shell=name, known=", ".join(PLACES))
    file = Path.home() / PLACES[name]
    changed = not file.is_file() or file.read_text(encoding="utf-8") != SCRIPTS[name]
    if changed and not dry_run:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(SCRIPTS[name], encoding="utf-8")
        except OSError as exc:
            raise InputError("file-unwritable", file=file, reason=exc.strerror) from exc
    record = {"shell": name, "file": str(file), "changed": changed, "dry_run": dry_run}
    run.emit("completion.install/1", [record], tuple(record), single=True)
    if not changed or dry_run:
        run.say("completion-dry" if changed else "completion-same", shell=name)
    elif name == "zsh":
        run.say("completion-zsh", folder=file.parent)
