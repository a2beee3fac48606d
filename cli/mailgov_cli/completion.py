"""What could come next on a command line: commands, options, and names out of the directory.

The shell asks by running the program with `_MAILGOV_COMPLETE` naming the shell and `_MAILGOV_LINE`
holding the line up to the cursor; bash, which replaces only part of a word with `@` or `=`, tells that
part in `_MAILGOV_PART`. completion_scripts.py holds what the shells are told. Whoever is
kept to a branch is offered nothing outside it. Nothing is ever said of errors: a prompt is no place
for them.
"""

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from mailgov.errors import MailgovError
from mailgov_cli import words
from mailgov_cli.grammar import command_help, param_help, path_of

if TYPE_CHECKING:
    from typer._click import Command, Context
    from typer._click.core import Parameter

    from mailgov_cli.runtime import Runtime

SHELLS = ("bash", "zsh", "fish", "powershell")
ASKED = "_MAILGOV_COMPLETE"
LINE = "_MAILGOV_LINE"
PART = "_MAILGOV_PART"

Offer = tuple[str, str]  # what could stand there, and a word on it


def complete(program: "Command", run: "Runtime") -> str:
    """The answer to the shell: a line for each offer."""
    shell, line = os.environ.get(ASKED, ""), os.environ.get(LINE, "")
    args, word = _split(line)
    _take_options(args, run)
    try:
        offers = [*_offers(program, run, args, word)]
    except (MailgovError, OSError):
        offers = []
    part = os.environ.get(PART, word)
    begun = len(word) - len(part) if word.endswith(part) else 0
    lines = (_FORMS.get(shell, _bare)(value[begun:], told) for value, told in offers)
    return "".join(f"{line}\n" for line in lines)


def _split(line: str) -> tuple[list[str], str]:
    """The words before the cursor without the program's name, and the one that has begun."""
    from typer._click.shell_completion import split_arg_string

    given = split_arg_string(line)
    if not line or line[-1].isspace():
        return given[1:], ""
    return given[1:-1], given[-1] if len(given) > 1 else ""


def _take_options(args: list[str], run: "Runtime") -> None:
    """The global options that decide what is offered."""
    from pathlib import Path

    for position, arg in enumerate(args):
        name, equals, value = arg.partition("=")
        value = value if equals else "".join(args[position + 1 : position + 2])
        if name == "--config" and value:
            run.config_file = Path(value)
        elif name == "--as" and value:
            run.acting_as = value


def _offers(program: "Command", run: "Runtime", args: list[str], word: str) -> Iterator[Offer]:
    from typer._click.core import Parameter
    from typer._click.shell_completion import _resolve_context, _resolve_incomplete

    with program.make_context("mailgov", [], resilient_parsing=True, obj=run):
        ctx = _resolve_context(program, {"obj": run}, "mailgov", args)
        asked, begins = _resolve_incomplete(ctx, args, word)
        head = word[: len(word) - len(begins)]
        if isinstance(asked, Parameter):
            found = _values(run, ctx, asked, begins)
        else:
            found = _names(run, ctx, asked, begins)
        for value, told in found:
            yield head + value, told


def _names(run: "Runtime", ctx: "Context", command: "Command", begins: str) -> Iterator[Offer]:
    """Commands and options that begin so."""
    told = {
        opt: param_help(param, path_of(ctx), run.language)
        for param in command.get_params(ctx)
        for opt in (*param.opts, *param.secondary_opts)
    }
    for item in command.shell_complete(ctx, begins):
        below = getattr(command, "commands", {}).get(item.value)
        path = f"{path_of(ctx)} {item.value}".strip()
        text = told.get(item.value) or (command_help(below, path, run.language) if below else "")
        yield item.value, text or words.find(run.language, "help", path, "summary")


def _values(run: "Runtime", ctx: "Context", param: "Parameter", begins: str) -> Iterator[Offer]:
    """Values of an argument or option that begin so."""
    path = path_of(ctx)
    kind = kind_of(path, param)
    if kind is None:
        yield from ((item.value, "") for item in param.shell_complete(ctx, begins))
        return
    run.verb = path
    yield from KINDS[kind](run, begins)


# Which values an argument or option has ------------------------------------------------------------


def kind_of(path: str, param: "Parameter") -> str | None:
    """What an argument or option of a command names: an entry of `KINDS`, or None."""
    noun = path.partition(" ")[0]
    metavar = (param.metavar or "").strip("[].…")
    for key in (f"{path} {param.name}", f"{noun} {param.name}", f"* {param.name}"):
        if key in _BY_NAME:
            return _BY_NAME[key] or None
    for key in (f"{noun} {metavar}", f"* {metavar}"):
        if key in _BY_METAVAR:
            return _BY_METAVAR[key]
    return None


# By command and name; empty where the general entry would mislead.
_BY_NAME = {
    "* agency": "agency",
    "* parent": "agency",
    "* branch": "agency",
    "* except_branch": "agency",
    "* into": "agency",
    "* moderator": "address",
    "* no_moderator": "address",
    "* acting_as": "address",
    "mailbox address": "address",
    "mailbox to": "address",
    "mailbox transfer to": "agency",
    "mailbox add address": "",
    "alias to": "address",
    "agency to": "agency",
    "agency mailboxes_to": "agency",
    "agency add code": "",
    "domain add name": "",
    "group add group": "",
    "group members add_": "address",
    "group members remove_": "address",
    "queue to": "domain",
    "policy code": "rule",
    "help about": "rule",
    "quarantine rule": "rule",
}
_BY_METAVAR = {
    "* ADDRESS": "address",
    "* GROUP": "address",
    "* AGENCY": "agency",
    "agency CODE": "agency",
    "domain NAME": "domain",
    "dkim NAME": "domain",
    "dns NAME": "domain",
    "report NAME": "report",
}


def _agencies(run: "Runtime", begins: str) -> list[Offer]:
    from mailgov import lookups

    return lookups.known_agencies(run.lookups, begins)


def _domains(run: "Runtime", begins: str) -> list[Offer]:
    from mailgov import lookups

    return lookups.known_domains(run.lookups, begins)


def _addresses(run: "Runtime", begins: str) -> list[Offer]:
    from mailgov import lookups

    return lookups.known_addresses(run.lookups, begins)


def _rules(run: "Runtime", begins: str) -> list[Offer]:
    from mailgov.texts import rule_title
    from mailgov_policies import RULES_BY_KEY

    return [(key, rule_title(run.language, key)) for key in RULES_BY_KEY if key.startswith(begins)]


def _reports(_run: "Runtime", begins: str) -> list[Offer]:
    from mailgov.reports import REPORTS

    return [(key, "") for key in REPORTS if key.startswith(begins)]


KINDS: dict[str, Callable[["Runtime", str], list[Offer]]] = {
    "agency": _agencies,
    "domain": _domains,
    "address": _addresses,
    "rule": _rules,
    "report": _reports,
}


# What each shell reads ------------------------------------------------------------------------------


def _bare(value: str, _told: str) -> str:
    return value


def _zsh(value: str, told: str) -> str:
    escaped = value.replace("\\", "\\\\").replace(":", "\\:")
    return f"{escaped}:{_one_line(told)}" if told else escaped


def _tabbed(value: str, told: str) -> str:
    return f"{value}\t{_one_line(told)}" if told else value


def _one_line(text: str) -> str:
    from mailgov_cli.output import one_line

    return one_line(text.partition("\n")[0])


_FORMS = {"bash": _bare, "zsh": _zsh, "fish": _tabbed, "powershell": _tabbed}
