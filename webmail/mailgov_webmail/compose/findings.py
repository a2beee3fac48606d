"""What the gate says of a letter, in the writer's words: how grave, where, why, and what mends it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from mailgov import texts
from mailgov.gate.outcome import Judgement
from mailgov.texts.explanation import of_finding
from mailgov_policies import Action, Finding
from mailgov_policies.document_types import document_types, email_categories
from mailgov_webmail.compose.documents import label
from mailgov_webmail.compose.drafts import Draft, File
from mailgov_webmail.compose.letter import Letter
from mailgov_webmail.compose.repair import can_be_copied
from mailgov_webmail.words import Words

Level = Literal["block", "warn", "hint"]

MANY_RECIPIENTS = 30
_FIRST_FILE_PART = 2  # part 1 is the text
_PART = re.compile(r"(?:part|file name) (\d+)\b")
_TARGETS = (
    ("subject", "subject"),
    ("header Subject", "subject"),
    ("header From", "from"),
    ("header Sender", "from"),
    ("envelope sender", "from"),
    ("header Mailgov-Document", "document"),
)
_MENTIONS_FILE = re.compile(
    r"(?i)\b(?:đính kèm|gửi kèm|kèm theo|tệp kèm|file kèm|attached|attachment|enclosed)\b"
)
# Nothing of such a message may stay, not even as a draft.
_ERASE = frozenset({"secret-mark", "secret-no-copy"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a finding is: `target` is an id on the page, `label` says it in words."""

    target: str
    label: str
    file: File | None = None
    line: int = 0  # of the text, counted from 1; 0: the whole


@dataclass(frozen=True, slots=True)
class Repair:
    """A button. `value` says to the server what to do; `key` is its text."""

    value: str
    key: str
    about: str = ""
    label: str = ""  # `about` in words


