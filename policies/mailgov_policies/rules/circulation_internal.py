"""What is marked LƯU HÀNH NỘI BỘ stays within the agency tree.

Inside are recipients whose agency code agrees with the sender's in its first `levels` groups:
1 is the whole tree of a ministry or province, 2 the department. Without codes the domains speak,
label by label before the official suffix.
Basis: docs/basis.md#a10.
"""

from collections.abc import Iterator

from mailgov_policies.domains import domain_of, is_within
from mailgov_policies.facts import Envelope, Facts, Mark, RecipientFacts
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit

_INTERNAL = "LƯU HÀNH NỘI BỘ"


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:
    """A hit for each recipient outside, once, for the surest mark."""
    mark = _mark(facts)
    if mark is None:
        return
    levels = int(settings.number("levels"))
    for recipient in facts.envelope.recipients:
        if not _inside(recipient, facts.envelope, levels):
            yield Hit(
                RULE.key,
                mark.place,
                {
                    "mark": mark.value,
                    "place": mark.place,
                    "recipient": recipient.address,
                    "case": "" if mark.certain else "possible",
                },
            )


def _mark(facts: Facts) -> Mark | None:
    marks = [m for m in facts.content.marks if m.kind == "circulation" and m.value == _INTERNAL]
    return max(marks, key=lambda mark: mark.certain, default=None)


def _inside(recipient: RecipientFacts, envelope: Envelope, levels: int) -> bool:
    if recipient.agency and envelope.agency:
        theirs, ours = recipient.agency.split("."), envelope.agency.split(".")
        depth = min(levels, len(ours), len(theirs))
        return theirs[:depth] == ours[:depth]
    theirs = _labels(recipient.domain, envelope.official_suffixes)
    ours = _labels(domain_of(envelope.mail_from), envelope.official_suffixes)
    depth = min(levels, len(ours), len(theirs))
    return depth > 0 and theirs[:depth] == ours[:depth]


def _labels(domain: str, suffixes: tuple[str, ...]) -> list[str]:
    """Labels before the official suffix, highest first; the whole domain when there is none."""
    for suffix in suffixes:
        if domain == suffix:
            return [domain]
        if is_within(domain, (suffix,)):
            return domain.removesuffix(f".{suffix}").split(".")[::-1]
    return [domain]


RULE = Rule(
    key="circulation-internal",
    id="A10",
    version=1,
    check=check,
    evidence=("mark", "place", "recipient", "case"),
    settings={"levels": 1},
    cases=("possible",),
    directions=("submission",),
)
