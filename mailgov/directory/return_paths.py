"""The key behind rewritten senders, and whom bounces to them go to."""

from datetime import date

from sqlmodel import Session

from mailgov.addresses import Address
from mailgov.db.models import Instance
from mailgov.db.models.instance import RETURN_PATH_KEY
from mailgov.directory import queries
from mailgov.srs import Rewriter, is_rewritten


def rewriter(session: Session) -> Rewriter:
    """That of this installation."""
    return Rewriter(bytes.fromhex(session.get_one(Instance, RETURN_PATH_KEY).value))


def return_path(session: Session, address: Address, today: date) -> Address | None:
    """Whom a bounce to this address goes to; None when it is no rewritten one of a domain of ours.

    Raises InputError `return-path-forged`, `return-path-old`.
    """
    if not is_rewritten(address) or not queries.local_domains(session, [address.domain]):
        return None
    return rewriter(session).reverse(address, today)
