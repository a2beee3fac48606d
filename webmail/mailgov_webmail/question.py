"""What somebody asks of a search: words and operators, in either language, and what they mean over IMAP.

từ:lan có:tệp trước:21/11/2026 "họp giao ban" -hoãn
from:lan has:file before:21/11/2026 "họp giao ban" -hoãn
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from mailgov.imap_client.answers import quoted
from mailgov.texts import Language
from mailgov_policies.document_types import document_types

MAX_LETTERS = 300
MAX_TERMS = 30

EVERYWHERE = "all"
"""The place that also takes in junk and trash."""

# Each operator as it is written in Vietnamese; marks may be left out.
OPERATORS: Mapping[str, str] = {
    "from": "từ",
    "to": "đến",
    "subject": "tiêu-đề",
    "type": "loại",
    "has": "có",
    "is": "là",
    "in": "trong",
    "before": "trước",
    "after": "sau",
    "larger": "lớn",
    "smaller": "nhỏ",
}
STATES: Mapping[str, tuple[str, str]] = {  # how it is written in Vietnamese, and over IMAP
    "unread": ("chưa-đọc", "UNSEEN"),
    "read": ("đã-đọc", "SEEN"),
    "flagged": ("gắn-cờ", "FLAGGED"),
    "answered": ("đã-trả-lời", "ANSWERED"),
    "unanswered": ("chưa-trả-lời", "UNANSWERED"),
}
_FILES = {"file": "tệp"}
_FILE_WORDS = ("file", "files", "attachment", "tệp", "đính-kèm")
_TERM = re.compile(r'(-?)(?:([^\s:"]+):)?(?:"([^"]*)"?|([^\s"]+))')
_DAY = re.compile(r"(\d{1,2})[/.-](\d{1,2})(?:[/.-](\d{4}))?", re.ASCII)
_ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_SIZE = re.compile(r"(\d{1,12})(?:[.,](\d))?(?:([kmg])b?)?", re.IGNORECASE | re.ASCII)
_UNITS = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_QUOTES = str.maketrans("“”„«»", '"' * 5)


@dataclass(frozen=True, slots=True)
class Term:
    """A word or phrase, or an operator with its value in one form (ISO day, bytes, id of a type)."""

    value: str
    operator: str = ""
    excluded: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """All terms, which must hold together, and what could not be understood."""

    terms: tuple[Term, ...] = ()
    problems: tuple[str, ...] = ()

    def value(self, operator: str) -> str:
        """What the operator was given; empty when it was not used."""
        return next((t.value for t in self._in_fields() if t.operator == operator), "")

    def shown(self, operator: str) -> str:
        """The same as people write it: a day is 21/11/2026, a size 5M."""
        found = (t for t in self._in_fields() if t.operator == operator)
        return next((_shown(term, "en", {}) for term in found), "")

    def beside(self) -> "Question":
        """What the filter form has no field for."""
        in_fields = self._in_fields()
        return Question(tuple(term for term in self.terms if term not in in_fields))

    def _in_fields(self) -> list[Term]:
        found: dict[str, Term] = {}
        for term in self.terms:
            if term.operator and not term.excluded:
                found.setdefault(term.operator, term)
        return list(found.values())

    def written(self, language: Language, folders: Mapping[str, str]) -> str:
        """The question as somebody would write it in that language."""
        names = {slug: name for name, slug in folders.items()}
        names[EVERYWHERE] = "mọi nơi" if language == "vi" else "all"
        return " ".join(_written(term, language, names) for term in self.terms)

    def criteria(self) -> str:
        """The search keys (RFC 3501, 6.4.4); the place is left out."""
        return " ".join(_keys(self.terms)) or "ALL"


def parse(text: str, today: date, folders: Mapping[str, str]) -> Question:
    """Understand what was written. `folders` gives the place in addresses for what people call it.

    What looks like an operator and is none is a word; a value that does not fit is a problem.
    """
    text = unicodedata.normalize("NFC", text.translate(_QUOTES))[:MAX_LETTERS]
    values = _Values(today, folders)
    terms, problems = [], []
    for minus, name, phrase, word in _TERM.findall(text):
        operator = _NAMES.get(plain(name), "") if name else ""
        value = " ".join((phrase or word).split())
        if name and not operator:
            value = f"{name}:{value}"
        if not value:
            continue
        try:
            understood = _READERS[operator](values, value) if operator in _READERS else value
        except ValueError:
            problems.append(f"{name}:{value}")
            continue
        terms.append(Term(understood, operator, bool(minus)))
    return Question(tuple(terms[:MAX_TERMS]), tuple(problems))


def filled_in(fields: Iterable[tuple[str, str]]) -> str:
    """What was chosen in the filter form, operator by operator, as `parse` reads it."""
    cleaned = ((name, value.replace('"', " ").strip()) for name, value in fields)
    return " ".join(f'{name}:"{value}"' for name, value in cleaned if value)


def plain(text: str) -> str:
    """Small letters without marks, by which names of operators and values are compared."""
    bare = unicodedata.normalize("NFD", text.casefold().replace("đ", "d"))
    return "".join(sign for sign in bare if not unicodedata.combining(sign))


def _written(term: Term, language: Language, places: Mapping[str, str]) -> str:
    sign = "-" if term.excluded else ""
    if not term.operator:
        return sign + _in_quotes(term.value)
    name = OPERATORS[term.operator] if language == "vi" else term.operator
    return f"{sign}{name}:{_in_quotes(_shown(term, language, places))}"


def _in_quotes(value: str) -> str:
    # A word that would be read as an operator or a minus is kept together as well.
    return f'"{value}"' if re.search(r"[\s:]|^-", value) else value


def _shown(term: Term, language: Language, places: Mapping[str, str]) -> str:
    value = term.value
    if term.operator in ("before", "after"):
        return f"{date.fromisoformat(value):%d/%m/%Y}"
    if term.operator in ("larger", "smaller"):
        size = int(value)
        unit = next(unit for unit in "gmkb" if size % _UNITS[unit] == 0)
        return f"{size // _UNITS[unit]}{unit.upper() if unit != 'b' else ''}"
    if term.operator == "type":
        return document_types()[value].abbreviation or value
    if term.operator == "in":
        return places.get(value, value).lower().replace(" ", "-")
    if language == "vi" and term.operator == "is":
        return STATES[value][0]
    if language == "vi" and term.operator == "has":
        return _FILES[value]
    return value


def _keys(terms: Iterable[Term]) -> Iterator[str]:
    for term in terms:
        key = _KEYS[term.operator](term.value)
        if key:
            yield f"NOT ({key})" if term.excluded else key


def _typed(value: str) -> str:
    """The declaration that a letter carries, or the tag in its subject."""
    keys = [f"HEADER Mailgov-Document {quoted(f'type={value}')}"]
    if abbreviation := document_types()[value].abbreviation:
        keys.append(f"HEADER Mailgov-Document {quoted(f'type={abbreviation};')}")
        keys.append(f"SUBJECT {quoted(f'[{abbreviation}]')}")
    return "OR " * (len(keys) - 1) + " ".join(keys)


def _on_the_calendar(value: str) -> str:
    day = date.fromisoformat(value)
    return f"{day.day}-{_MONTHS[day.month - 1]}-{day.year:04}"


_KEYS: Mapping[str, Callable[[str], str]] = {
    "": lambda value: f"TEXT {quoted(value)}",
    "from": lambda value: f"FROM {quoted(value)}",
    "to": lambda value: f"OR TO {quoted(value)} CC {quoted(value)}",
    "subject": lambda value: f"SUBJECT {quoted(value)}",
    "type": _typed,
    # IMAP knows no files: a message with some is nearly always of this type.
    "has": lambda _: 'HEADER Content-Type "multipart/mixed"',
    "is": lambda value: STATES[value][1],
    "in": lambda _: "",
    "before": lambda value: f"BEFORE {_on_the_calendar(value)}",
    "after": lambda value: f"SINCE {_on_the_calendar(value)}",
    "larger": lambda value: f"LARGER {value}",
    "smaller": lambda value: f"SMALLER {value}",
}


@dataclass(frozen=True, slots=True)
class _Values:
    """Brings what was written after an operator into its one form. Raises ValueError."""

    today: date
    folders: Mapping[str, str]

    def day(self, value: str) -> str:
        """In ISO form; without a year it is one of this year."""
        word = plain(value)
        if word in ("today", "hom-nay"):
            return self.today.isoformat()
        if word in ("yesterday", "hom-qua"):
            return (self.today - timedelta(days=1)).isoformat()
        if _ISO_DAY.fullmatch(value):
            return date.fromisoformat(value).isoformat()
        found = _DAY.fullmatch(value)
        if found is None:
            raise ValueError(value)
        return date(int(found[3] or self.today.year), int(found[2]), int(found[1])).isoformat()

    def size(self, value: str) -> str:
        """In bytes."""
        found = _SIZE.fullmatch(value)
        if found is None:
            raise ValueError(value)
        tenths = int(found[1]) * 10 + int(found[2] or 0)
        return str(tenths * _UNITS[(found[3] or "b").lower()] // 10)

    def state(self, value: str) -> str:
        """The English word."""
        return _one_of(value, ((state, (state, written)) for state, (written, _) in STATES.items()))

    def files(self, value: str) -> str:
        """The one thing that a message can have."""
        return _one_of(value, [("file", _FILE_WORDS)])

    def kind(self, value: str) -> str:
        """The id of a document type, by its abbreviation, id or name. `ĐA` is not `DA`."""
        types = document_types().values()
        exact = [kind.id for kind in types if kind.abbreviation.casefold() == value.casefold()]
        if exact:
            return exact[0]
        return _one_of(
            value, ((kind.id, (kind.id, kind.vi, kind.abbreviation or kind.id)) for kind in types)
        )

    def place(self, value: str) -> str:
        """The folder as it stands in addresses."""
        names = ((slug, (slug, name)) for name, slug in self.folders.items())
        return _one_of(value, ((EVERYWHERE, (EVERYWHERE, "tất-cả", "mọi-nơi")), *names))


def _one_of(value: str, choices: Iterable[tuple[str, Iterable[str]]]) -> str:
    wanted = _joined(value)
    for choice, names in choices:
        if value == choice or wanted in map(_joined, names):
            return choice
    raise ValueError(value)


def _joined(text: str) -> str:
    return plain(text).replace(" ", "-")


_READERS: Mapping[str, Callable[[_Values, str], str]] = {
    "before": _Values.day,
    "after": _Values.day,
    "larger": _Values.size,
    "smaller": _Values.size,
    "is": _Values.state,
    "has": _Values.files,
    "type": _Values.kind,
    "in": _Values.place,
}
_NAMES = {name: name for name in OPERATORS} | {
    plain(word): name for name, word in OPERATORS.items()
}
