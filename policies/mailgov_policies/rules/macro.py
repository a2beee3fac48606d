"""Documents that carry macros are kept until somebody has looked at them.

Basis: docs/basis.md#b08.
"""

from collections.abc import Iterator

from mailgov_policies import attached
from mailgov_policies.facts import Facts
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:
    """A hit for each document with macros, or of a kind made to carry them."""
    kinds = settings.names("kinds")
    for item in facts.content.attachments:
        if item.macros or item.kind in kinds:
            yield Hit(RULE.key, attached.place(item), attached.evidence(item, kind=item.kind))


RULE = Rule(
    key="macro",
    id="B08",
    version=1,
    check=check,
    evidence=("place", "file", "kind"),
    settings={"kinds": ("docm", "dotm", "xlsm", "xltm", "xlam", "pptm", "potm", "ppsm", "ppam")},
)
