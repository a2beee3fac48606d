"""Words as data: one entry per code in vi.toml and en.toml.

`[rule.<key>]` has title, reason (one sentence with {places}), basis, help, under `cases` the reason
of each case of its own, and under `steps` lists for webmail, thunderbird, outlook, phone.
`[error.<code>]` has text and mend. `[notice.…]` holds the words of delivery status notices. Both
files have the same entries; a test compares them.
"""

import unicodedata

from mailgov.errors import MailgovError
from mailgov.texts.entries import LANGUAGES, Language, catalogue, entry, fill, words
from mailgov.texts.evidence import evidence_in_words, place, ruleset_problems
from mailgov.texts.explanation import sentence as rule_sentence

__all__ = [
    "LANGUAGES",
    "Language",
    "catalogue",
    "entry",
    "evidence_in_words",
    "fill",
    "place",
    "rule_sentence",
    "rule_steps",
    "rule_title",
    "ruleset_problems",
    "tell",
    "without_marks",
    "words",
]


def rule_title(language: Language, code: str) -> str:
    """The name of a rule; one name for all that rulesets have added."""
    known = entry(language, f"rule.{code}") or entry(language, "rule-of-agency")
    return str(known["title"])


def rule_steps(language: Language, code: str, program: str) -> tuple[str, ...]:
    """What to do, step by step, in `webmail`, `thunderbird`, `outlook` or on the `phone`."""
    known = entry(language, f"rule.{code}") or entry(language, "rule-of-agency")
    steps = known.get("steps", {}).get(program, ())
    return tuple(steps) if isinstance(steps, list) else ()


def tell(error: MailgovError, language: Language) -> tuple[str, str]:
    """What went wrong and how to mend it, in words."""
    fields = {
        name: ruleset_problems(language, value) if name == "problems" else value
        for name, value in error.fields.items()
    }
    if isinstance(why := fields.get("why"), str):
        fields["why"] = evidence_in_words(language, {"why": why})["why"]
    sentence = words(language, f"error.{error.code}.text", **fields)
    if sentence == f"error.{error.code}.text":
        sentence = str(error)
    mend = entry(language, f"error.{error.code}").get("mend", "")
    return sentence, fill(mend, fields) if mend else ""


def without_marks(text: str) -> str:
    """Vietnamese without diacritics, in ASCII: for SMTP replies to clients without SMTPUTF8."""
    plain = text.replace("đ", "d").replace("Đ", "D").replace("“", '"').replace("”", '"')
    decomposed = unicodedata.normalize("NFD", plain)
    return (
        "".join(c for c in decomposed if not unicodedata.combining(c))
        .encode("ascii", "replace")
        .decode()
    )
