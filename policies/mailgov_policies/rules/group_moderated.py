"""What others write to a moderated group waits for its moderators.

Who may write by themselves is a fact of the directory: moderators, and members where the group's mode
says so. The finding names the group, and by that who decides.
Basis: docs/basis.md#group-moderated.
"""

from collections.abc import Iterator

from mailgov_policies.facts import Facts
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:  # noqa: ARG001 - has no settings
    """A hit for each group to which the sender may not write without a moderator."""
    for recipient in facts.envelope.recipients:
        if not recipient.may_post:
            evidence = {"group": recipient.address, "members": str(recipient.group_size)}
            yield Hit(RULE.key, f"recipient {recipient.address}", evidence)


RULE = Rule(
    key="group-moderated",
    id="group-moderated",
    version=1,
    check=check,
    evidence=("group", "members"),
)
