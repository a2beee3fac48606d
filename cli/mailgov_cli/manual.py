"""Manual pages out of the same words and the same tree as `-h`: one of the program, one of each noun.

Written as man(7) has it, for man-db and mandoc, in UTF-8.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from typer.core import TyperGroup

from mailgov.clock import local_date, utc_now
from mailgov.texts import Language
from mailgov_cli import words
from mailgov_cli.exits import Exit
from mailgov_cli.grammar import command_help, global_params, param_help

if TYPE_CHECKING:
    from typer._click import Command

_LEADING = re.compile(r"^(?=[.'])", re.MULTILINE)


def pages(program: "Command", nouns: Mapping[str, str], language: Language) -> dict[str, str]:
    """The pages of a language by their file names, such as `mailgov-mailbox.1`."""
    from typer._click import Context

    with Context(program, info_name="mailgov") as ctx:
        commands = {noun: program.get_command(ctx, noun) for noun in nouns}  # type: ignore[attr-defined]  # of groups
    found = {"mailgov.1": _page("mailgov", _program(nouns, language), language)}
    for noun, command in commands.items():
        name = f"mailgov-{noun}"
        found[f"{name}.1"] = _page(name, _noun(noun, command, language), language)
    return found


def _page(name: str, lines: Iterable[str], language: Language) -> str:
    shown, today = version("mailgov"), local_date(utc_now()).isoformat()
    head = f'.TH "{name.upper()}" "1" "{today}" "mailgov {shown}" "{_quoted(_word(language, "manual"))}"'
    return "\n".join(["'\\\" -*- coding: UTF-8 -*-", head, *lines]) + "\n"


def _word(language: Language, key: str) -> str:
    return words.say(language, "manual", key)


def _section(language: Language, key: str) -> str:
    return f'.SH "{_quoted(_word(language, key))}"'


def _program(nouns: Mapping[str, str], language: Language) -> Iterator[str]:
    yield _section(language, "name")
    yield f"mailgov \\- {_text(_word(language, 'purpose'))}"
    yield _section(language, "synopsis")
    yield ".B mailgov"
    yield r"\fINOUN\fR \fIVERB\fR [\fITARGET\fR] [\fIOPTIONS\fR]"
    for heading in dict.fromkeys(nouns.values()):
        yield f'.SH "{_quoted(words.say(language, "section", heading).upper())}"'
        for noun, its in nouns.items():
            if its == heading:
                yield ".TP"
                yield f".BR mailgov\\-{_text(noun)} (1)"
                yield _text(words.find(language, "help", noun, "summary"))
    yield _section(language, "options")
    yield from _options(global_params(), "", language)
    yield _section(language, "exit")
    for code in Exit:
        yield ".TP"
        yield f".B {int(code)}"
        yield _text(words.say(language, "exit", str(int(code))))
    yield _section(language, "environment")
    yield from _lines(words.find(language, "topic", "environment"))
    yield _section(language, "formats")
    yield from _lines(words.find(language, "topic", "formats"))


def _noun(noun: str, command: Any, language: Language) -> Iterator[str]:
    verbs = dict(_verbs(noun, command))
    yield _section(language, "name")
    yield f"mailgov\\-{_text(noun)} \\- {_text(words.find(language, 'help', noun, 'summary'))}"
    yield _section(language, "synopsis")
    for position, (path, verb) in enumerate(verbs.items()):
        if position:
            yield ".br"
        yield _synopsis(path, verb)
    yield _section(language, "commands")
    for path, verb in verbs.items():
        yield f'.SS "mailgov {_quoted(path)}"'
        yield _text(command_help(verb, path, language))
        if verb.epilog:
            yield ".PP"
            yield from _lines(verb.epilog)
        yield from _options(verb.params, path, language)
    yield _section(language, "see-also")
    yield ".BR mailgov (1)"


def _verbs(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(command, TyperGroup):
        for name, one in command.commands.items():
            yield from _verbs(f"{path} {name}", one)
    else:
        yield path, command


def _synopsis(path: str, verb: Any) -> str:
    targets = [
        (param.metavar or param.name.upper(), param.required)
        for param in verb.params
        if param.param_type_name == "argument"
    ]
    shown = "".join(
        rf" \fI{_text(name)}\fR" if needed else rf" [\fI{_text(name.strip('[]'))}\fR]"
        for name, needed in targets
    )
    needed = "".join(
        rf" \fB{_text(param.opts[0])}\fR \fI{_text(_value(param))}\fR"
        for param in verb.params
        if param.param_type_name == "option" and param.required
    )
    return rf"\fBmailgov {_text(path)}\fR{shown}{needed} [\fIOPTIONS\fR]"


def _options(params: Iterable[Any], path: str, language: Language) -> Iterator[str]:
    for param in params:
        yield ".TP"
        if param.param_type_name == "argument":
            yield rf"\fI{_text((param.metavar or param.name.upper()).strip('[]'))}\fR"
        else:
            names = ", ".join(
                rf"\fB{_text(opt)}\fR" for opt in (*param.opts, *param.secondary_opts)
            )
            takes = "" if param.is_flag or param.count else rf" \fI{_text(_value(param))}\fR"
            yield names + takes
        yield _text(param_help(param, path, language)) or r"\&"


def _value(param: Any) -> str:
    choices = getattr(param.type_descriptor, "choices", None)
    if choices:
        return "|".join(str(getattr(one, "value", one)) for one in choices)
    return str(param.metavar or param.name.rstrip("_").replace("_", "-").upper())


def _lines(text: str) -> Iterator[str]:
    """Lines as they stand: examples, tables."""
    yield ".nf"
    yield from (_text(line.strip("\n")) or r"\&" for line in _flush(text))
    yield ".fi"


def _flush(text: str) -> list[str]:
    """The lines of an epilog, which are indented in the source by as much as they happen to be."""
    return [
        line.strip() if line.strip().startswith("mailgov") else line.rstrip()
        for line in text.strip().splitlines()
    ]


def _text(text: str) -> str:
    """Text that the formatter takes for nothing else."""
    plain = text.replace("\\", r"\e").replace("-", r"\-")
    plain = plain.replace("'", r"\(aq").replace("`", r"\(ga")
    return _LEADING.sub(r"\\&", plain)


def _quoted(text: str) -> str:
    return _text(text).replace('"', r"\(dq")
