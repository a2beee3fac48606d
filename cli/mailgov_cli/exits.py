"""How a command ends: exit codes, and errors told plainly on stderr."""

import hashlib
import json
import re
import sys
import traceback
from difflib import get_close_matches
from enum import IntEnum
from typing import Any

from mailgov.errors import (
    Conflict,
    ConsentMissing,
    InputError,
    MailgovError,
    NotAllowed,
    NotFound,
    Unavailable,
)
from mailgov.texts import Language
from mailgov_cli import words


class Exit(IntEnum):
    """What a script can rely on; `mailgov help exit-codes` explains each."""

    DONE = 0  # done, or nothing to do
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    NOT_ALLOWED = 4
    CONFLICT = 5
    INPUT = 6  # input not valid; nothing was changed
    PARTLY = 7  # some rows rejected
    FOUND = 8  # a check found something
    TEMPORARY = 9
    CONSENT = 10
    INTERRUPTED = 130


_BY_ERROR: tuple[tuple[type[MailgovError], Exit], ...] = (
    (InputError, Exit.INPUT),
    (NotFound, Exit.NOT_FOUND),
    (NotAllowed, Exit.NOT_ALLOWED),
    (Conflict, Exit.CONFLICT),
    (ConsentMissing, Exit.CONSENT),
    (Unavailable, Exit.TEMPORARY),
)


class UsageMistake(MailgovError):
    """The command line itself is wrong: exit 2."""


def exit_code(error: MailgovError) -> Exit:
    """The code that belongs to an error's kind."""
    if isinstance(error, UsageMistake):
        return Exit.USAGE
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), Exit.FAILED)


def report(error: MailgovError, language: Language, *, as_json: bool) -> Exit:
    """Tell an error on stderr, in words or as one JSON object; returns the exit code."""
    code = exit_code(error)
    text, mend = words.tell(error, language)
    if as_json:
        fields = {name: str(value) for name, value in error.fields.items()}
        told = {"code": error.code, "text": text, "mend": mend, "fields": fields, "exit": code}
        line = json.dumps({"error": told}, ensure_ascii=False)
    else:
        line = words.say(language, "frame", "error", code=error.code, text=text)
        if mend:
            line += "\n" + words.say(language, "frame", "mend", mend=mend)
    print(line, file=sys.stderr)  # noqa: T201 - this is where errors are told
    return code


def report_fault(fault: BaseException, language: Language, *, as_json: bool, frames: bool) -> Exit:
    """Tell of a mistake of ours by a reference that is the same wherever it happens again.

    `frames` adds where it happened: names and lines only, since messages of foreign exceptions
    repeat values, and values may be secrets.
    """
    stack = traceback.extract_tb(fault.__traceback__)
    places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in stack]
    kind = type(fault).__name__
    where = "\n".join([kind, *(place.rpartition("/")[2] for place in places)])
    reference = hashlib.sha256(where.encode()).hexdigest()[:8]
    if frames:
        print("\n".join([*places, kind]), file=sys.stderr)  # noqa: T201 - asked for with -v
    return report(
        MailgovError("internal", reference=reference, kind=kind), language, as_json=as_json
    )


# What the parser complains of, in its words, and the entry under `[problem]` that says it in ours.
_PROBLEMS = (
    (r"valid integer", "integer"),
    (r"(?:>=|greater than or equal to) ?(?P<limit>\d+)", "least"),
    (r"is not one of (?P<choices>.*?)\.?$", "choice"),
    (r"does not match the formats (?P<choices>.*?)\.?$", "date"),
    (r"unexpected extra argument\(s\) \((?P<given>.*)\)", "extra"),
    (r"Option '(?P<option>[^']+)' requires an argument", "value"),
    (r"Missing command", "command"),
)


def _problem(message: str, language: Language) -> str:
    for pattern, key in _PROBLEMS:
        if found := re.search(pattern, message):
            return words.say(language, "problem", key, **found.groupdict())
    return message


def _meant(fault: Any, language: Language) -> str:
    """The options that look like the one given; suggested, never taken."""
    known = (
        [opt for param in fault.ctx.command.get_params(fault.ctx) for opt in param.opts]
        if getattr(fault, "ctx", None)
        else []
    )
    found = get_close_matches(fault.option_name, known, n=2)
    return words.say(language, "frame", "meant", like=", ".join(found)) if found else ""


def usage_mistake(fault: Any, language: Language) -> UsageMistake:
    """The parser's complaint as an error of ours, so that it is told in the chosen language."""
    command = fault.ctx.command_path if getattr(fault, "ctx", None) else "mailgov"
    param = getattr(fault, "param", None)
    name = param.get_error_hint().replace("'", "") if param else ""
    match type(fault).__name__:
        case "NoSuchOption":
            return UsageMistake(
                "unknown-option",
                option=fault.option_name,
                command=command,
                hint=_meant(fault, language),
            )
        case "MissingParameter":
            return UsageMistake("parameter-missing", name=name, command=command)
        case "BadParameter":
            return UsageMistake(
                "parameter-not-valid",
                name=name,
                problem=_problem(fault.message, language),
                command=command,
            )
        case _:
            problem = _problem(fault.format_message().splitlines()[0], language)
            return UsageMistake("usage", problem=problem, command=command)
