"""An agency's document that comes from a free mailbox counts as not sent.

Letters of citizens and companies are no documents of an agency, so they pass; with a document that
they complain of (case `petition`) they are marked. Only a mailbox kept for agencies takes nothing from
free mailboxes (case `interagency`).
Basis: docs/basis.md#a02.
"""

from collections.abc import Iterator

from mailgov_policies.agency_documents import recognised
from mailgov_policies.domains import domain_of
from mailgov_policies.facts import Facts
from mailgov_policies.freemail import is_freemail
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:
    """A hit for the document, and one for each mailbox kept for agencies."""
    sender = _free_sender(facts, settings.names("domains"))
    if not sender:
        return
    document = next(recognised(facts.content), None)
    if document is not None:
        case = "petition" if facts.content.petition else ""
        evidence = {"sender": sender, "place": document.place, "file": document.file, "case": case}
        yield Hit(RULE.key, document.place, evidence)
    for recipient in facts.envelope.recipients:
        if recipient.interagency_only:
            where = f"recipient {recipient.address}"
            evidence = {"sender": sender, "place": where, "file": "", "case": "interagency"}
            yield Hit(RULE.key, where, evidence)


def _free_sender(facts: Facts, more: tuple[str, ...]) -> str:
    """The address in From, else of the envelope, that is a free mailbox; empty when none is."""
    free = (*facts.envelope.freemail_domains, *more)
    senders = [person.address for person in facts.content.header.from_]
    senders.append(facts.envelope.mail_from)
    return next((s for s in senders if s and is_freemail(domain_of(s), free)), "")


RULE = Rule(
    key="freemail-inbound-document",
    id="A02",
    version=2,
    check=check,
    evidence=("sender", "place", "file", "case"),
    settings={"domains": ()},
    cases=("interagency", "petition"),
    directions=("inbound",),
)
