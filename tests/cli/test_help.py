"""Help: every command and option has words in both languages, and examples that are right."""

import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer

from mailgov_cli import words
from mailgov_cli.app import NOUNS
from mailgov_cli.grammar import NounGroup, Told, command_help, global_params, param_help

from .conftest import Run


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with its path, such as `mailbox add`."""
    for noun in NOUNS:
        command: Any = typer.main.get_command(import_module(f"mailgov_cli.commands.{noun}").app)
        yield from below(noun, command)


def below(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    """The command, or those of the noun."""
    if isinstance(command, NounGroup):
        for verb, one in command.commands.items():
            yield from below(f"{path} {verb}", one)
    else:
        yield path, command


COMMANDS = dict(commands())
GROUPS = {path.rpartition(" ")[0] for path in COMMANDS} - {""}


@pytest.mark.parametrize("noun", NOUNS)
def test_every_noun_is_explained_in_both_languages(noun: str) -> None:
    assert words.find("vi", "help", noun, "summary") != words.find("en", "help", noun, "summary")
    assert words.find("en", "help", noun, "summary")


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_and_option_is_explained_in_both_languages(path: str) -> None:
    command = COMMANDS[path]
    assert isinstance(command, Told), "commands hang on grammar.Noun"
    english, vietnamese = (command_help(command, path, language) for language in ("en", "vi"))
    assert english
    assert vietnamese
    assert english != vietnamese, f'[help."{path}"] text is missing in vi.toml'
    params: list[Any] = [*command.params, *global_params()]
    for param in params:
        told = param_help(param, path, "vi")
        assert param.help
        assert told != param.help, f"{param.name} of {path} is missing in vi.toml"


@pytest.mark.parametrize("path", COMMANDS)
def test_examples_are_commands_that_can_be_parsed(path: str) -> None:
    command = COMMANDS[path]
    examples = (command.epilog or "").strip().splitlines()
    assert examples, "help shows examples first"
    for example in examples:
        given = shlex.split(example.strip())
        assert given[0] == "mailgov"
        at = given.index(path.split(maxsplit=1)[0])
        args = given[at + len(path.split()) :]
        assert given[at : at + len(path.split())] == path.split()
        command.make_context(path, args, resilient_parsing=False).close()


@pytest.mark.parametrize("path", COMMANDS)
@pytest.mark.parametrize("language", ["vi", "en"])
def test_help_shows_usage_then_examples_then_options(run: Run, path: str, language: str) -> None:
    result = run(*path.split(), "-h", "--lang", language)
    assert result.exit == 0
    assert result.stderr == ""
    usage, examples = {"vi": ("Cách dùng: ", "Ví dụ:"), "en": ("Usage: ", "Examples:")}[language]
    assert result.stdout.startswith(f"{usage}mailgov {path}")
    assert result.stdout.index(examples) < result.stdout.index("--config")


def test_every_vietnamese_help_belongs_to_a_command() -> None:
    known = {*COMMANDS, *NOUNS, *GROUPS, "*"}
    assert set(words.catalogue("vi")["help"]) <= known


@pytest.mark.parametrize(("args", "code"), [((), 2), (("agency",), 2), (("-h",), 0)])
def test_without_a_command_there_is_help(run: Run, args: tuple[str, ...], code: int) -> None:
    result = run(*args, "--lang", "en") if args else run()
    assert result.exit == code
    assert ("Usage: " in result.stdout) if code == 0 else ("mailgov" in result.stderr)


def test_help_is_a_command_too(run: Run) -> None:
    result = run("help", "--lang", "en")
    assert result.exit == 0
    for noun in NOUNS:
        assert f"  {noun}" in result.stdout
    assert "exit-codes" in result.stdout


@pytest.mark.source
def test_the_readme_names_every_command() -> None:
    readme = Path(__file__).parents[2].joinpath("cli", "README.md").read_text("utf-8")
    assert [path for path in COMMANDS if f"`{path}`" not in readme] == []
