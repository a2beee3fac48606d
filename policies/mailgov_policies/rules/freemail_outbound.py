"""No official document goes to a free mailbox; other mail there is pointed out.

Those who wrote first within `reply_days` are left to `freemail-citizen-exception`; 0: nobody is.
Basis: docs/basis.md#a03.
"""

from collections.abc import Iterator

from mailgov_policies import citizens
from mailgov_policies.agency_documents import sent_as_document
from mailgov_policies.domains import is_within
from mailgov_policies.facts import Facts
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:
    """A hit for each recipient with a free mailbox; case `document` when one is sent along."""
    more = settings.names("domains")
    days = settings.number("reply_days")
    free = [
        recipient
        for recipient in facts.envelope.recipients
        if (recipient.freemail and not citizens.is_answered(recipient, facts.envelope, days))
        or is_within(recipient.domain, more)
    ]
    if not free:
        return
    document = next(sent_as_document(facts.content), None)
    for recipient in free:
        yield Hit(
            RULE.key,
            f"recipient {recipient.address}",
            {
                "recipient": recipient.address,
                "place": document.place if document else "message",
                "file": document.file if document else "",
                "case": "document" if document else "",
            },
        )


RULE = Rule(
    key="freemail-outbound",
    id="A03",
    version=2,
    check=check,
    evidence=("recipient", "place", "file", "case"),
    settings={"domains": (), "reply_days": citizens.DAYS},
    cases=("document",),
    directions=("submission",),
)
