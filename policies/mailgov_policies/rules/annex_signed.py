"""An annex in a file of its own bears the agency's signature, as the document does.

An annex is known by its name (`names`: words with which it begins, without marks), and only beside
a signed document. A certificate that does not say whose it is may be the agency's.
Basis: docs/basis.md#b14.
"""

import re
import unicodedata
from collections.abc import Iterator

from mailgov_policies import attached
from mailgov_policies.facts import Attachment, Facts
from mailgov_policies.formal import formal_documents, sound_signatures
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit

_WORD = re.compile(r"[a-z]+|[0-9]+")


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:
    """A hit for each annex that the agency did not sign."""
    signed = [item for item, _ in formal_documents(facts.content) if sound_signatures(item)]
    if not signed:
        return
    names = tuple(f"{name} " for name in settings.names("names"))
    for item in facts.content.attachments:
        if "/" in item.part or item in signed or not _words(item.name).startswith(names):
            continue
        if not _is_signed_by_agency(item):
            yield Hit(RULE.key, attached.place(item), attached.evidence(item))


def _is_signed_by_agency(item: Attachment) -> bool:
    return any(one.holder in ("agency", "") for one in sound_signatures(item))


def _words(name: str) -> str:
    """`Phụ_lục-1.xlsx` as `phu luc 1 xlsx `."""
    name = unicodedata.normalize("NFD", name.lower()).replace("đ", "d")
    plain = "".join(letter for letter in name if not unicodedata.combining(letter))
    return "".join(f"{word} " for word in _WORD.findall(plain))


RULE = Rule(
    key="annex-signed",
    id="B14",
    version=1,
    check=check,
    evidence=("place", "file"),
    settings={"names": ("phu luc", "phuluc", "pl")},
    directions=("submission",),
)
