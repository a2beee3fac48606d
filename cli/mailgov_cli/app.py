"""The program: finds the command, runs it, and ends with a code that scripts can rely on.

Command files are imported when their noun is asked for, so that help answers at once.
"""

import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from mailgov.errors import MailgovError
from mailgov.texts import LANGUAGES, Language
from mailgov_cli import exits, words
from mailgov_cli.exits import Exit, UsageMistake
from mailgov_cli.grammar import Told, like
from mailgov_cli.output import Format
from mailgov_cli.runtime import Runtime, StoppedReading

if TYPE_CHECKING:
    from typer._click import Command, Context, HelpFormatter
    from typer._click.shell_completion import CompletionItem

# Noun: its heading in the help of the program. The file is commands/<noun>.py.
NOUNS = {
    "agency": "directory",
    "domain": "directory",
    "person": "directory",
    "mailbox": "directory",
    "alias": "directory",
    "group": "directory",
    "absence": "directory",
    "reconcile": "directory",
    "role": "directory",
    "approval": "directory",
    "token": "directory",
    "plan": "directory",
    "job": "directory",
    "dkim": "keys",
    "dns": "keys",
    "dmarc": "keys",
    "queue": "mail",
    "quarantine": "mail",
    "trace": "mail",
    "policy": "policy",
    "convert": "policy",
    "report": "policy",
    "serve": "running",
    "reload": "running",
    "demo": "running",
    "client": "running",
    "doctor": "running",
    "config": "running",
    "db": "running",
    "dovecot": "running",
    "audit": "running",
    "backup": "running",
    "completion": "running",
    "help": "running",
}


class Program(Told, TyperGroup):
    """The top of the tree."""

    def list_commands(self, ctx: "Context") -> list[str]:  # noqa: ARG002 - the parser's signature
        """All nouns, without importing one."""
        return list(NOUNS)

    def get_command(self, ctx: "Context", cmd_name: str) -> "Command | None":  # noqa: ARG002
        """The noun's commands. None when there is no such noun."""
        if cmd_name not in NOUNS:
            return None
        command = typer.main.get_command(import_module(f"mailgov_cli.commands.{cmd_name}").app)
        command.name = cmd_name
        return command

    def shell_complete(self, ctx: "Context", incomplete: str) -> "list[CompletionItem]":
        """Nouns and options that begin so; no noun's file is imported for it."""
        from typer._click.shell_completion import CompletionItem

        if incomplete.startswith("-"):
            return super(TyperGroup, self).shell_complete(ctx, incomplete)
        return [CompletionItem(noun) for noun in NOUNS if noun.startswith(incomplete)]

    def resolve_command(
        self, ctx: "Context", args: list[str]
    ) -> "tuple[str | None, Command | None, list[str]]":
        """A mistyped noun is suggested, never run."""
        if args[0] not in NOUNS and not args[0].startswith("-"):
            raise UsageMistake("command-unknown", name=args[0], like=like(args[0], list(NOUNS)))
        return super().resolve_command(ctx, args)

    def format_verbs(self, ctx: "Context", formatter: "HelpFormatter", language: Language) -> None:  # noqa: ARG002
        """Nouns under their headings; what each is for comes from texts/."""
        for section in dict.fromkeys(NOUNS.values()):
            with formatter.section(words.say(language, "section", section)):
                formatter.write_dl(
                    [
                        (noun, words.find(language, "help", noun, "summary"))
                        for noun, its in NOUNS.items()
                        if its == section
                    ]
                )


def main(args: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code and raises nothing."""
    given = list(sys.argv[1:] if args is None else args)
    # None is used, and looking for some takes a tenth of the time that a look-up may take.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    _speak_utf8()
    run = Runtime(language=words.locale_language())
    _glance(given, run)
    return int(run_line(given, run))


def run_line(args: list[str], run: Runtime) -> int:
    """Run one command line in this run, and close it; returns the exit code and raises nothing."""
    program = Program(
        name="mailgov",
        no_args_is_help=True,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    try:
        if "_MAILGOV_COMPLETE" in os.environ:  # a shell asks what could come next
            from mailgov_cli.completion import complete

            sys.stdout.write(complete(program, run))
            return Exit.DONE
        result = program.main(args, prog_name="mailgov", standalone_mode=False, obj=run)
        sys.stdout.flush()
    except MailgovError as error:
        return exits.report(error, run.language, as_json=run.as_json)
    except typer.TyperException as fault:
        if type(fault).__name__ == "NoArgsIsHelpError":
            typer.echo(fault.message, err=True)
            return Exit.USAGE
        return exits.report(
            exits.usage_mistake(fault, run.language), run.language, as_json=run.as_json
        )
    except (typer.Abort, KeyboardInterrupt):
        return Exit.INTERRUPTED
    except (StoppedReading, BrokenPipeError):
        # Nothing more may be written there, not even what Python flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE
    except Exception as fault:  # noqa: BLE001 - the last door: nobody is shown a traceback unasked
        return exits.report_fault(fault, run.language, as_json=run.as_json, frames=run.verbose > 0)
    finally:
        run.close()
    return result if isinstance(result, int) else Exit.DONE


def _glance(args: list[str], run: Runtime) -> None:
    """Language and format before anything is parsed: help and mistakes need them."""
    for position, arg in enumerate(args):
        if arg == "--":
            break
        name, equals, value = arg.partition("=")
        value = value if equals else "".join(args[position + 1 : position + 2])
        if name == "--lang" and value in LANGUAGES:
            run.language = value
        elif name == "--json" or (name == "--format" and value == Format.JSON):
            run.format = Format.JSON


def _speak_utf8() -> None:
    """Output is UTF-8 whatever the locale; what can't be written is replaced."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")


def app() -> Any:
    """The entry point `mailgov`."""
    sys.exit(main())
