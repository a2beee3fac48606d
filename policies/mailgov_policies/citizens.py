"""Whether a recipient is a citizen or a company that an office answers."""

from mailgov_policies.facts import Envelope, RecipientFacts

DAYS = 90  # after its last letter


def is_answered(recipient: RecipientFacts, envelope: Envelope, days: float) -> bool:
    """Whether it wrote first within so many days, or the sender is there for the public.

    No days: nobody is answered.
    """
    if days <= 0 or recipient.local or recipient.official:
        return False
    return envelope.public_contact or 0 <= recipient.wrote_days_ago <= days
