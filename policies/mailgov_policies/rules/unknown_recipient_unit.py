"""A document that names its addressees goes to one of them; the clerk returns what does not.

Only offices are looked at, since a document is sent to people for many reasons, and only documents
with a number. Each addressee must name one agency: before `các sở, ban, ngành` or a person's name
the rule is silent, and it takes the agencies above the recipient's for meant as well.
Basis: docs/basis.md#a11.
"""

import re
from collections.abc import Iterator

from mailgov_policies import attached
from mailgov_policies.facts import Attachment, Document, Facts
from mailgov_policies.lookalike import letters
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit

_OFFICES = ("office", "shared")
_WORD = re.compile(r"[^\W_]+")
_SHORT = {
    "ubnd": "uy ban nhan dan",
    "hdnd": "hoi dong nhan dan",
    "vp": "van phong",
    "tp": "thanh pho",
    "tt": "thi tran",
    "ct": "chu tich",
}
_AGENCIES = (
    *("bo ", "so ", "cuc ", "tong cuc ", "chi cuc ", "vu ", "ban ", "phong ", "van phong "),
    *("uy ban nhan dan ", "hoi dong nhan dan ", "cong an ", "thanh tra ", "kho bac ", "toa an "),
    *("vien ", "bao hiem xa hoi ", "kiem toan ", "ngan hang nha nuoc ", "truong ", "trung tam "),
)
_MANY = re.compile(r" (?:cac|nhung|toan the|moi|tung|nhu|lien quan|truc thuoc|va) ")


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:  # noqa: ARG001 - has no settings
    """A hit for each office that no document in the message is addressed to."""
    addressed = [
        (item, document)
        for item in facts.content.attachments
        if (document := item.document) is not None and _names_agencies(document)
    ]
    if not addressed:
        return
    for recipient in facts.envelope.recipients:
        names = [_words(name) for name in recipient.agency_names]
        if recipient.kind not in _OFFICES or not names:
            continue
        if not any(_is_meant(names, document) for _, document in addressed):
            yield _hit(*addressed[0], recipient.address)


def _hit(item: Attachment, document: Document, recipient: str) -> Hit:
    addressee = "; ".join(document.addressees)[:200]
    evidence = attached.evidence(item, recipient=recipient, addressee=addressee)
    return Hit(RULE.key, attached.place(item), evidence)


def _names_agencies(document: Document) -> bool:
    """Whether it is a numbered document and each of its addressees one agency."""
    if not (document.is_agency_document and document.number and document.addressees):
        return False
    return all(
        words.lstrip().startswith(_AGENCIES) and not _MANY.search(words)
        for words in map(_words, document.addressees)
    )


def _is_meant(names: list[str], document: Document) -> bool:
    return any(
        addressee in name or name in addressee
        for addressee in map(_words, document.addressees)
        for name in names
    )


def _words(text: str) -> str:
    """Words without case and marks, abbreviations written out, one space around each."""
    found = _WORD.findall(letters(text[:300]))
    return f" {' '.join(_SHORT.get(word, word) for word in found)} "


RULE = Rule(
    key="unknown-recipient-unit",
    id="A11",
    version=1,
    check=check,
    evidence=("place", "file", "recipient", "addressee"),
)
