"""Documents that act by themselves: scripts, forms, launch actions, remote templates, DDE.

Case `body`: the HTML of the mail itself.
Basis: docs/basis.md#b08.
"""

from collections.abc import Iterator

from mailgov_policies import attached
from mailgov_policies.facts import Facts
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:
    """A hit for the body and each attachment with active content that the ruleset does not allow."""
    allowed = settings.names("allow")
    if own := [kind for kind in facts.content.active if kind not in allowed]:
        active = ", ".join(dict.fromkeys(own))
        yield Hit(RULE.key, "body", {"place": "body", "file": "", "active": active, "case": "body"})
    for item in facts.content.attachments:
        found = [kind for kind in item.active if kind not in allowed]
        if found:
            yield Hit(
                RULE.key,
                attached.place(item),
                attached.evidence(item, active=", ".join(dict.fromkeys(found)), case=""),
            )


RULE = Rule(
    key="active-content",
    id="B08",
    version=2,
    check=check,
    evidence=("place", "file", "active", "case"),
    settings={"allow": ()},
    cases=("body",),
)
