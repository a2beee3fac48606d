"""What a finding is told as, on every face: what, where, why, on which law, and how it is mended.

Terminal, webmail, help page, refusal and letters all render these parts and write none of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from mailgov.texts.entries import Language, entry, fill, words
from mailgov.texts.evidence import evidence_in_words, harmless, place

Program = Literal["webmail", "thunderbird", "outlook", "phone"]
PROGRAMS: tuple[Program, ...] = get_args(Program)

# What people wrote, or named: whoever decides on a message may not read it.
_WORDS_OF_THE_MESSAGE = frozenset(
    {"file", "mark", "words", "name", "claim", "signer", "as_read", "converted", "notation", "vi", "en"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Explanation:
    """One finding, or one rule, in words."""

    code: str
    title: str  # what
    where: str  # empty for a rule as such
    why: str  # the rule's sentence about this message; for a rule as such: what it asks
    basis: str  # the article
    help: str  # a word more about the rule
    steps: Mapping[Program, tuple[str, ...]]
    read: str = ""  # a run of text as it was read, where that was the trouble
    meant: str = ""  # and as it was meant

    def link(self, help_base: str) -> str:
        """The page that tells all of it."""
        return f"{help_base}/help/rules/{self.code}"


def of_rule(
    language: Language, code: str, basis: str = "", own_words: Mapping[str, str] | None = None
) -> Explanation:
    """A rule as such. `own_words`: the sentence of a rule that an agency's ruleset has added."""
    known = entry(language, f"rule.{code}") or entry(language, "rule-of-agency")
    more = str(known.get("help", ""))
    said = f"{own_words[language]} {more}" if own_words else more
    return Explanation(
        code=code,
        title=str(known["title"]),
        where="",
        why=said,
        basis=law(language, code, basis),
        help=said,
        steps={program: _steps(known, program) for program in PROGRAMS},
    )


def of_finding(
    language: Language, code: str, where: str, evidence: Mapping[str, str], basis: str = ""
) -> Explanation:
    """One finding with what the rule saw. `basis`: the law that the ruleset names."""
    return replace(
        of_rule(language, code, basis),
        where=place(language, where, evidence.get("file", "")),
        why=sentence(language, code, evidence),
        read=harmless(evidence.get("as_read", "")),
        meant=harmless(evidence.get("converted", "")),
    )


def of_stored(
    language: Language, finding: Mapping[str, Any], *, discreet: bool = False
) -> Explanation:
    """A finding as the queue keeps it. Discreet: without a word of the message, for who decides."""
    where, evidence = str(finding["where"]), dict(finding.get("evidence") or {})
    if not (where or evidence):
        return of_rule(language, str(finding["code"]), str(finding.get("basis") or ""))
    if discreet:
        where = without_names(where)
        evidence = {k: v for k, v in evidence.items() if k not in _WORDS_OF_THE_MESSAGE}
        if "place" in evidence:
            evidence["place"] = without_names(evidence["place"])
    told = of_finding(
        language, str(finding["code"]), where, evidence, str(finding.get("basis") or "")
    )
    is_added = not entry(language, f"rule.{told.code}")
    return replace(told, why=told.help) if discreet and is_added else told


def without_names(where: str) -> str:
    """A place without names of files and sheets: `part 2/Lương/a.xls sheet "Lãnh đạo"` is `part 2`."""
    head, _, rest = where.partition(" ")
    if head in ("part", "file"):
        number = rest.removeprefix("name ").split(" ")[0].split("/")[0]
        return f"part {number}"
    return where


def sentence(language: Language, code: str, evidence: Mapping[str, str]) -> str:
    """Why a rule struck, in one sentence; evidence that is an id is put into words.

    Evidence may come from strangers: control characters are dropped, long values cut.
    """
    if not entry(language, f"rule.{code}") and language in evidence:
        return harmless(evidence[language])  # a rule that a ruleset has added
    shown = evidence_in_words(language, evidence)
    case = f"rule.{code}.cases.{evidence.get('case', '')}"
    told = words(language, case, **shown)
    if told == case:
        known = entry(language, f"rule.{code}")
        told = fill(str(known.get("reason", "")), shown) if known else ""
    return told[:1].upper() + told[1:]


def law(language: Language, code: str, basis: str = "") -> str:
    """The law as the ruleset names it; in other languages the translation of the default one."""
    known = entry(language, f"rule.{code}")
    if (language == "vi" or not known) and basis:
        return basis
    return str(known.get("basis", ""))


def _steps(known: Mapping[str, Any], program: str) -> tuple[str, ...]:
    found = known.get("steps", {}).get(program, ())
    return tuple(found) if isinstance(found, list) else ()
