"""The sender is who signed in: envelope and every originator field.

RFC 6409, 6.1 lets a submission server insist on it; RFC 5322, 3.6.2 and 3.6.6 name the fields.
A message without From hides who speaks, so it counts as a foreign one.
Basis: docs/basis.md#a06.
"""

from collections.abc import Iterator

from mailgov_policies.facts import Facts
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:  # noqa: ARG001 - has no settings
    """A hit for each address that the login neither owns nor is delegated."""
    envelope = facts.envelope
    owned = {address.lower() for address in (envelope.login, *envelope.may_send_as)} - {""}
    for where, address in _originators(facts):
        if address.lower() not in owned:
            yield Hit(RULE.key, where, {"address": address})


def _originators(facts: Facts) -> Iterator[tuple[str, str]]:
    header = facts.content.header
    if facts.envelope.mail_from:
        yield "envelope sender", facts.envelope.mail_from
    if not header.from_ and not facts.content.unscannable:
        yield "header From", ""
    for person in header.from_:
        yield "header From", person.address
    if header.sender is not None:
        yield "header Sender", header.sender.address
    for person in header.resent_from:
        yield "header Resent-From", person.address


RULE = Rule(
    key="sender-identity",
    id="A06",
    version=1,
    check=check,
    evidence=("address",),
    directions=("submission",),
)
