"""Nouns and verbs: every command has the same global options and help in both languages.

A command file says `app = Noun()` and `@app.command(epilog="mailgov agency list")`; the epilog
holds examples, one a line, which help shows first. English help stands in docstring and options,
Vietnamese help in texts/vi.toml under `[help."agency list"]`.
"""

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from enum import StrEnum
from functools import cache
from inspect import unwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from mailgov.texts import Language
from mailgov_cli import acting, words
from mailgov_cli.exits import UsageMistake
from mailgov_cli.output import Format
from mailgov_cli.remote.whither import elsewhere
from mailgov_cli.runtime import Runtime

if TYPE_CHECKING:  # the parser behind typer; named for types only
    from typer._click import Context, HelpFormatter
    from typer._click.core import Parameter


class Place(StrEnum):
    """Where a command can run when the command line works for a server elsewhere."""

    ANYWHERE = "anywhere"  # at the server, for whoever its token permits
    HERE = "here"  # where it is typed: it needs its files only
    SERVER = "server"  # typed at the server itself: it starts or rebuilds the installation


class Noun(typer.Typer):
    """The commands of one noun; with `single=True` the noun is itself the command."""

    def __init__(self, *, single: bool = False, place: Place = Place.ANYWHERE) -> None:
        self._place = place
        super().__init__(
            cls=NounGroup, add_completion=False, rich_markup_mode=None, no_args_is_help=True
        )
        if not single:
            self.callback()(_nothing)

    def command(
        self,
        name: str | None = None,
        *,
        place: Place | None = None,
        changes: bool | None = None,
        **settings: Any,
    ) -> Callable[[Any], Any]:
        """Register a verb.

        `changes` says whether it changes anything, where its options do not: what changes something
        has `--dry-run`, or asks for a reason or for consent.
        """
        register = super().command(name, cls=Verb, **settings)

        def registered(function: Any) -> Any:
            _TRAITS[function] = (place or self._place, changes)
            return register(function)

        return registered


_TRAITS: dict[Any, tuple[Place, bool | None]] = {}
_CHANGING = frozenset({"dry_run", "reason", "yes", "confirm"})


def _nothing() -> None:
    # A noun does nothing itself; its purpose stands in texts/ as `[help.agency] text`.
    return