@dataclass(frozen=True, slots=True)
class Shown:
    """A finding as the page shows it."""

    level: Level
    code: str
    title: str
    sentence: str
    place: Place
    basis: str
    repairs: tuple[Repair, ...]
    steps: tuple[str, ...] = ()  # how it is mended here
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """All findings of a letter, gravest first."""

    findings: tuple[Shown, ...]
    undecided: bool = False  # the gate could not judge: send again later

    @property
    def blocks(self) -> int:
        """How many keep the letter from being sent."""
        return sum(finding.level == "block" for finding in self.findings)

    @property
    def warnings(self) -> int:
        """How many need a written reason."""
        return sum(finding.level == "warn" for finding in self.findings)

    @property
    def hints(self) -> int:
        """How many are only worth a look."""
        return sum(finding.level == "hint" for finding in self.findings)

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes of rules, for the ledger; hints are not findings of the policy."""
        found = (finding.code for finding in self.findings if finding.level != "hint")
        return tuple(dict.fromkeys(filter(None, found)))


def summary(judgement: Judgement, draft: Draft, words: Words) -> Summary:
    """What the page shows of a judgement, hints of our own at the end."""
    told = [
        finding
        for finding in judgement.verdict.findings
        if finding.action not in (Action.PASS, Action.DEFER)
    ]
    shown = [_shown(finding, judgement, draft, words) for finding in told]
    return Summary(
        (*shown, *hints(draft, words)), undecided=judgement.verdict.action is Action.DEFER
    )


def wrong_field(target: str, title: str, words: Words) -> Shown:
    """A field that keeps the letter from being sent, whatever the rules say."""
    return Shown("block", "", title, "", Place(target, words(f"place.{target}")), "", ())


def hints(draft: Draft, words: Words) -> Iterator[Shown]:
    """What a colleague would mention before the letter goes."""
    letter = draft.letter
    if not letter.subject:
        yield _hint("subject-empty", "subject", words)
    count = sum(
        len(typed.recipients) for name, typed in letter.recipients().items() if name != "bcc"
    )
    if count > MANY_RECIPIENTS:
        yield _hint("many-recipients", "to", words, n=count)
    if not draft.files and _MENTIONS_FILE.search(_own_words(letter)):
        yield _hint("attachment-forgotten", "files", words)


def _own_words(letter: Letter) -> str:
    """Subject and text without what is quoted."""
    lines = (line for line in letter.body.split("\n") if not line.startswith(">"))
    return "\n".join([letter.subject, *lines])


def _hint(code: str, target: str, words: Words, **fields: int) -> Shown:
    return Shown(
        level="hint",
        code=code,
        title=words(f"hint.{code}.title"),
        sentence=words(f"hint.{code}.text", **fields),
        place=Place(target, words(f"place.{target}")),
        basis="",
        repairs=(),
    )


def _shown(finding: Finding, judgement: Judgement, draft: Draft, words: Words) -> Shown:
    place = _place(finding, draft, words)
    told = of_finding(words.language, finding.code, finding.where, finding.evidence, finding.basis)
    return Shown(
        level="block" if finding.action is Action.REJECT else "warn",
        code=finding.code,
        title=told.title,
        sentence=told.why,
        place=place,
        basis=told.basis,
        steps=told.steps["webmail"],
        repairs=tuple(
            replace(repair, label=label(repair.about, words.language) or repair.about)
            for repair in _repairs(finding, place, judgement, draft)
        ),
        before=told.read,
        after=told.meant,
    )


def _place(finding: Finding, draft: Draft, words: Words) -> Place:
    """The field, line or file that `where` names; the whole letter where it names none of them."""
    where, file = finding.where, _file_at(finding.where, draft)
    name = file.name if file else finding.evidence.get("file", "")
    text = texts.place(words.language, where, name)
    label = text[:1].upper() + text[1:]
    if file is not None:
        return Place(f"file-{file.id}", label, file)
    if where.startswith(("body", "part 1")):
        line = _line_of(finding.evidence.get("as_read", ""), draft.letter.body)
        return Place("body", words("place.line", line=line) if line else label, line=line)
    if where.startswith("recipient "):
        return Place(_box_of(where.removeprefix("recipient "), draft.letter), label)
    return Place(next((to for start, to in _TARGETS if where.startswith(start)), "letter"), label)


def _file_at(where: str, draft: Draft) -> File | None:
    """The file of the draft behind `part 2`: part 1 is the text."""
    found = _PART.match(where)
    position = int(found[1]) - _FIRST_FILE_PART if found else -1
    return draft.files[position] if 0 <= position < len(draft.files) else None


def _line_of(excerpt: str, body: str) -> int:
    """The line of the text that an excerpt begins in, counted from 1; 0 when it is nowhere."""
    start = excerpt.strip().split("\n")[0][:40]
    if not start:
        return 0
    lines = body.split("\n")
    return next((number for number, line in enumerate(lines, 1) if start in line), 0)


def _box_of(address: str, letter: Letter) -> str:
    for name, typed in letter.recipients().items():
        if any(person.address.key == address for person in typed.recipients):
            return name
    return "to"


def _repairs(
    finding: Finding, place: Place, judgement: Judgement, draft: Draft
) -> Iterator[Repair]:
    code = finding.code
    if code in _ERASE and finding.action is Action.REJECT:
        yield Repair("erase", "repair.erase")
    elif code.startswith("legacy-encoding") and place.target in ("subject", "body"):
        yield Repair(f"unicode:{place.target}", "repair.unicode")
    elif (
        code.startswith("legacy-encoding") and place.file and finding.where.startswith("file name")
    ):
        yield Repair(f"unicode-name:{place.file.id}", "repair.unicode-name")
    elif code.startswith("legacy-encoding") and place.file and can_be_copied(place.file, draft):
        yield Repair(f"unicode-file:{place.file.id}", "repair.unicode-file")
    elif code.startswith("document-type"):
        for kind in _suggested(judgement):
            yield Repair(f"document:{kind}", "repair.document", kind)
    elif place.target in ("to", "cc", "bcc"):
        address = finding.where.removeprefix("recipient ")
        yield Repair(f"recipient:{address}", "repair.recipient", address)
    if place.file is not None:
        yield Repair(f"replace:{place.file.id}", "repair.replace", place.file.name)
        yield Repair(f"remove:{place.file.id}", "repair.remove", place.file.name)


def _suggested(judgement: Judgement) -> Iterator[str]:
    """The type that the content itself shows, where the writer chose another or none."""
    found = judgement.facts.content.found
    declared = judgement.facts.content.declared
    if found is None:
        return
    for kind in (found.type, found.category):
        known = kind in document_types() or kind in email_categories()
        if known and (declared is None or kind not in (declared.type, declared.category)):
            yield kind
            return
