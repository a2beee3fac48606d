"""The commands as the command line has them, for whoever builds addresses and descriptions of them.

Nothing is listed twice: names, parameters, types and words are read from the tree of commands.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, get_args, get_origin

import typer
from typer.core import TyperGroup

from mailgov.errors import InputError
from mailgov_cli.grammar import Place, Verb, global_params

# Options of every command that mean something to the caller's own machine only.
NOT_CARRIED = frozenset(
    {"config", "json", "no_input", "server", "token_file", "timeout", "as", "help"}
)
_FILE_WORDS = ("FILE", "DIR")


@dataclass(frozen=True, slots=True)
class Parameter:
    """An argument or option as callers name it: `staff_no` for `--staff-no`."""

    name: str
    param: Any  # of typer
    general: bool = False  # every command has it

    @property
    def is_argument(self) -> bool:
        """Whether it stands for itself on a command line."""
        return bool(self.param.param_type_name == "argument")

    @property
    def kind(self) -> Any:
        """The type of its value, or of each of its values."""
        kind = self.param.type_descriptor.annotation
        return get_args(kind)[0] if get_origin(kind) in (list, tuple) else kind

    @property
    def is_file(self) -> bool:
        """Whether its value names a file or folder."""
        metavar = str(self.param.metavar or "").strip("[")
        return self.kind is Path or metavar.startswith(_FILE_WORDS)

    @property
    def many(self) -> bool:
        """Whether it takes several values."""
        return bool(getattr(self.param, "multiple", False)) or self.param.nargs == -1

    @property
    def is_flag(self) -> bool:
        """Whether it is there or not."""
        return bool(getattr(self.param, "is_flag", False))

    @property
    def counts(self) -> bool:
        """Whether giving it again means more."""
        return bool(getattr(self.param, "count", False))

    @property
    def option(self) -> str:
        """How it is written: `--staff-no`."""
        return _longest(self.param.opts)


@dataclass(frozen=True, slots=True)
class Command:
    """One command: `mailbox add` at `mailbox/add`."""

    path: str
    verb: Verb
    parameters: Mapping[str, Parameter]

    @property
    def route(self) -> str:
        """Its address below /api/v1/."""
        return self.path.replace(" ", "/")

    @property
    def offered(self) -> bool:
        """Whether it can be called from elsewhere."""
        return self.verb.place is Place.ANYWHERE

    def find(self, name: str) -> Parameter:
        """The parameter of that name. Raises InputError `api-parameter`."""
        found = self.parameters.get(name)
        if found is None:
            known = ", ".join(self.parameters)
            raise InputError("api-parameter", command=self.path, name=name, known=known)
        return found


@cache
def commands() -> Mapping[str, Command]:
    """Every command by its path."""
    from mailgov_cli.app import NOUNS

    found = {}
    for noun in NOUNS:
        top: Any = typer.main.get_command(import_module(f"mailgov_cli.commands.{noun}").app)
        for path, verb in _below(noun, top):
            found[path] = Command(path, verb, _parameters(verb))
    return found


def routes() -> Mapping[str, Command]:
    """The commands that can be called from elsewhere, by their address."""
    return {one.route: one for one in commands().values() if one.offered}


def _below(path: str, command: Any) -> Iterator[tuple[str, Verb]]:
    if isinstance(command, TyperGroup):
        for name, one in command.commands.items():
            yield from _below(f"{path} {name}", one)
    else:
        assert isinstance(command, Verb)
        yield path, command


def _parameters(verb: Verb) -> dict[str, Parameter]:
    own = [Parameter(name_of(param), param) for param in verb.params if _speaks(param)]
    taken = {option for one in own for option in one.param.opts}
    general = [
        Parameter(name_of(param), param, general=True)
        for param in global_params()
        if _speaks(param) and not taken & set(param.opts)
    ]
    return {one.name: one for one in (*own, *general)}


def _speaks(param: Any) -> bool:
    return param.param_type_name == "argument" or name_of(param) not in NOT_CARRIED


def name_of(param: Any) -> str:
    """What callers call it: the long option without its dashes, the argument's own name."""
    if param.param_type_name == "argument":
        return str(param.name).rstrip("_")
    return _longest(param.opts).removeprefix("--").replace("-", "_")


def _longest(options: list[str]) -> str:
    return next((one for one in options if one.startswith("--")), options[0])


def command_line(command: Command, values: Mapping[str, Any]) -> list[str]:
    """The values as a command line would give them. Raises InputError `api-parameter`, `api-body`."""
    options: list[str] = []
    arguments: list[str] = []
    for name, value in values.items():
        parameter = command.find(name)
        if value is None:
            continue
        if parameter.is_flag:
            options += [parameter.option] if _flag(name, value) else []
        elif parameter.counts:
            options += [parameter.option] * int(value)
        elif not parameter.is_argument:
            options += [f"{parameter.option}={one}" for one in _texts(name, value)]
    for parameter in command.parameters.values():
        value = values.get(parameter.name)
        if parameter.is_argument and value is not None:
            arguments += _texts(parameter.name, value)
    return [*command.path.split(), *options, "--", *arguments]


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InputError("api-body", problem=f"`{name}`: true or false")
    return value


def _texts(name: str, value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    if any(isinstance(one, (dict, list)) or one is None for one in values):
        raise InputError("api-body", problem=f"`{name}`: a value, or a list of values")
    return [str(one).lower() if isinstance(one, bool) else str(one) for one in values]


def plain(value: Any) -> Any:
    """A parsed value as JSON has it."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time().isoformat() == "00:00:00" else str(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value