class Told:
    """Help in the chosen language, and the global options, for commands and groups."""

    params: "list[Parameter]"

    def get_params(self, ctx: "Context") -> "list[Parameter]":
        """Own options first, then the global ones."""
        own: list[Parameter] = super().get_params(ctx)  # type: ignore[misc]  # mixed into a command
        taken = {opt for param in own for opt in param.opts}
        return [*own, *(param for param in global_params() if not taken & set(param.opts))]

    def format_help(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        """Usage, purpose, examples, arguments, options."""
        language = language_of(ctx)
        own: list[tuple[str, str]] = []
        common: list[tuple[str, str]] = []
        for param in self.get_params(ctx):
            if record := _help_record(param, ctx, language):
                (common if _is_global(param) else own).append(record)
        pieces = self.collect_usage_pieces(ctx)  # type: ignore[attr-defined]  # of the command
        formatter.write_usage(ctx.command_path, " ".join(pieces), prefix=_frame(language, "usage"))
        if text := command_help(ctx.command, path_of(ctx), language):
            formatter.write_paragraph()
            formatter.write_text(text)
        if examples := ctx.command.epilog:
            with formatter.section(_frame(language, "examples")):
                for line in examples.strip().splitlines():
                    formatter.write(f"  {line.strip()}\n")
        self.format_verbs(ctx, formatter, language)
        for title, records in (("options", own), ("common-options", common)):
            if records:
                with formatter.section(_frame(language, title)):
                    formatter.write_dl(records)

    def format_verbs(self, ctx: "Context", formatter: "HelpFormatter", language: Language) -> None:
        """Commands below this one; none."""


class Verb(Told, TyperCommand):
    """One command."""

    @property
    def place(self) -> Place:
        """Where it can run."""
        return _TRAITS[unwrap(self.callback)][0] if self.callback else Place.ANYWHERE

    @property
    def changes(self) -> bool:
        """Whether it may change something; if not, a token that only looks may run it."""
        said = _TRAITS[unwrap(self.callback)][1] if self.callback else None
        return any(one.name in _CHANGING for one in self.params) if said is None else said

    def invoke(self, ctx: "Context") -> Any:
        """Run it, if whoever asks may."""
        run = ctx.find_root().obj
        if isinstance(run, Runtime):
            run.verb = path_of(ctx)
            if self.place is not Place.HERE and (server := elsewhere(run)):
                from mailgov_cli.remote.client import call

                return call(run, ctx, server)
            acting.require(run)
        return super().invoke(ctx)


class NounGroup(Told, TyperGroup):
    """The verbs of a noun."""

    def resolve_command(
        self, ctx: "Context", args: list[str]
    ) -> "tuple[str | None, Any, list[str]]":
        """A mistyped verb is suggested, never run."""
        if args[0] not in self.commands and not args[0].startswith("-"):
            name = f"{path_of(ctx)} {args[0]}"
            raise UsageMistake("command-unknown", name=name, like=like(args[0], [*self.commands]))
        return super().resolve_command(ctx, args)

    def format_verbs(self, ctx: "Context", formatter: "HelpFormatter", language: Language) -> None:
        """A line for each verb."""
        rows = [
            (name, command_help(command, f"{path_of(ctx)} {name}", language))
            for name, command in self.commands.items()
        ]
        with formatter.section(_frame(language, "commands")):
            formatter.write_dl(rows)


def like(name: str, known: Sequence[str]) -> str:
    """What was meant, perhaps; else everything there is."""
    return ", ".join(get_close_matches(name, known, n=3)) or ", ".join(known)


def language_of(ctx: "Context") -> Language:
    """The language of this run."""
    run = ctx.find_root().obj
    return run.language if isinstance(run, Runtime) else words.locale_language()


def path_of(ctx: "Context") -> str:
    """The command without the program's name: `mailbox add`."""
    names = []
    node: Context | None = ctx
    while node is not None and node.parent is not None:
        names.append(node.info_name or "")
        node = node.parent
    return " ".join(reversed(names))


def command_help(command: Any, path: str, language: Language) -> str:
    """What a command does, in one sentence or a paragraph; what a noun is for."""
    if isinstance(command, TyperGroup):
        return words.find(language, "help", path, "summary")
    english = (command.help or "").strip()
    return words.find(language, "help", path, "text") or english


def _help_record(param: "Parameter", ctx: "Context", language: Language) -> tuple[str, str] | None:
    record = param.get_help_record(ctx)
    if record is None:
        return None
    translated = param_help(param, path_of(ctx), language)
    notes = []
    if param.required:
        notes.append(_frame(language, "required"))
    elif isinstance(param.default, (str, int)) and param.default and param.default is not True:
        notes.append(f"{_frame(language, 'default')}: {param.default}")
    return record[0], translated + (f" [{'; '.join(notes)}]" if notes else "")


def param_help(param: Any, path: str, language: Language) -> str:
    """What an argument or option means: for this command, else as everywhere, else in English."""
    name = "help" if "--help" in param.opts else param.name
    return (
        words.find(language, "help", path, name)
        or words.find(language, "help", "*", name)
        or param.help
        or ""
    )


def _frame(language: Language, key: str) -> str:
    return words.say(language, "frame", key)


def _is_global(param: "Parameter") -> bool:
    return param in global_params() or "--help" in param.opts


@cache
def global_params() -> "tuple[Parameter, ...]":
    """The options that every command takes; each writes itself into the run."""
    app = typer.Typer(add_completion=False)
    app.command()(_globals)
    params = typer.main.get_command(app).params
    for param in params:
        param.expose_value = False
        param.callback = _keep
    return tuple(params)


def _keep(ctx: "Context", param: "Parameter", value: Any) -> None:
    run = ctx.find_root().obj
    if value is None or value is False or value == 0 or not isinstance(run, Runtime):
        return
    if param.name == "json":
        run.format = Format.JSON
    else:
        setattr(run, param.name.rstrip("_"), value)


def _globals(
    config_file: Annotated[
        Path | None, typer.Option("--config", help="configuration file", metavar="FILE")
    ] = None,
    language: Annotated[Language | None, typer.Option("--lang", help="language of words")] = None,
    format_: Annotated[Format | None, typer.Option("--format", help="how rows are written")] = None,
    json: Annotated[bool, typer.Option("--json", help="the same as --format json")] = False,
    fields: Annotated[
        str | None, typer.Option("--fields", help="only these columns", metavar="A,B")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="write to this file; - is stdout", metavar="FILE"),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="data and errors only")] = False,
    verbose: Annotated[
        int, typer.Option("--verbose", "-v", count=True, help="say where a fault happened")
    ] = 0,
    no_input: Annotated[bool, typer.Option("--no-input", help="never ask")] = False,
    server: Annotated[
        str | None,
        typer.Option("--server", help="run the command at this server, by HTTPS", metavar="URL"),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            help="file with the token for it, which only you can read",
            metavar="FILE",
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", min=1, help="seconds that it may be silent", metavar="SECONDS"),
    ] = None,
    acting_as: Annotated[
        str | None,
        typer.Option(
            "--as", help="act with the roles of this mailbox's holder alone", metavar="ADDRESS"
        ),
    ] = None,
) -> None:
    """What every command takes."""
