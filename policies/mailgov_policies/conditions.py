"""Rules without programming: conditions over the facts, in the Common Expression Language (CEL).

`content` and `envelope` are the facts of `facts.py` under their own names, properties included. What
is not there is empty rather than null: a message without a document has one whose type is "". A
condition is compiled when its ruleset is loaded, the names it reads are checked, and it is tried on
facts that say nothing and on facts that have one of everything.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache, lru_cache
from typing import Any

from mailgov_policies.facts import (
    Attachment,
    Content,
    Document,
    Envelope,
    Facts,
    Header,
    Mark,
    Page,
    Person,
    Receipt,
    RecipientFacts,
    ScannedPages,
    Signature,
    Text,
)
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit

LONGEST = 2000  # letters of one condition
ROOTS = ("content", "envelope")

# What stands in quotes is no name; escaped quotes end no string.
_STRING = re.compile(r"""r?("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')""")
_FIELD = re.compile(r"\.\s*([A-Za-z_]\w*)(?!\w)(?!\s*\()")
_DERIVED: Mapping[type, tuple[str, ...]] = {
    Person: ("domain",),
    Document: ("notation",),
    Attachment: ("extension",),
    Content: ("document",),
    Signature: ("is_sound",),
}
_EMPTY: Mapping[str, Any] = {
    "sender": Person("", ""),
    "declared": Document(),
    "found": Document(),
    "document": Document(),
    "page": Page(),
    "scan": ScannedPages("", 0, 0),
}


class ConditionError(ValueError):
    """A condition is not valid; the message says why."""


def own_rule(key: str, condition: str, sentences: Mapping[str, str]) -> Rule:
    """The rule that strikes when the condition holds; `sentences` say why, by language.

    Raises ConditionError.
    """
    holds = compiled(condition)

    def check(facts: Facts, settings: Settings) -> Iterator[Hit]:  # noqa: ARG001 - has no settings
        if holds(facts):
            yield Hit(key, "message", {"place": "message", **sentences})

    return Rule(
        key=key,
        id=key,
        version=1,
        check=check,
        evidence=("place", *sentences),
        words=sentences,
        condition=condition.strip(),
    )


def compiled(condition: str) -> Callable[[Facts], bool]:
    """The condition as a function, which may raise at run time. Raises ConditionError."""
    program = _compiled(condition)
    return lambda facts: _holds(program, facts)


def _compiled(condition: str) -> Any:
    if len(condition) > LONGEST:
        raise ConditionError(f"longer than {LONGEST} letters")
    from cel import compile as compile_condition  # dear, and few rulesets need it

    try:
        program = compile_condition(condition)
    except ValueError as exc:
        raise ConditionError(_first_line(exc)) from exc
    unknown = sorted(_names_read(condition) - known_names())
    if unknown:
        raise ConditionError(f"no such fact: {', '.join(unknown)}")
    for facts in samples():
        _try(program, facts)
    return program


def _try(program: Any, facts: Facts) -> None:
    try:
        _holds(program, facts)
    except Exception as exc:
        raise ConditionError(_first_line(exc)) from exc


def _holds(program: Any, facts: Facts) -> bool:
    answer = program.execute(_as_variables(facts))
    if not isinstance(answer, bool):
        raise TypeError(f"gives {type(answer).__name__}, not true or false")
    return answer


def _first_line(exc: Exception) -> str:
    return (str(exc).splitlines() or [type(exc).__name__])[0]


def _names_read(condition: str) -> set[str]:
    """Every field that the condition reads, whether or not it is reached when tried."""
    return set(_FIELD.findall(_STRING.sub('""', condition)))


@cache
def known_names() -> frozenset[str]:
    """Every field of the facts."""
    types = (Attachment, Content, Document, Envelope, Header, Mark, Page, Person, Receipt)
    more = (RecipientFacts, ScannedPages, Signature, Text, type(_bare().envelope.authentication))
    known = {field.name for kind in (*types, *more) for field in fields(kind)}
    return frozenset(known.union(*_DERIVED.values()))


@lru_cache(maxsize=1)
def _as_variables(facts: Facts) -> Any:
    """Facts as CEL has them, once for all conditions on a message."""
    from cel import Context  # as above

    return Context(variables={"content": _plain(facts.content), "envelope": _plain(facts.envelope)})


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if not is_dataclass(value):
        return value
    names = [field.name for field in fields(value)]
    names += [name for name in _DERIVED.get(type(value), ()) if name not in names]
    return {name: _plain(_present(name, getattr(value, name))) for name in names}


def _present(name: str, value: Any) -> Any:
    if value is None:
        return _EMPTY.get(name, 0)  # a number that isn't known: mailbox_id
    return value


@cache
def samples() -> tuple[Facts, ...]:
    """Facts that say nothing, and facts that have one of everything."""
    person, document = Person("A", "a@b.vn"), Document(addressees=("A",))
    signature = Signature("valid", "pdf")
    full = Content(
        size_bytes=1,
        header=Header("s", (person,), person, (person,), (person,), (person,), (person,)),
        declared=document,
        found=document,
        texts=(Text("body", "tcvn3", 8, 1.0, True, "", ""),),
        marks=(Mark("urgency", "KHẨN", "body", certain=True),),
        attachments=(Attachment("2", "a.pdf", "", "pdf", 1, signatures=(signature,)),),
        active=("javascript",),
        improper=("trade",),
        signatures=(signature,),
        malformed=("bare CR",),
    )
    recipient = RecipientFacts("a@b.vn", "b.vn", agency_names=("a",))
    receipt = Receipt("a@b.vn", "part 2", "2026-11-21")
    envelope = Envelope(
        "inbound", "a@b.vn", (recipient,), may_send_as=("a@b.vn",), received=(receipt,)
    )
    return _bare(), Facts(envelope, full)


def _bare() -> Facts:
    return Facts(Envelope("submission", "", ()), Content(0))
