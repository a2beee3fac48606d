"""What the rules found in a message that lies in a mailbox, explained to whoever may read it."""

from sqlmodel import Session

from mailgov.errors import NotFound
from mailgov.holding import wrong
from mailgov.ledger import trace
from mailgov.texts.explanation import Explanation, of_rule, of_stored
from mailgov_webmail.standing import Standing
from mailgov_webmail.visit import Visit


async def explained_marks(visit: Visit, seen: Standing) -> list[Explanation]:
    """The marks of a message: with what was found, where the ledger still knows it."""
    if not seen.marks:
        return []
    account = visit.account

    def work(session: Session) -> list[Explanation]:
        try:
            if not wrong.is_of(session, seen.queue_id, account.mailbox_id, account.address):
                return []
        except NotFound:  # a message of long ago
            return []
        kept = trace.findings(session, seen.queue_id)
        return [of_stored(visit.language, one) for one in kept if one["action"] != "pass"]

    found = await visit.services.database.query(work) if seen.queue_id else []
    return found or [of_rule(visit.language, code) for code in seen.marks]
