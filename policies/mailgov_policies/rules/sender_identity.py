"""The sender is who signed in: envelope, every originator field, and where answers go.

RFC 6409, 6.1 lets a submission server insist on it; RFC 5322, 3.6.2 and 3.6.6 name the fields.
Whoever may write on behalf of another stands in Sender. A message without From hides who speaks, so
it counts as a foreign one, and so does a second author without Sender. Answers may be asked for to
any official address and to none elsewhere.
Basis: docs/basis.md#a06.
"""

from collections.abc import Iterator

from mailgov_policies.domains import is_within
from mailgov_policies.facts import Facts, Person
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:  # noqa: ARG001 - has no settings
    """A hit for each address that the login neither owns nor is delegated."""
    envelope, header = facts.envelope, facts.content.header
    own = {address.lower() for address in (envelope.login, *envelope.may_send_as)} - {""}
    signed = header.sender is not None and header.sender.address.lower() in own
    authors = own | set(envelope.on_behalf_of) if signed else own
    if envelope.mail_from and envelope.mail_from.lower() not in own:
        yield _hit("envelope sender", envelope.mail_from)
    if not header.from_ and not facts.content.unscannable:
        yield _hit("header From", "")
    if len(header.from_) > 1 and header.sender is None:
        yield _hit("header Sender", "")
    for person in header.from_:
        yield from _foreign("header From", person, authors)
    if header.sender is not None:
        yield from _foreign("header Sender", header.sender, own)
    for person in header.resent_from:
        yield from _foreign("header Resent-From", person, own)
    official = (*envelope.official_suffixes, *envelope.local_domains)
    for person in header.reply_to:
        if person.address.lower() not in authors and not is_within(person.domain, official):
            yield _hit("header Reply-To", person.address)


def _foreign(where: str, person: Person, own: set[str]) -> Iterator[Hit]:
    """The address, and any that the display name shows instead of it."""
    for address in (person.address, *person.claims):
        if address.lower() not in own:
            yield _hit(where, address)


def _hit(where: str, address: str) -> Hit:
    return Hit(RULE.key, where, {"address": address})


RULE = Rule(
    key="sender-identity",
    id="A06",
    version=2,
    check=check,
    evidence=("address",),
    directions=("submission",),
)
