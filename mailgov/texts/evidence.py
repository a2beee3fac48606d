"""Evidence of findings in the words of a language: places, encodings, document types, sizes."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Any

from mailgov.texts.entries import Language, entry, fill

if TYPE_CHECKING:  # the rules are large, and most errors of the command line tell of none
    from mailgov_policies import Problem

_MAX_VALUE = 200  # letters of one value in a sentence
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_BARE = re.compile(r"(?P<head>subject|body|message|envelope sender)(?: (?P<inside>.+))?")
_NAMED = re.compile(r"(?P<head>header|recipient) (?P<name>.+)")


def evidence_in_words(language: Language, evidence: Mapping[str, str]) -> Mapping[str, str]:
    """The same evidence for people. Values that are words already stay as they are."""
    file = evidence.get("file", "")
    shown = {}
    for key, value in evidence.items():
        if key == "place":
            shown[key] = place(language, value, file)
        elif key in _IN_WORDS:
            shown[key] = _IN_WORDS[key](language, harmless(value))
        else:
            shown[key] = harmless(value)
    return shown


def harmless(text: str) -> str:
    """Text of strangers on one line: no control or invisible characters, not too long."""
    text = _UNSAFE.sub(" ", text)
    return text if len(text) <= _MAX_VALUE else f"{text[: _MAX_VALUE - 1]}…"


def place(language: Language, where: str, file: str = "") -> str:
    """Where a finding is: `part 2 paragraph 14` becomes `tệp "bc.doc" (đoạn 14)`."""
    where, file = harmless(where), harmless(file)
    found = _BARE.fullmatch(where) or _part().fullmatch(where) or _NAMED.fullmatch(where)
    if found is None:
        return where
    parts = found.groupdict()
    head, name, inside = parts["head"], parts.get("name") or "", parts.get("inside") or ""
    if head == "part" and file:
        head, name = "file", file
    elif head == "file name" and file:
        name = file
    shown = fill(str(entry(language, "place")[head]), {"name": name})
    if not inside.strip():
        return shown
    pattern = str(entry(language, "place")["in"])
    return fill(pattern, {"place": shown, "inside": _inside(language, inside.strip())})


@cache
def _nouns() -> str:
    """What readers call places in a file, as alternatives: paragraph, sheet, text box."""
    return "|".join(sorted(entry("en", "inside"), key=len, reverse=True))


@cache
def _part() -> re.Pattern[str]:
    """A part and what stands behind it; its own name may hold blanks: `2/Thư mục/a b.exe`."""
    return re.compile(rf"(?P<head>part|file name) (?P<name>.+?)(?P<inside> (?:{_nouns()})\b.*)?")


def _inside(language: Language, text: str) -> str:
    """`sheet "Nhân sự" B7` with its nouns translated; what stands in quotes is left alone."""
    translated = entry(language, "inside")
    return "".join(
        piece
        if piece.startswith('"')
        else re.sub(rf"\b({_nouns()})\b", lambda found: str(translated[found[1]]), piece)
        for piece in re.split(r'("[^"]*")', text)
    )


def ruleset_problems(language: Language, problems: Any) -> str:
    """Every fault of a ruleset file, one after the other; text stays as it is."""
    if isinstance(problems, str) or not isinstance(problems, Iterable):
        return str(problems)
    from mailgov_policies import Problem

    return "; ".join(
        ruleset_problem(language, one) if isinstance(one, Problem) else str(one) for one in problems
    )


def ruleset_problem(language: Language, problem: "Problem") -> str:
    """Where the fault is, and what is wrong."""
    table = entry(language, "ruleset-problem")
    fields: dict[str, Any] = dict(problem.fields)
    if near := fields.get("near"):
        fields["near"] = fill(str(table["meant"]), {"near": near})
    kind = "place" if problem.row else "place-head" if problem.line else "place-file"
    where = {"line": problem.line, "row": problem.row, "key": problem.key or "?"}
    told = fill(str(table.get(problem.code, problem.code)), fields)
    file = f"{problem.file}, " if problem.file else ""
    return f"{file}{fill(str(table[kind]), where)}: {told}"


def _encoding(language: Language, value: str) -> str:
    return str(entry(language, "encoding").get(value, value))


def _type(language: Language, value: str) -> str:
    from mailgov_policies.document_types import document_types, email_categories

    known = document_types().get(value) or email_categories().get(value)
    if known is None:
        return value
    return known.vi if language == "vi" else known.en


def _size(language: Language, value: str) -> str:
    """Bytes as MB of 1024 times 1024 bytes, one decimal; anything but digits stays."""
    if not value.isdecimal():
        return value
    size_mb = f"{int(value) / (1 << 20):.1f}".removesuffix(".0")
    return f"{size_mb.replace('.', ',') if language == 'vi' else size_mb} MB"


def _day(language: Language, value: str) -> str:
    """A day as people write it; anything but an ISO date stays."""
    try:
        day = date.fromisoformat(value)
    except ValueError:
        return value
    return f"{day:%d/%m/%Y}" if language == "vi" else value


def _somebody(language: Language, value: str) -> str:
    return value or str(entry(language, "place")["nobody"])


def _phrases(language: Language, value: str) -> str:
    """Phrases of the readers one by one; unknown ones stay in English."""
    return ", ".join(_phrase(language, phrase) for phrase in value.split(", "))


def _phrase(language: Language, phrase: str) -> str:
    known = entry(language, "phrase")
    if phrase in known:
        return str(known[phrase])
    for pattern, key in _patterns():
        if found := pattern.fullmatch(phrase):
            return str(known[key]).replace("*", found[1])
    return phrase


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Phrases with a `*`, which stands for what differs; the longest first."""
    keys = sorted((key for key in entry("en", "phrase") if "*" in key), key=len, reverse=True)
    return tuple((re.compile(re.escape(key).replace(r"\*", "(.+)")), key) for key in keys)


_IN_WORDS: Mapping[str, Callable[[Language, str], str]] = {
    "encoding": _encoding,
    "type": _type,
    "found": _type,
    "size": _size,
    "limit": _size,
    "address": _somebody,
    "active": _phrases,
    "faults": _phrases,
    "why": _phrases,
    "use": _phrases,
    "date": _day,
}
