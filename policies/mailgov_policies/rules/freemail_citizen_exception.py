"""Citizens and companies are answered where they wrote from, also when that is a free mailbox.

A recipient counts as one who wrote first when mail from that address reached the sender's mailbox
within `days`; a mailbox kept for the public may write to anyone. Such mail leaves the official
system, which is pointed out. Case `document`: an agency's document goes with it.
Basis: docs/basis.md#a04.
"""

from collections.abc import Iterator

from mailgov_policies import citizens
from mailgov_policies.agency_documents import sent_as_document
from mailgov_policies.facts import Facts
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:
    """A hit for each free mailbox that may be answered."""
    answered = [
        recipient
        for recipient in facts.envelope.recipients
        if recipient.freemail
        and citizens.is_answered(recipient, facts.envelope, settings.number("days"))
    ]
    if not answered:
        return
    document = next(sent_as_document(facts.content), None)
    for recipient in answered:
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
    key="freemail-citizen-exception",
    id="A04",
    version=1,
    check=check,
    evidence=("recipient", "place", "file", "case"),
    settings={"days": citizens.DAYS},
    cases=("document",),
    directions=("submission",),
)
