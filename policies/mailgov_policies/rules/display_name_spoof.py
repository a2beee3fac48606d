"""The display name speaks for a state agency, the address does not.

Many programs show the name alone: "Bộ Công an <someone@free-mail>".
Basis: docs/basis.md#display-name-spoof.
"""

from collections.abc import Iterator

from mailgov_policies.domains import is_within
from mailgov_policies.facts import Facts, Person
from mailgov_policies.lookalike import is_foreign_government
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.state_names import agency_claimed
from mailgov_policies.verdict import Hit


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:
    """A hit for each author whose name claims an agency that the address does not belong to."""
    envelope, header = facts.envelope, facts.content.header
    honest = (*envelope.official_suffixes, *envelope.local_domains, *settings.names("known"))
    authors: list[tuple[str, Person]] = [("header From", person) for person in header.from_]
    if header.sender is not None:
        authors.append(("header Sender", header.sender))
    for where, person in authors:
        if is_within(person.domain, honest) or is_foreign_government(person.domain):
            continue
        said = " ".join((person.name, *person.claims))  # addresses in look-alike letters, too
        claim = agency_claimed(said, person.domain, envelope.official_suffixes)
        if claim:
            evidence = {"name": person.name, "claim": claim, "address": person.address}
            yield Hit(RULE.key, where, evidence)


RULE = Rule(
    key="display-name-spoof",
    id="display-name-spoof",
    version=2,
    check=check,
    evidence=("name", "claim", "address"),
    settings={"known": ()},
    directions=("inbound",),
)
